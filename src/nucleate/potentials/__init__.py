"""Potentials: energies, forces, stresses and magnetic moments of batches."""
