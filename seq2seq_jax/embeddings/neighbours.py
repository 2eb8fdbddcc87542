"""Which rows of a table lie near each other, by the cosine of the angle between them.

References: Mikolov, Yih & Zweig 2013, "Linguistic regularities in continuous space word representations", section 4 (the vector offset).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from seq2seq_jax.embeddings.tables import Table
from seq2seq_jax.evaluate.word_vectors import unit_rows

ROWS_AT_A_TIME = 512  # queries whose cosines with every row are held in memory together


class Neighbour(NamedTuple):
    """A row near the one asked for, and the cosine of the angle between them."""

    row: int
    cosine: float


def neighbours(table: Table, row: int, k: int) -> list[Neighbour]:
    """Returns the k rows nearest to a row, itself left out, nearest first; rows that were never trained are no candidates."""
    units = unit_rows(table.vectors)
    return _nearest(units @ units[row], table.studied, {row}, k)


def analogy(table: Table, a: int, b: int, c: int, k: int) -> list[Neighbour]:
    """Returns the k rows nearest to b - a + c (rows at length 1), the three left out: a is to b as c is to the first of them."""
    units = unit_rows(table.vectors)
    wanted = units[b] - units[a] + units[c]
    return _nearest(units @ unit_rows(wanted[None])[0], table.studied, {a, b, c}, k)


def _nearest(cosines: Float[np.ndarray, " V"], candidates: Bool[np.ndarray, " V"], without: Collection[int], k: int) -> list[Neighbour]:
    rows = np.flatnonzero(candidates)
    rows = rows[~np.isin(rows, list(without))]
    order = rows[np.argsort(-cosines[rows], kind="stable")[:k]]
    return [Neighbour(int(row), float(cosines[row])) for row in order]


def neighbour_sets(vectors: Float[np.ndarray, "V D"], queries: Int[np.ndarray, " Q"], k: int) -> Int[np.ndarray, "Q K"]:
    """Returns the k rows nearest to each of the rows ``queries``, itself left out, in no order."""
    units = unit_rows(vectors).astype(np.float32)
    found = []
    for start in range(0, len(queries), ROWS_AT_A_TIME):
        part = queries[start : start + ROWS_AT_A_TIME]
        cosines = units[part] @ units.T
        cosines[np.arange(len(part)), part] = -np.inf
        found.append(np.argpartition(-cosines, k - 1, axis=1)[:, :k])
    return np.concatenate(found)
