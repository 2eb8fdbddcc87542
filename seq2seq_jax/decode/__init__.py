"""Decoding: greedy, beam and sampling over any ``step(state, ids) -> (state, logits)``. All but ``translators.py`` know no model."""
