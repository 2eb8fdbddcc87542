"""Flax modules: embedding, recurrent core, attention, translator, language model. Read next: ``translator.py``."""
