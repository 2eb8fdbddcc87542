"""Training: state, step, devices, loop, checkpoints, logs. Read ``loop.py`` first; it names every part in order."""
