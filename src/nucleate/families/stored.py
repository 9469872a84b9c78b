"""Models of families read back from their folders."""

from nucleate.networks.stored import CONFIG, WEIGHTS, load_weights, stored_config

__all__ = ["CONFIG", "WEIGHTS", "load_weights", "stored_config"]
