"""A picture of the flow of a gradient: layers above each other, time steps from left to right, the darker the more."""

from __future__ import annotations

import itertools

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from rich.cells import cell_len

from seq2seq_jax.data.vocabulary import Vocabulary
from seq2seq_jax.inference.flow import Flow, Side, labels
from seq2seq_jax.show.picture import MUTED, STYLE, svg_of

INCHES_PER_STEP, INCHES_PER_LAYER = 0.42, 0.34
WIDEST_PAIR = 8  # columns of a terminal: two symbols side by side that do not run into each other
LEAST = 1e-6  # of the largest norm: what is less is drawn as this much


def flow_svg(flow: Flow, vocabularies: dict[str, Vocabulary]) -> str:
    """Returns the picture as SVG."""
    heights = [len(side.layers) * INCHES_PER_LAYER + 0.7 for side in flow.sides]
    width = 2.6 + INCHES_PER_STEP * max(len(side.ids) for side in flow.sides)
    norms = np.concatenate([values for side in flow.sides for values in side.layers.values()])
    largest = max(float(norms.max()), 1e-30)
    scale = LogNorm(max(largest * LEAST, float(norms[norms > 0].min(initial=largest)) / 2), largest)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, sum(heights) + 0.4))
        FigureCanvasSVG(figure)
        panels = figure.subplots(len(flow.sides), squeeze=False, height_ratios=heights)[:, 0]
        images = [
            _draw(axes, side, labels(vocabularies[side.name], side.ids), scale) for axes, side in zip(panels, flow.sides, strict=True)
        ]
        followed = f"the loss of output symbol {flow.position}" if flow.position else "the mean loss"
        figure.suptitle(f"gradient of {followed}", fontsize=11)
        bar = figure.colorbar(images[0], ax=list(panels), shrink=0.9, aspect=30)
        bar.set_label("norm of the gradient")
        bar.outline.set_visible(False)
    return svg_of(figure)


def _draw(axes, side: Side, symbols, scale):
    """Draws one sequence; where no gradient arrives at all, nothing."""
    values = np.array(list(side.layers.values()))
    reached = np.ma.masked_equal(np.where(values == 0, 0, np.maximum(values, scale.vmin)), 0)
    image = axes.imshow(reached, cmap="Blues", norm=scale, aspect="auto", origin="lower")
    shown = [symbol[:12] for symbol in symbols]
    axes.set_xticks(range(len(shown)), [symbol.replace("$", r"\$") for symbol in shown], color="black")
    if any(cell_len(one) + cell_len(next_one) > WIDEST_PAIR for one, next_one in itertools.pairwise(shown)):
        axes.tick_params(axis="x", rotation=60)
    axes.set_yticks(range(len(side.layers)), list(side.layers))
    axes.set_xlabel(f"{side.name} symbols that are read")
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks(np.arange(-0.5, len(symbols)), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(axis="y", colors=MUTED)
    return image
