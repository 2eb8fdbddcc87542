"""A picture of the flow of a gradient: layers above each other, time steps from left to right, the darker the more."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LogNorm

from seq2seq_jax.data.vocabulary import Vocabulary
from seq2seq_jax.inference.flow import Flow, Side, labels
from seq2seq_jax.show.heat_map import HeatMap, heat_maps_svg

CELL = (0.42, 0.34)  # inches
LONGEST = 12  # characters of a symbol that are shown
LEAST = 1e-6  # of the largest norm: what is less is drawn as this much


def flow_svg(flow: Flow, vocabularies: dict[str, Vocabulary]) -> str:
    """Returns the picture as SVG."""
    norms = np.concatenate([values for side in flow.sides for values in side.layers.values()])
    largest = max(float(norms.max()), 1e-30)
    least = max(largest * LEAST, float(norms[norms > 0].min(initial=largest)) / 2)
    maps = [_heat_map(side, vocabularies[side.name], least) for side in flow.sides]
    followed = f"the loss of output symbol {flow.position}" if flow.position else "the mean loss"
    return heat_maps_svg(maps, LogNorm(least, largest), "norm of the gradient", "Blues", CELL, f"gradient of {followed}")


def _heat_map(side: Side, vocabulary: Vocabulary, least: float) -> HeatMap:
    """Returns one sequence, its lookup at the bottom; where no gradient arrives at all the cell is empty."""
    norms = np.array(list(side.layers.values()))[::-1]
    reached = np.where(norms == 0, np.nan, np.maximum(norms, least))
    symbols = [symbol[:LONGEST] for symbol in labels(vocabulary, side.ids)]
    return HeatMap(reached, list(side.layers)[::-1], symbols, "", f"{side.name} symbols that are read")
