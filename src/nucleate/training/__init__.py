"""One training loop for anything that gives losses, its resume state and the export of a model."""
