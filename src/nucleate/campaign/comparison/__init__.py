"""Models, searchers and files side by side under one protocol."""
