"""Sameness of crystals: ordered, disordered, prototypes; uniqueness and novelty."""
