"""Heat maps: cells below names and beside names, the darker the more, with a bar that says how much. Knows nothing of what is drawn."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from rich.cells import cell_len

from seq2seq_jax.show.picture import GRID, INK, STYLE, svg_of

INCHES_PER_CHARACTER = 0.105  # of a terminal's columns, of which some scripts take two
AROUND = (1.6, 0.7)  # inches beside cells and names, and above and below them


class HeatMap(NamedTuple):
    """One field of cells.

    Attributes:
      values: first row on top; where one is NaN the cell stays empty.
      rows: their names.
      columns: their names; they are turned where they would run into each other.
      row_title: what the rows are.
      column_title: what the columns are.
      columns_on_top: whether their names stand above the cells, not below.
    """

    values: Float[np.ndarray, "R C"]
    rows: Sequence[str]
    columns: Sequence[str]
    row_title: str
    column_title: str
    columns_on_top: bool = False


def heat_maps_svg(
    maps: Sequence[HeatMap],
    scale: Normalize,
    meaning: str,
    colours: str,
    cell: tuple[float, float],
    title: str = "",
) -> str:
    """Returns heat maps below each other, as wide as the widest, as SVG.

    Args:
      maps: from the top.
      scale: from values to 0 ... 1.
      meaning: of a value, written beside the bar.
      colours: Matplotlib's name of a scale from light to dark.
      cell: width and height, inches.
      title: above all of them.
    """
    widths, heights = zip(*[_size(one, cell) for one in maps], strict=True)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(widths), sum(heights) + 0.4))
        panels = figure.subplots(len(maps), squeeze=False, height_ratios=heights)[:, 0]
        images = [_draw(axes, one, scale, colours, cell[0]) for axes, one in zip(panels, maps, strict=True)]
        bar = figure.colorbar(images[0], ax=list(panels), label=meaning, shrink=0.9, aspect=30)
        bar.outline.set_visible(False)
        figure.suptitle(title, fontsize=11)
    return svg_of(figure)


def _size(drawn: HeatMap, cell: tuple[float, float]) -> tuple[float, float]:
    """Returns width and height in inches, with room for the names and the title of the columns."""
    beside, above = (INCHES_PER_CHARACTER * max(map(cell_len, names)) for names in (drawn.rows, drawn.columns))
    width = max(cell[0] * len(drawn.columns), INCHES_PER_CHARACTER * cell_len(drawn.column_title)) + beside + AROUND[0]
    return width, cell[1] * len(drawn.rows) + (above if _collide(drawn.columns, cell[0]) else 0) + AROUND[1]


def _draw(axes: Axes, drawn: HeatMap, scale: Normalize, colours: str, cell_width: float) -> AxesImage:
    image = axes.imshow(np.ma.masked_invalid(drawn.values), cmap=colours, norm=scale, aspect="auto")
    named = {"color": INK, "parse_math": False}  # a dollar sign is a dollar sign
    turned: dict[str, Any] = {}
    if _collide(drawn.columns, cell_width):  # then each begins, or ends, at its column
        turned = {"rotation": 60, "rotation_mode": "anchor", "ha": "left" if drawn.columns_on_top else "right"}
    axes.set_xticks(range(len(drawn.columns)), drawn.columns, **turned, **named)
    axes.set_yticks(range(len(drawn.rows)), drawn.rows, **named)
    if drawn.columns_on_top:
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
    axes.set_xlabel(drawn.column_title, labelpad=6)
    axes.set_ylabel(drawn.row_title)
    axes.set_xticks(np.arange(-0.5, len(drawn.columns)), minor=True)
    axes.set_yticks(np.arange(-0.5, len(drawn.rows)), minor=True)
    axes.grid(which="minor", color=GRID)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    return image


def _collide(names: Sequence[str], cell_width: float) -> bool:
    """Returns whether two names side by side have too little room."""
    room = 2 * cell_width / INCHES_PER_CHARACTER
    return any(cell_len(one) + cell_len(next_one) > room for one, next_one in itertools.pairwise(names))
