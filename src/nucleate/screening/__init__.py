"""Screening: stages, filters, funnels, protocols and ranking of candidates."""
