"""Rules of thumb for the size of a table, set beside the measured answer: what people do who do not sweep.

Read next: ``answer.py``.

References:
  V^0.25: Google Developers 2017, Introducing TensorFlow feature columns.
  1.6 V^0.56: fastai 2018, default size of an embedding (from a forum post).
  PIP loss: Yin & Shen 2018 (``embeddings/pip_loss.py``), for word vectors.
"""

from __future__ import annotations

from typing import Any

from seq2seq_jax.compare import artifacts
from seq2seq_jax.compare.grid import Grid
from seq2seq_jax.embeddings.spectrum import CARRIED, directions


def rules_of_thumb(grid: Grid) -> list[dict[str, Any]]:
    """Returns for each table what the rules recommend; the singular values are those of the first run of the largest size.

    Only trained rows count, as in ``embeddings spectrum``: the others still have the directions of their random draw.
    """
    learned = [size for size in grid.sizes if size.table == "learned" and size.runs]
    if not learned:
        return []
    directory = learned[-1].runs[0].directory
    rules = []
    for table in artifacts.tables(directory):
        vocabulary = len(table.symbols)
        for name, size in (("V^0.25", vocabulary**0.25), ("1.6 V^0.56", 1.6 * vocabulary**0.56)):
            rules.append({"table": table.side, "vocabulary": vocabulary, "rule": name, "embedding_dim": float(size)})
        carrying = {"table": table.side, "vocabulary": vocabulary, "rule": f"directions with {CARRIED:.0%} of the largest table"}
        rules.append(carrying | {"embedding_dim": float(directions(table.vectors[table.studied]))})
        estimate = artifacts.estimated_size(directory)
        if estimate is not None:
            rules.append({"table": table.side, "vocabulary": vocabulary, "rule": "least PIP loss", "embedding_dim": estimate})
    return rules


def truncated_table(grid: Grid) -> list[dict[str, Any]]:
    """Returns the metric of the largest table cut to its first directions, where the sweep has left it."""
    learned = [size for size in grid.sizes if size.table == "learned" and size.runs]
    return artifacts.truncated(learned[-1].runs[0].directory) if learned else []
