"""Which size to take, how sure that is, and what it costs: result files in, a table, JSON and a report out.

Knows run directories by the files in them and nothing of models or training: no JAX, so that the answer is there within a second.
Read next: ``comparison.py`` for the answer as one object, ``statistics.py`` for what it rests on.
"""
