"""The sweep: a grid of members, run in turn or in processes. Read ``sweep.py`` first."""
