"""Decoding: greedy and sampling over any ``step(state, ids) -> (state, logits)``; knows no model."""
