"""Laws of the contracts as functions, which anybody's extension can be put through."""
