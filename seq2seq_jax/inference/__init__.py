"""The use of finished runs, a file for each verb: evaluate, translate, sample, trace. ``trained_run.py`` opens a run; nothing trains."""
