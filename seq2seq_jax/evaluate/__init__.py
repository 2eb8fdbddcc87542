"""Task metrics on host values; their names end in their units. Read ``metrics.py``."""
