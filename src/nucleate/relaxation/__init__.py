"""Relaxation of positions and cells."""
