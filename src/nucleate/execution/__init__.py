"""Execution: tasks in worker processes, and their progress."""
