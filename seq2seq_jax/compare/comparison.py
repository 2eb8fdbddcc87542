"""The comparison as one JSON object, its keys as ``docs/architecture.md`` promises them to scripts.

Puts together what the neighbouring files compute, and computes nothing itself.
Read next: ``table.py`` and ``report.py``, which show it.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np

from seq2seq_jax.compare import reason, statistics
from seq2seq_jax.compare.grid import Grid, make_grid
from seq2seq_jax.compare.recommend import Recommendation, recommend
from seq2seq_jax.compare.results import Failure, Run, Sweep, read_sweep
from seq2seq_jax.config import UserError


def compare(workdirs: list[str], tolerance: float | None = None) -> dict[str, Any]:
    """Reads the sweeps and returns their comparison, ready for JSON.

    Args:
      workdirs: directory of one sweep.
      tolerance: difference too small to matter, in the metric's unit; None: the metric's own.

    Raises UserError where a directory holds no results or a broken file, or the tolerance is no amount.
    """
    return compare_sweeps([read_sweep(workdir) for workdir in workdirs], tolerance)


def compare_sweeps(sweeps: list[Sweep], tolerance: float | None = None) -> dict[str, Any]:
    """Returns the comparison of sweeps that are already read."""
    if tolerance is not None and not (math.isfinite(tolerance) and tolerance >= 0):
        raise UserError(f"--tolerance={tolerance}: expected a number of at least 0, in the metric's unit")
    (sweep,) = sweeps
    parts = settings_of(sweep)
    compared = [compare_setting(sweep, setting, runs, failures, tolerance) for setting, runs, failures in parts]
    return without_nan(compared[0] if len(compared) == 1 else {"comparisons": compared})


def settings_of(sweep: Sweep) -> list[tuple[dict[str, Any], list[Run], list[Failure]]]:
    """Splits a sweep by the further fields that it varies, in the order of their first member."""
    found: dict[str, tuple[dict[str, Any], list[Run], list[Failure]]] = {}
    for item in [*sweep.runs, *sweep.failures]:
        setting = item.member.setting if item.member is not None else {}
        _, runs, failures = found.setdefault(json.dumps(setting, sort_keys=True), (setting, [], []))
        if isinstance(item, Run):
            runs.append(item)
        else:
            failures.append(item)
    return list(found.values())


def compare_setting(
    sweep: Sweep, setting: dict[str, Any], runs: list[Run], failures: list[Failure], tolerance: float | None
) -> dict[str, Any]:
    """Returns the comparison of runs that differ in size and seed only."""
    grid = make_grid(runs, failures)
    found = recommend(grid, tolerance)
    return {
        "metric": dataclasses.asdict(grid.metric),
        "split": "dev",
        "setting": setting,
        "seed_correlation": float(statistics.seed_correlation(grid.values)),
        "sizes": _size_rows(grid, found, setting),
        "best": {"embedding_dim": _dim(grid, found.best)},
        "recommendation": _recommendation(sweep, grid, found),
        "failed": [{"member": failure.name, "error": failure.error} for failure in failures],
    }


def _dim(grid: Grid, position: int | None) -> int | None:
    return None if position is None else grid.sizes[position].embedding_dim


def _size_rows(grid: Grid, found: Recommendation, setting: dict[str, Any]) -> list[dict[str, Any]]:
    means, half = statistics.means(grid.values), statistics.half_widths(grid.values)
    difference, difference_half, p_values = _against_best(grid, found)
    rows = []
    for column, size in enumerate(grid.sizes):
        rows.append(
            {
                "embedding_dim": size.embedding_dim,
                "table": size.table,
                "setting": setting,
                "runs": len(size.runs),
                "failed": len(size.failures),
                "seeds": [seed for seed, value in zip(grid.seeds, grid.values[:, column], strict=True) if not np.isnan(value)],
                "mean": means[column],
                "ci95": _interval(means[column], half[column]),
                "difference_to_best": difference[column],
                "difference_ci95": _interval(difference[column], difference_half[column]),
                "p_value_holm": p_values[column],
                "parameters": size.runs[0].result["parameters"] if size.runs else None,
                "train_seconds_median": float(np.median([run.result["train_seconds"] for run in size.runs])) if size.runs else None,
            }
        )
    return rows


def _against_best(grid: Grid, found: Recommendation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns each size's mean paired difference to the best, half the width of its interval, and its p value (Holm)."""
    if found.best is None:
        unknown = np.full(len(grid.sizes), np.nan)
        return unknown, unknown, unknown
    pairs = statistics.paired_differences(grid.values)
    half, p_values = pairs.half_widths()[:, found.best], pairs.p_values()[:, found.best]
    itself = np.arange(len(grid.sizes)) == found.best
    return pairs.mean[:, found.best], np.where(itself, np.nan, half), statistics.holm(np.where(itself, np.nan, p_values))


def _interval(middle: float, half: float) -> list[float] | None:
    return None if np.isnan(half) else [middle - half, middle + half]


def _recommendation(sweep: Sweep, grid: Grid, found: Recommendation) -> dict[str, Any]:
    command = reason.next_command(sweep, grid, found)
    sentences = reason.verdict_sentences(grid, found)
    cautions = [*reason.warnings(grid, found), reason.dev_set_warning(grid, found, None)]
    further = reason.going_on(found, command)
    return {
        "embedding_dim": _dim(grid, found.chosen),
        "verdict": "decided" if found.decided else "undecided",
        "tolerance": found.tolerance,
        "excess_bound": found.excess_bound,
        "more_seeds_needed": found.more_seeds_needed,
        "reason": " ".join([*sentences, *cautions, *further]),
        "answer": " ".join(sentences),
        "warnings": cautions,
        "going_on": further,
        "command": command,
        "test": None if found.chosen is None else test_figures(grid, found.chosen),
    }


def test_figures(grid: Grid, column: int) -> dict[str, Any] | None:
    """Returns the test metric of one size: dev chooses, test reports. None where no run of it has a test split."""
    tests = [run.result.get("test") for run in grid.sizes[column].runs]
    values = [test[grid.metric.name] for test in tests if test and test.get(grid.metric.name) is not None]
    if not values:
        return None
    array = np.array(values, dtype=float)[:, None]
    mean, half = float(statistics.means(array)[0]), float(statistics.half_widths(array)[0])
    examples = next((test.get("examples") for test in tests if test), None)
    return {"mean": mean, "ci95": _interval(mean, half), "runs": len(values), "examples": examples}


def without_nan(value: Any) -> Any:
    """Turns NumPy's numbers into Python's, and what is no number into null, since JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
