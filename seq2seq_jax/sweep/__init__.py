"""The sweep: members at every combination of its axes, run in turn, in processes or stacked. Read ``plan.py`` and ``sweep.py`` first."""
