"""The campaign for magnets without rare earths."""
