"""Encode and decode pairs of crystals."""
