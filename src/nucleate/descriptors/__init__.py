"""Numbers of a structure: one function serves as label, condition, loss term and report column."""
