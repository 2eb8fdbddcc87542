"""Writes sweep directories as train and sweep would, with made-up figures, for tests of the comparison."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

METRIC = {"name": "word_error_rate", "unit": "fraction", "lower_is_better": True, "tolerance": 0.01}


def result(size: int, seed: int, value: float | None, metric: Mapping[str, Any] = METRIC, **changes: Any) -> dict[str, Any]:
    """Returns a result.json: a finished run with this dev value, or a failed one where it is None."""
    figures = {metric["name"]: value, "loss_nats_per_token": 0.61, "examples": 450}
    found = {
        "format": 1,
        "status": "finished",
        "error": None,
        "varied": {"model.embedding_dim": size, "train.seed": seed},
        "metric": dict(metric),
        "dev": figures,
        "test": None if value is None else {**figures, metric["name"]: value + 0.02},
        "best_step": 1800,
        "steps": 2400,
        "train_seconds": 60.0 + size / 10 + seed,
        "tokens_per_second": 41000,
        "parameters": {"embedding": 76 * size, "total": 812_345 + 1100 * size},
        "config_sha256": "0" * 64,
        "versions": {"jax": "0.10.2"},
        "device": "cpu",
    }
    if value is None:
        found |= {"status": "failed", "error": "out of memory at step 3", "dev": None}
    return found | changes


def member_name(size: int, seed: int) -> str:
    return f"embedding_dim={size},seed={seed}"


def write_sweep(
    root: pathlib.Path,
    values: Mapping[int, list[float | None]],
    metric: Mapping[str, Any] = METRIC,
    grid: bool = True,
    not_run: int = 0,
    **changes: Any,
) -> str:
    """Writes a sweep: ``values`` holds the dev figures of each size by seed, None for a failed run.

    ``grid`` adds sweep.json, with ``not_run`` further seeds that have no result; ``changes`` go into every result.json.
    """
    root.mkdir(parents=True, exist_ok=True)
    members = []
    for size, figures in values.items():
        for seed in range(len(figures) + not_run):
            varied = {"model.embedding_dim": size, "train.seed": seed}
            members.append({"name": member_name(size, seed), "varied": varied})
            if seed < len(figures):
                directory = root / member_name(size, seed)
                directory.mkdir(parents=True)
                (directory / "result.json").write_text(json.dumps(result(size, seed, figures[seed], metric, **changes)))
    if grid:
        command = f"launch.py sweep --config=experiments/pronunciation.py --workdir={root} --seeds=0,1,2"
        sweep = {"format": 1, "experiment": "experiments/pronunciation.py", "axes": {}, "members": members, "command": command}
        (root / "sweep.json").write_text(json.dumps(sweep))
    return str(root)
