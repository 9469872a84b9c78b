"""Thermodynamics of crystals: formation energies, hull, equations of state, magnetism."""
