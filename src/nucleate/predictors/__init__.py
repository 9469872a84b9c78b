"""From structure to property column."""
