"""Reads what lies beside ``result.json`` in a run directory: history, per-example scores, tables, examples, configuration.

None of it is needed for the answer: a file that is missing or unreadable is as good as none.
Read next: ``cost.py``, ``bootstrap.py`` and ``rules.py``, which use it.
"""

from __future__ import annotations

import json
import pathlib
import zipfile
from typing import Any

import numpy as np

from seq2seq_jax.config import UserError
from seq2seq_jax.embeddings.tables import Table, read_tables


def dev_history(directory: pathlib.Path) -> list[dict[str, Any]]:
    """Returns the evaluations on dev in the order of their steps, as ``metrics.jsonl`` has them."""
    return _json_lines(directory / "metrics.jsonl", containing='"dev"', having=("step", "elapsed_seconds"))


def samples(directory: pathlib.Path) -> list[dict[str, Any]]:
    """Returns example outputs: source, references, output."""
    return _json_lines(directory / "samples.jsonl", containing="", having=("source", "references", "output"))


def _json_lines(path: pathlib.Path, containing: str, having: tuple[str, ...]) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError):
        return []
    found = []
    for line in lines:
        if containing in line:  # parsing is slow, and most lines are of training
            try:
                value = json.loads(line)
            except ValueError:  # half a line of a killed process
                continue
            if isinstance(value, dict) and all(key in value for key in having):
                found.append(value)
    return found


def dev_scores(directory: pathlib.Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns amounts and sizes of every dev example, whose sums' quotient is the metric (``dev_scores.npz``)."""
    arrays = _arrays(directory / "dev_scores.npz")
    if not {"amounts", "sizes"} <= set(arrays):
        return None
    amounts, sizes = arrays["amounts"].astype(float), arrays["sizes"].astype(float)
    return (amounts, sizes) if amounts.ndim == 1 and amounts.shape == sizes.shape else None


def tables(directory: pathlib.Path) -> list[Table]:
    """Returns the trained tables of ``embedding.npz``, source first."""
    try:
        return read_tables(directory)
    except UserError:
        return []


def truncated(directory: pathlib.Path) -> list[dict[str, Any]]:
    """Returns the metric of a table cut to its first k directions (``truncated.json``: directions and value of each point)."""
    points = _json_object(directory / "truncated.json").get("points")
    return points if isinstance(points, list) else []


def estimated_size(directory: pathlib.Path) -> float | None:
    """Returns the size of word vectors that their text alone suggests (``pip_loss.json``), where the sweep has left it."""
    size = _json_object(directory / "pip_loss.json").get("embedding_dim")
    return float(size) if isinstance(size, int) else None


def configuration(directory: pathlib.Path) -> dict[str, Any]:
    """Returns the configuration of ``config.json`` by section, or nothing."""
    return _json_object(directory / "config.json").get("config", {})


def _json_object(path: pathlib.Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return {}
