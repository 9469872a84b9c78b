"""From structure to property column: one folder for each kind of model."""
