"""Files to crystals and back: CIF, other formats, tables, validation and bounds."""
