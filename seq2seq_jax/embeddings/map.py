"""The map of a table: its trained rows on their two principal components, named."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from seq2seq_jax.embeddings.tables import Table, open_trained
from seq2seq_jax.files import write_file
from seq2seq_jax.show.picture import MUTED, Picture

MOST_CHARACTERS = 150  # of labels that still can be told apart on a map: so many letters, or fewer words
MOST_POINTS = 2000
LONGEST_LABEL = 16  # characters


def run(options: Mapping[str, Any]) -> None:
    """Writes the map of a table as SVG and prints where."""
    table, figure = open_trained(options), options["figure"]
    write_file(lambda: pathlib.Path(figure).write_text(symbol_map(table).svg(), encoding="utf-8"), "--figure", figure)
    print(figure)


def symbol_map(table: Table) -> Picture:
    """Draws the studied rows of a table on their two principal components, the most read ones named.

    Rows that were never trained are where they were drawn: of bytes and subwords they are most, and would hide the others.
    """
    picture = Picture(f"the {table.side} symbols on two principal components", height=4.2)
    rows = np.flatnonzero(table.studied)
    if table.counts is not None:
        rows = rows[np.argsort(-table.counts[rows], kind="stable")]
    points, shares = principal_components(table.vectors[rows])
    picture.axes.plot(points[:MOST_POINTS, 0], points[:MOST_POINTS, 1], ".", color=MUTED, alpha=0.35, ms=4)
    written = 0
    for row, (x, y) in zip(rows.tolist(), points, strict=True):
        symbol, label = table.symbols[row], table.label(row)
        written += len(label[:LONGEST_LABEL])
        if written > MOST_CHARACTERS:
            break
        shown = picture.write(label[:LONGEST_LABEL], (x, y), ha="center", va="center")
        picture.name(shown, f"{label} ({', '.join(f'U+{ord(character):04X}' for character in symbol[:8])})")
    picture.axes.set_xlabel(f"first component ({shares[0]:.0%} of the variance)")
    picture.axes.set_ylabel(f"second component ({shares[1]:.0%})")
    picture.axes.margins(0.06)
    return picture


def principal_components(vectors: Float[np.ndarray, "V D"]) -> tuple[np.ndarray, tuple[float, float]]:
    """Returns the rows of a table on its first two principal components, and their shares of the variance.

    A table of one column has no second component: 0.
    """
    centred = vectors - vectors.mean(0)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    points = np.zeros((len(centred), 2))
    kept = min(2, centred.shape[1])
    points[:, :kept] = centred @ directions[:, ::-1][:, :kept]
    shares = np.append(variances[::-1], 0.0)[:2].clip(0) / max(variances.sum(), np.finfo(float).tiny)
    return points, (float(shares[0]), float(shares[1]))
