"""A picture of an attention: source against output, the darker the more weight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.colors import Normalize

from seq2seq_jax.show.heat_map import HeatMap, heat_maps_svg
from seq2seq_jax.show.symbols import visible

CELL = (0.32, 0.32)  # inches
MOST_SYMBOLS = 120  # shown of either side


def attention_svg(source: Sequence[str], output: Sequence[str], weights: Float[np.ndarray, "T S"]) -> str:
    """Returns the picture as SVG. Of what is longer the first ``MOST_SYMBOLS`` are shown, and the axis says so."""
    rows, columns = ([visible(symbol) for symbol in symbols[:MOST_SYMBOLS]] for symbols in (output, source))
    shown = weights[:MOST_SYMBOLS, :MOST_SYMBOLS]
    drawn = HeatMap(shown, rows, columns, _title("output", output), _title("source", source), columns_on_top=True)
    return heat_maps_svg([drawn], Normalize(0, 1), "weight", "Greys", CELL)


def _title(name: str, symbols: Sequence[str]) -> str:
    return name if len(symbols) <= MOST_SYMBOLS else f"{name}, the first {MOST_SYMBOLS} of {len(symbols):,} symbols"
