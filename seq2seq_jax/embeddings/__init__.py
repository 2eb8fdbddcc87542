"""Studies of a trained embedding table. All but ``trace.py`` work on the host, without JAX."""
