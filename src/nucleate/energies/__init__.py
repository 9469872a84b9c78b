"""Potentials, relaxation and thermodynamic stability."""
