"""The command line, a module for each verb; each loads what it needs when it is called."""
