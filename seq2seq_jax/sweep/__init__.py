"""The sweep: a grid of members, run in turn, in processes or stacked. Read ``plan.py`` and ``sweep.py`` first."""
