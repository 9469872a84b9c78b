"""Before and after sampling: source structures, plans of a request, rejection."""
