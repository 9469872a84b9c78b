"""Data sets and references: importers, splits, competing phases."""
