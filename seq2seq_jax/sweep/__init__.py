"""The sweep: a grid of members, run in turn, in processes or stacked. Read ``sweep.py`` first."""
