"""Steering a denoiser: wrappers that are denoisers themselves."""
