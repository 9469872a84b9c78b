"""Neural networks: no loss, no sampling."""
