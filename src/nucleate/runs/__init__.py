"""Runs: folders of candidates, their columns and records."""
