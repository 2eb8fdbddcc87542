"""Studies of a trained embedding table, on the host, without JAX. The one that needs the network is ``inference/trace.py``."""
