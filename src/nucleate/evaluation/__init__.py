"""Metrics of a set of crystals, per crystal first, then averages with their protocol."""
