"""Generators without weights: random search and substitution into known prototypes."""
