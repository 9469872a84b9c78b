"""The batched container of crystals: geometry, formulas, conversion and file formats."""
