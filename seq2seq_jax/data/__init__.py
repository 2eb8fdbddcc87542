"""From text to arrays: readers, splits, vocabularies, named data sets and the batches of a step. No JAX in this package.

Read ``corpus.py`` first: it says what a run gets; ``batches.py`` says what a training step gets.
"""
