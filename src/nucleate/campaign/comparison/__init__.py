"""Reference comparison of models, searchers and files under one protocol."""
