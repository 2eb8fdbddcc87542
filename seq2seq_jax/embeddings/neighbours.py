"""Which rows of a table lie near each other, by the cosine of the angle between them.

Read next: ``analogy.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from seq2seq_jax.embeddings.tables import TrainedTable, open_table
from seq2seq_jax.evaluate.word_vectors import unit_rows
from seq2seq_jax.show.terminal import print_json, print_table

ROWS_AT_A_TIME = 512  # queries whose cosines with every row are held in memory together


class Neighbour(NamedTuple):
    """A row near the one asked for, and the cosine of the angle between them."""

    row: int
    cosine: float


def run(options: Mapping[str, Any]) -> None:
    """Prints the rows nearest to a symbol's."""
    table = open_table(options)
    row = table.row_of(options["symbol"], "--symbol")
    warn_of_untrained(table, [row])
    found = neighbours(table, row, options["k"])
    print_neighbours(table, {"symbol": table.symbols[row]}, found, f"Nearest to {table.label(row)}", options["format"])


def warn_of_untrained(table: TrainedTable, rows: Sequence[int]) -> None:
    """Says on stderr which of the rows asked for training has never read: what is near them is chance."""
    for row in rows:
        if table.untrained(row):
            print(f"warning: {table.label(row)} was never trained, its row is a random draw", file=sys.stderr)


def print_neighbours(table: TrainedTable, asked: Mapping[str, str], found: Sequence[Neighbour], title: str, format: str) -> None:
    """Prints the rows found under a title, or as JSON after what was ``asked``."""
    counts = table.counts
    read = [None if counts is None else int(counts[near.row]) for near in found]
    if format == "json":
        rows = [{"symbol": table.symbols[near.row], "cosine": near.cosine, "count": count} for near, count in zip(found, read, strict=True)]
        print_json({"table": table.side, **asked, "neighbours": rows})
        return
    rows = [
        [table.label(near.row), f"{near.cosine:.3f}", "-" if count is None else f"{count:,}"]
        for near, count in zip(found, read, strict=True)
    ]
    print(f"{title} ({table.title}):")
    print_table(("symbol", "cosine", "reads an epoch"), rows, left=1)


def neighbours(table: TrainedTable, row: int, k: int) -> list[Neighbour]:
    """Returns the k rows nearest to a row, itself left out, nearest first; rows that were never trained are no candidates."""
    units = unit_rows(table.vectors)
    return nearest(units @ units[row], table.studied, {row}, k)


def nearest(cosines: Float[np.ndarray, " V"], candidates: Bool[np.ndarray, " V"], without: Collection[int], k: int) -> list[Neighbour]:
    """Returns the k candidates of the largest cosines, nearest first, but for the rows ``without``."""
    rows = np.flatnonzero(candidates)
    rows = rows[~np.isin(rows, list(without))]
    order = rows[np.argsort(-cosines[rows], kind="stable")[:k]]
    return [Neighbour(int(row), float(cosines[row])) for row in order]


def neighbour_sets(vectors: Float[np.ndarray, "V D"], queries: Int[np.ndarray, " queries"], k: int) -> Int[np.ndarray, "queries _"]:
    """Returns the k rows nearest to each of the rows ``queries``, itself left out, in no order."""
    units = unit_rows(vectors).astype(np.float32)
    found = []
    for start in range(0, len(queries), ROWS_AT_A_TIME):
        part = queries[start : start + ROWS_AT_A_TIME]
        cosines = units[part] @ units.T
        cosines[np.arange(len(part)), part] = -np.inf
        found.append(np.argpartition(-cosines, k - 1, axis=1)[:, :k])
    return np.concatenate(found)
