"""Reads what lies beside ``result.json`` in a run directory: history, per-example scores, tables, examples, configuration.

None of it is needed for the answer: a file, line or figure that is unreadable or not finite counts as missing.
Read next: ``cost.py``, ``bootstrap.py`` and ``rules.py``, which use it.
"""

from __future__ import annotations

import math
import pathlib
import zipfile
from typing import Any, TypeGuard

import numpy as np

from seq2seq_jax.compare.schema import TruncatedRow
from seq2seq_jax.embeddings.tables import TrainedTable, read_tables
from seq2seq_jax.errors import UserError
from seq2seq_jax.evaluate.metrics import ExampleScores
from seq2seq_jax.json_files import readable_lines, readable_object
from seq2seq_jax.records import DEV_SCORES_FILE, METRICS_FILE, PIP_LOSS_FILE, SAMPLES_FILE, TRUNCATED_FILE


def is_number(value: Any) -> TypeGuard[int | float]:
    """Says whether a value that ``parsed`` returned is a number."""
    return isinstance(value, int | float)


def dev_history(directory: pathlib.Path, steps: int) -> list[dict[str, float]]:
    """Returns the figures of the evaluations on dev in the order of their steps, as ``metrics.jsonl`` has them.

    Later ones than ``steps``, the result's last step, are of a longer training that has not finished.
    """
    records = readable_lines(directory / METRICS_FILE, containing='"dev"')
    figures = [{key: value for key, value in record.items() if is_number(value)} for record in records]
    return [found for found in figures if {"step", "elapsed_seconds"} <= set(found) and found["step"] <= steps]


def samples(directory: pathlib.Path) -> list[dict[str, Any]]:
    """Returns example outputs: source, references, output."""
    kinds = {"source": str, "references": list, "output": str}
    records = readable_lines(directory / SAMPLES_FILE)
    return [record for record in records if all(isinstance(record.get(key), kind) for key, kind in kinds.items())]


def dev_scores(directory: pathlib.Path) -> ExampleScores | None:
    """Returns the metric of every dev example (``dev_scores.npz``)."""
    arrays = _arrays(directory / DEV_SCORES_FILE)
    if not {"amounts", "sizes"} <= set(arrays):
        return None
    amounts, sizes = arrays["amounts"], arrays["sizes"]
    if amounts.ndim != 1 or amounts.shape != sizes.shape or {amounts.dtype.kind, sizes.dtype.kind} - set("biuf"):
        return None
    total = float(amounts.sum()) + float(sizes.sum())
    return ExampleScores(amounts.astype(float), sizes.astype(float)) if math.isfinite(total) and sizes.sum() > 0 else None


def tables(directory: pathlib.Path) -> list[TrainedTable]:
    """Returns the tables of ``embedding.npz`` that have trained rows, source first."""
    try:
        return [table for table in read_tables(directory) if np.isfinite(table.vectors).all() and table.studied.any()]
    except UserError:
        return []


def truncated(directory: pathlib.Path, best_step: int) -> list[TruncatedRow]:
    """Returns the metric of the table of ``best_step`` cut to its first k directions; none where ``truncated.json`` is of another one."""
    study = readable_object(directory / TRUNCATED_FILE)
    points = study.get("points") if study.get("best_step") == best_step else None
    found = [point for point in points if isinstance(point, dict)] if isinstance(points, list) else []
    figures = [(point.get("directions"), point.get("value")) for point in found]
    return [{"directions": directions, "value": value} for directions, value in figures if is_number(directions) and is_number(value)]


def estimated_size(directory: pathlib.Path) -> float | None:
    """Returns the size of word vectors that their text alone suggests (``pip_loss.json``), where the sweep has left it."""
    size = readable_object(directory / PIP_LOSS_FILE).get("embedding_dim")
    return float(size) if isinstance(size, int) else None


def fields_in(record: dict[str, Any]) -> dict[str, Any]:
    """Returns the configuration in the content of ``config.json`` by dotted path, such as ``model.hidden_dim``, or nothing."""
    sections = record.get("config")
    found = {name: values for name, values in sections.items() if isinstance(values, dict)} if isinstance(sections, dict) else {}
    return {f"{section}.{name}": value for section, values in found.items() for name, value in values.items()}


def _arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile):  # TypeError: one array alone, which is no archive
        return {}
