"""The comparison of one setting as a JSON object: a row for each size, the answer, and what it rests on.

Puts together what the neighbouring files compute, and computes nothing itself. The keys are promised to scripts in
``docs/architecture.md``, "A run directory".
Read next: ``comparison.py``, which calls this for every setting.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from seq2seq_jax.compare import bootstrap, cost, rules, statistics
from seq2seq_jax.compare.artifacts import is_number
from seq2seq_jax.compare.grid import Grid
from seq2seq_jax.compare.recommend import Recommendation
from seq2seq_jax.compare.results import Failure

SEEDS_SHOWN = (3, 5, 10, 20)  # for which the noise floor says what they would detect


@dataclasses.dataclass(frozen=True)
class Words:
    """The sentences of an answer: what to take and how sure that is, what to beware of, how to go on and with which command."""

    answer: list[str]
    warnings: list[str]
    going_on: list[str]
    command: str | None


def comparison_object(
    grid: Grid, recommendation: Recommendation, words: Words, setting: dict[str, Any], failures: list[Failure], pooled: bool = False
) -> dict[str, Any]:
    """Returns the whole object. NaN stands where a figure is not known (``without_nan`` makes it null).

    Several sweeps ``pooled`` have figures that are relative, to which histories, scores and tables of single runs say nothing.
    """
    costs = [cost.cost_of(size) for size in grid.sizes]
    return {
        "metric": dataclasses.asdict(grid.metric),
        "split": "dev",
        "setting": setting,
        "seed_correlation": float(statistics.seed_correlation(grid.values)),
        "sizes": _size_rows(grid, recommendation, setting, costs, pooled),
        "best": {"embedding_dim": _dim(grid, recommendation.best)},
        "recommendation": _recommendation(grid, recommendation, words),
        "failed": [{"member": failure.name, "error": failure.error} for failure in failures],
        "noise_floor": noise_floor(grid),
        "trained_together": cost.trained_together(grid),
        "pareto": cost.fronts(grid, statistics.means(grid.losses), costs),
        "at_equal_time": [] if pooled else cost.at_equal_time(grid),
        "rules_of_thumb": [] if pooled else rules.rules_of_thumb(grid),
        "truncated_table": [] if pooled else rules.truncated_table(grid),
    }


def _dim(grid: Grid, position: int | None) -> int | None:
    return None if position is None else grid.sizes[position].embedding_dim


def _size_rows(
    grid: Grid, recommendation: Recommendation, setting: dict[str, Any], costs: list[dict[str, Any]], pooled: bool
) -> list[dict[str, Any]]:
    means, half = statistics.means(grid.values), statistics.half_widths(grid.values)
    deviations = statistics.standard_deviations(grid.values)
    difference, difference_half, p_values = _against_best(grid, recommendation)
    nothing = [None] * len(grid.sizes)
    resampled, resampled_difference = (nothing, nothing) if pooled else bootstrap.intervals(grid, recommendation.best)
    return [
        {
            "embedding_dim": size.embedding_dim,
            "table": size.table,
            "setting": setting,
            "runs": len(size.runs),
            "failed": len(size.failures),
            **_by_seed(grid, column),
            "mean": means[column],
            "ci95": _interval(means[column], half[column]),
            "difference_to_best": difference[column],
            "difference_ci95": _interval(difference[column], difference_half[column]),
            "p_value_holm": p_values[column],
            "standard_deviation": deviations[column],
            "bootstrap_ci95": resampled[column],
            "difference_bootstrap_ci95": resampled_difference[column],
            **costs[column],
        }
        for column, size in enumerate(grid.sizes)
    ]


def _by_seed(grid: Grid, column: int) -> dict[str, Any]:
    known = np.flatnonzero(~np.isnan(grid.values[:, column]))
    return {"seeds": [grid.seeds[row] for row in known], "values": list(grid.values[known, column])}


def _against_best(grid: Grid, recommendation: Recommendation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns each size's mean paired difference to the best, half the width of its interval, and its p value (Holm)."""
    if recommendation.best is None:
        unknown = np.full(len(grid.sizes), np.nan)
        return unknown, unknown, unknown
    pairs = statistics.paired_differences(grid.values)
    half, p_values = pairs.half_widths()[:, recommendation.best], pairs.p_values()[:, recommendation.best]
    itself = np.arange(len(grid.sizes)) == recommendation.best
    return pairs.mean[:, recommendation.best], np.where(itself, np.nan, half), statistics.holm(np.where(itself, np.nan, p_values))


def _interval(middle: float, half: float) -> list[float] | None:
    return [middle - half, middle + half] if np.isfinite(half) else None


def _recommendation(grid: Grid, recommendation: Recommendation, words: Words) -> dict[str, Any]:
    return {
        "embedding_dim": _dim(grid, recommendation.chosen),
        "verdict": "decided" if recommendation.decided else "undecided",
        "tolerance": recommendation.tolerance,
        "excess_bound": recommendation.excess_bound,
        "more_seeds_needed": recommendation.more_seeds_needed,
        "reason": " ".join([*words.answer, *words.warnings, *words.going_on]),
        "test": None if recommendation.chosen is None else _test_figures(grid, recommendation.chosen),
        "answer": words.answer,
        "warnings": words.warnings,
        "going_on": words.going_on,
        "command": words.command,
    }


def _test_figures(grid: Grid, column: int) -> dict[str, Any] | None:
    """Returns the test metric of one size: dev chooses, test reports. None where no run of it has a test split."""
    tests = [run.result.get("test") for run in grid.sizes[column].runs]
    values = [test[grid.metric.name] for test in tests if test and is_number(test.get(grid.metric.name))]
    if not values:
        return None
    array = np.array(values, dtype=float)[:, None]
    mean, half = float(statistics.means(array)[0]), float(statistics.half_widths(array)[0])
    examples = next((test.get("examples") for test in tests if test), None)
    return {"mean": mean, "ci95": _interval(mean, half), "runs": len(values), "examples": examples}


def noise_floor(grid: Grid) -> dict[str, Any]:
    """Returns the spread over seeds alone, and the smallest difference between two sizes that so many seeds detect (power 0.8).

    Spreads are pooled over the learned sizes, as roots of mean variances, in the metric's unit.
    """
    values = grid.values[:, grid.learned]
    pairs = statistics.paired_differences(values)
    upper = np.triu(np.ones(pairs.deviation.shape, dtype=bool), 1)
    of_differences = _pooled(pairs.deviation[upper])
    counts = pairs.count[upper]
    now = int(counts.max()) if counts.size else 0
    return {
        "standard_deviation": _pooled(statistics.standard_deviations(values)),
        "standard_deviation_of_differences": of_differences,
        "seeds": now,
        "detectable_difference": statistics.detectable_difference(of_differences, now),
        "by_seeds": [
            {"seeds": seeds, "detectable_difference": statistics.detectable_difference(of_differences, seeds)} for seeds in SEEDS_SHOWN
        ],
    }


def _pooled(deviations: np.ndarray) -> float:
    known = deviations[~np.isnan(deviations)]
    return float(np.sqrt(np.mean(known**2))) if known.size else math.nan


def without_nan(value: Any) -> Any:
    """Turns NumPy's numbers into Python's, and what is no number into null, since JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
