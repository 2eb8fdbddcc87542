"""Rules of thumb for the size of a table, set beside the measured answer: what people do who do not sweep.

Read next: ``answer.py``.

References:
  V^0.25: Google Developers 2017, Introducing TensorFlow feature columns.
  1.6 V^0.56: fastai 2018, default size of an embedding (from a forum post).
  PIP loss: Yin & Shen 2018 (``embeddings/size_estimate.py``), for word vectors.
"""

from __future__ import annotations

from seq2seq_jax.compare import run_files
from seq2seq_jax.compare.grid import Grid
from seq2seq_jax.compare.schema import RuleOfThumbRow, TruncatedRow
from seq2seq_jax.embeddings.spectrum import CARRIED, directions


def rules_of_thumb(grid: Grid) -> list[RuleOfThumbRow]:
    """Returns for each table what the rules recommend; the singular values are those of the first run of the largest size.

    A table that both sides share (``model.share_embeddings``) is one, called ``shared``. Only trained rows count, as in
    ``embeddings spectrum``: the others still have the directions of their random draw.
    """
    learned = [size for size in grid.sizes if size.table == "learned" and size.runs]
    if not learned:
        return []
    largest = learned[-1].runs[0]
    rules: list[RuleOfThumbRow] = []
    tables, least_pip_loss = run_files.tables(largest.directory), run_files.estimated_size(largest.directory)
    shared = largest.fields.get("model.share_embeddings") is True
    for table in tables[:1] if shared else tables:
        vocabulary = len(table.symbols)
        sizes = {
            "V^0.25": vocabulary**0.25,
            "1.6 V^0.56": 1.6 * vocabulary**0.56,
            f"directions with {CARRIED:.0%} of the largest table": float(directions(table.vectors[table.studied])),
            "least PIP loss": least_pip_loss,
        }
        rules += [
            {"table": "shared" if shared else table.side, "vocabulary": vocabulary, "rule": rule, "embedding_dim": size}
            for rule, size in sizes.items()
            if size is not None
        ]
    return rules


def truncated_table(grid: Grid) -> list[TruncatedRow]:
    """Returns the metric of the largest table cut to its first directions, where the sweep has left it."""
    learned = [size for size in grid.sizes if size.table == "learned" and size.runs]
    if not learned:
        return []
    run = learned[-1].runs[0]
    return run_files.truncated(run.directory, run.result["best_step"])
