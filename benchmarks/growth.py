"""How the cost of a step grows with the embedding size, the rows of the table, the length and the batch.

Lengths, batches and embedding sizes are those of a language model over 65 characters. A language model's output grows with its
vocabulary too, so the rows are those of a translator's source table, where nothing else depends on them.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping

from benchmarks import ours, timing
from seq2seq_jax.config import ModelConfig

V, D, H, B, T = 65, 64, 256, 32, 64
EMBEDDING_DIMS = (8, 32, 128, 512, 1024)
ROWS = (1_000, 10_000, 100_000, 1_000_000)
LENGTHS = (16, 64, 256)
BATCHES = (8, 32, 128)
TABLE_DIM = 32


def measure(repetitions: int) -> Iterator[timing.Figure]:
    """Yields the seconds of a step along each axis; the points of an axis are measured in turn, tables row by row for their memory."""
    yield from _axis("D", {d: lambda d=d: ours.language_model(V, d, 512, 1, 64, T) for d in EMBEDDING_DIMS}, repetitions)
    yield from _axis("T", {t: lambda t=t: ours.language_model(V, D, H, 1, B, t) for t in LENGTHS}, repetitions)
    yield from _axis("B", {b: lambda b=b: ours.language_model(V, D, H, 1, b, T) for b in BATCHES}, repetitions)
    for rows in ROWS:
        yield from _axis("V", {rows: lambda rows=rows: _with_rows(rows)}, max(repetitions // 2, 3))


def _axis(letter: str, makers: Mapping[int, Callable[[], ours.Training]], repetitions: int) -> Iterator[timing.Figure]:
    actions = {f"growth/{letter}{size}": make() for size, make in makers.items()}
    seconds = timing.in_turn(actions, repetitions)
    actions.clear()
    gc.collect()
    for name, values in seconds.items():
        yield timing.alone(name, values)


def _with_rows(rows: int) -> ours.Training:
    config = ModelConfig(embedding_dim=TABLE_DIM, hidden_dim=H)
    return ours.translator(config, {"source": rows, "target": V}, B, (8, 16))[0]
