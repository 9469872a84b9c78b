"""Inverse design of inorganic crystals: generate, screen, rank and report."""

