"""A picture of an attention: source against output, the darker the more weight. The only file here that draws; imported where asked for."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from seq2seq_jax.show.picture import STYLE, svg_of
from seq2seq_jax.show.symbols import visible

INCHES_PER_SYMBOL = 0.32
MOST_SYMBOLS = 120  # shown of either side


def draw_attention(path: pathlib.Path, source: Sequence[str], output: Sequence[str], weights: Float[np.ndarray, "T S"]) -> None:
    """Writes the picture as SVG. Of what is longer the first ``MOST_SYMBOLS`` are shown, and the axis says so."""
    labels = [_axis(name, symbols) for name, symbols in (("source", source), ("output", output))]
    source, output, weights = source[:MOST_SYMBOLS], output[:MOST_SYMBOLS], weights[:MOST_SYMBOLS, :MOST_SYMBOLS]
    size = (2 + INCHES_PER_SYMBOL * len(source), 1.5 + INCHES_PER_SYMBOL * len(output))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size)
        axes = figure.subplots()
    image = axes.imshow(weights, cmap="Greys", vmin=0, vmax=1, aspect="equal")
    axes.set_xticks(range(len(source)), [_shown(symbol) for symbol in source], rotation=90 if max(map(len, source)) > 2 else 0)
    axes.set_yticks(range(len(output)), [_shown(symbol) for symbol in output])
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    figure.colorbar(image, label="weight, 0 to 1", shrink=0.8)
    path.write_text(svg_of(figure), encoding="utf-8")


def _axis(name: str, symbols: Sequence[str]) -> str:
    return name if len(symbols) <= MOST_SYMBOLS else f"{name}, the first {MOST_SYMBOLS} of {len(symbols):,} symbols"


def _shown(symbol: str) -> str:
    """Returns a symbol as a label, without a sign that Matplotlib takes for mathematics."""
    return visible(symbol).replace("$", r"\$")
