"""Conditions: requests, kinds, quantities and labels."""
