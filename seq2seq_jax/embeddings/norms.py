"""How long the rows of a table are and how far they have moved, against how often training reads them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from seq2seq_jax.embeddings.tables import Table
from seq2seq_jax.errors import UserError


class Band(NamedTuple):
    """Rows that are read about equally often.

    Attributes:
      low: fewest reads of an epoch, included.
      high: most, included.
      rows: of the table, the most read first.
      norm: mean Euclidean length.
      norm_deviation: its standard deviation over the rows.
      moved: mean distance from where the rows began.
    """

    low: int
    high: int
    rows: list[int]
    norm: float
    norm_deviation: float
    moved: float


def bands(table: Table) -> list[Band]:
    """Returns the rows by decades of how often an epoch reads them: never, 1 to 9, 10 to 99, and so on. Raises UserError."""
    counts, moved = known_counts(table)
    norms = np.linalg.norm(table.vectors, axis=1)
    decades = np.where(counts > 0, np.floor(np.log10(np.maximum(counts, 1))).astype(int) + 1, 0)
    found = []
    for decade in np.unique(decades):
        rows = np.flatnonzero(decades == decade)
        rows = rows[np.argsort(-counts[rows], kind="stable")]
        low, high = (0, 0) if decade == 0 else (10 ** (int(decade) - 1), 10 ** int(decade) - 1)
        found.append(
            Band(low, high, rows.tolist(), *(float(value) for value in (norms[rows].mean(), norms[rows].std(), moved[rows].mean())))
        )
    return found


def known_counts(table: Table) -> tuple[Int[np.ndarray, " V"], Float[np.ndarray, " V"]]:
    """Returns how often an epoch reads each row, and how far each has moved. Raises UserError where the run did not keep it."""
    if table.counts is None or table.moved is None:
        raise UserError("--workdir: embedding.npz does not say how often rows are read; expected a run trained by this version")
    return table.counts, table.moved
