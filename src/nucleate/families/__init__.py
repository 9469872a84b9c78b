"""The model families, one folder each; none imports another."""
