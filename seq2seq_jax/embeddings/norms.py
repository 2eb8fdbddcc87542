"""How long the rows of a table are and how far they have moved, against how often training reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from seq2seq_jax.embeddings.tables import TrainedTable, open_table
from seq2seq_jax.errors import UserError
from seq2seq_jax.evaluate.word_vectors import rank_correlation
from seq2seq_jax.show.terminal import print_json, print_sentence, print_table

EXAMPLES = 8  # symbols named beside a band


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


def run(options: Mapping[str, Any]) -> None:
    """Prints how long rows are and how far they moved against how often they are read, and which never moved."""
    table = open_table(options)
    counts, moved = known_counts(table)
    norms = np.linalg.norm(table.vectors, axis=1)
    read = counts > 0
    correlations = {name: rank_correlation(counts[read], values[read]) for name, values in (("norm", norms), ("moved", moved))}
    still = np.flatnonzero(moved == 0).tolist()
    if options["format"] == "json":
        rows = [
            {"symbol": symbol, "count": int(count), "norm": float(norm), "moved": float(distance)}
            for symbol, count, norm, distance in zip(table.symbols, counts, norms, moved, strict=True)
        ]
        never = [table.symbols[row] for row in still]
        print_json({"table": table.side, "rank_correlation": correlations, "never_updated": never, "rows": rows})
        return
    shown = [
        [
            "never" if band.high == 0 else f"{band.low:,} to {band.high:,}",
            f"{len(band.rows):,}",
            f"{band.norm:.2f} ± {band.norm_deviation:.2f}",
            f"{band.moved:.2f}",
            " ".join(map(table.label, band.rows[:EXAMPLES])) + (" …" if len(band.rows) > EXAMPLES else ""),
        ]
        for band in bands(table)
    ]
    print(f"Rows of the {table.title} by how often an epoch reads them:")
    print_table(("reads", "rows", "norm", "moved", "symbols"), shown, left=0, last_left=True)
    written = {name: "not defined" if value is None else f"{value:+.2f}" for name, value in correlations.items()}
    print_sentence(
        f"Rank correlation of reads with the norm {written['norm']}, with the distance moved {written['moved']} (rows that are read)."
    )
    named = ", ".join(map(table.label, still[:EXAMPLES])) + (" …" if len(still) > EXAMPLES else "")
    print_sentence(
        f"{len(still)} of {len(norms)} rows were never updated: {named}." if still else f"Every one of the {len(norms)} rows was updated."
    )


def bands(table: TrainedTable) -> list[Band]:
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


def known_counts(table: TrainedTable) -> tuple[Int[np.ndarray, " V"], Float[np.ndarray, " V"]]:
    """Returns how often an epoch reads each row, and how far each has moved. Raises UserError where the run did not keep it."""
    if table.counts is None or table.moved is None:
        raise UserError("--workdir: embedding.npz does not say how often rows are read; expected a run trained by this version")
    return table.counts, table.moved
