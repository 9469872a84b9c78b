"""Diffusion processes, schedules and samplers; tensors only."""
