"""The map of a table: its trained rows on their two principal components, named."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from seq2seq_jax.embeddings.tables import TrainedTable, open_trained
from seq2seq_jax.files import writing
from seq2seq_jax.show.picture import MUTED, Picture, apart, text_size

MOST_POINTS = 2000
MOST_NAMED = 400  # of them, those that are read most: written, or named on hover where there is no room for it
LONGEST_LABEL = 16  # characters


def run(options: Mapping[str, Any]) -> None:
    """Writes the map of a table as SVG and prints where."""
    table, figure = open_trained(options), options["figure"]
    with writing("--figure", figure):
        pathlib.Path(figure).write_text(symbol_map(table).svg(), encoding="utf-8")
    print(figure)


def symbol_map(table: TrainedTable) -> Picture:
    """Draws the studied rows of a table on their two principal components, named where there is room, the most read ones first.

    Rows that were never trained are where they were drawn: of bytes and subwords they are most, and would hide the others.
    """
    picture = Picture(f"the {table.side} symbols on two principal components", height=4.2)
    rows = np.flatnonzero(table.studied)
    if table.counts is not None:
        rows = rows[np.argsort(-table.counts[rows], kind="stable")]
    points, shares = principal_components(table.vectors[rows])
    rows, points = rows[:MOST_POINTS], points[:MOST_POINTS]
    picture.axes.margins(0.06)
    picture.axes.set_xlabel(f"first component ({shares[0]:.0%} of the variance)")
    picture.axes.set_ylabel(f"second component ({shares[1]:.0%})")
    picture.axes.update_datalim(points)
    picture.axes.autoscale_view()
    labels = [table.label(row) for row in rows.tolist()]
    short = [label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…" for label in labels]
    written = set(apart(picture.places(points), np.array([text_size(text) for text in short])))
    mark = {"color": MUTED, "alpha": 0.35, "ms": 4}
    picture.axes.plot(*points[MOST_NAMED:].T, ".", **mark)
    for index, point in enumerate(points[:MOST_NAMED].tolist()):
        if index in written:
            shown = picture.write(short[index], tuple(point), ha="center", va="center")
        else:
            (shown,) = picture.axes.plot(*point, ".", **mark)
        code_points = table.code_points(int(rows[index]))
        picture.name(shown, f"{labels[index]} ({code_points})" if code_points else labels[index])
    return picture


def principal_components(vectors: Float[np.ndarray, "V D"]) -> tuple[Float[np.ndarray, "V 2"], tuple[float, float]]:
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
