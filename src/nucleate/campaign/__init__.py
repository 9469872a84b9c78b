"""Runs: generate, screen, rank; chunk by chunk, restartable."""
