"""The answer for one setting as a JSON object: a row for each size, what to take, and what it rests on.

Puts what the neighbouring files compute under the keys of ``compare --format=json``, which ``docs/architecture.md``, "A run directory",
promises to scripts; ``cost.py`` and ``rules.py`` name those inside what they return.
Read next: ``comparison.py``, which calls this for every setting.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from seq2seq_jax.compare import bootstrap, cost, rules, statistics
from seq2seq_jax.compare.grid import Grid
from seq2seq_jax.compare.reason import Words
from seq2seq_jax.compare.recommend import Recommendation, comparable_losses
from seq2seq_jax.compare.results import Failure
from seq2seq_jax.compare.run_files import is_number
from seq2seq_jax.compare.schema import (
    Cost,
    HiddenDimRow,
    Interval,
    MetricRow,
    NoiseFloor,
    OnTest,
    RecommendationRow,
    SettingComparison,
    SizeRow,
    TuningSummary,
)

SEEDS_SHOWN = (3, 5, 10, 20)  # for which the noise floor says what they would detect


def answer_object(
    grid: Grid,
    recommendation: Recommendation,
    words: Words,
    setting: dict[str, Any],
    failures: list[Failure],
    tuning: TuningSummary | None,
    hidden_dims: list[HiddenDimRow] | None = None,
) -> SettingComparison:
    """Returns the whole object. NaN stands where a figure is not known (``without_nan`` makes it null).

    Figures of a pooled grid are relative to their data sets: histories, scores, tables and test figures of single runs say nothing
    of them and are left out.

    Args:
      grid: the runs of one setting, or of several sweeps pooled.
      recommendation: what follows from them.
      words: the same in sentences.
      setting: values of the further swept fields.
      failures: members without a result.
      tuning: what was chosen for each size before the comparison; None without.
      hidden_dims: of each size, where they differ.
    """
    costs = [cost.cost_of(size) for size in grid.sizes]
    return {
        "metric": cast(MetricRow, grid.metric.to_json()),
        "split": "dev",
        "setting": setting,
        "seed_correlation": math.nan if grid.pooled else float(statistics.seed_correlation(grid.values[:, grid.learned])),
        "sizes": _size_rows(grid, recommendation.best, setting, costs),
        "best": {"embedding_dim": _dim(grid, recommendation.best)},
        "recommendation": _recommendation(grid, recommendation, words),
        "failed": [{"member": failure.name, "error": failure.error} for failure in failures],
        "noise_floor": _noise_floor(grid),
        "trained_together": cost.trained_together(grid),
        "pareto": cost.fronts(grid, comparable_losses(grid), costs),
        "at_equal_time": [] if grid.pooled else cost.at_equal_time(grid),
        "rules_of_thumb": [] if grid.pooled else rules.rules_of_thumb(grid),
        "truncated_table": [] if grid.pooled else rules.truncated_table(grid),
        "tuning": tuning,
        "hidden_dims": hidden_dims or [],
    }


def _dim(grid: Grid, position: int | None) -> int | None:
    return None if position is None else grid.sizes[position].embedding_dim


def _size_rows(grid: Grid, best: int | None, setting: dict[str, Any], costs: list[Cost]) -> list[SizeRow]:
    means, half = statistics.means(grid.values), statistics.half_widths(grid.values)
    deviations = statistics.standard_deviations(grid.values)
    unknown = np.full(len(grid.sizes), np.nan)
    difference, difference_half, p_values = (unknown,) * 3 if best is None else statistics.differences_to(grid.values, best)
    nothing = [None] * len(grid.sizes)
    resampled, resampled_difference = (nothing, nothing) if grid.pooled else bootstrap.intervals(grid, best)
    return [
        {
            "embedding_dim": size.embedding_dim,
            "table": size.table,
            "setting": setting,
            "runs": len(size.runs),
            "failed": len(size.failures),
            "seeds": [seed for seed, value in zip(grid.seeds, grid.values[:, column], strict=True) if not np.isnan(value)],
            "values": [value for value in grid.values[:, column] if not np.isnan(value)],
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


def _interval(middle: float, half: float) -> Interval:
    return [middle - half, middle + half] if np.isfinite(half) else None


def _recommendation(grid: Grid, recommendation: Recommendation, words: Words) -> RecommendationRow:
    more = recommendation.more_seeds_needed
    found: RecommendationRow = {
        "embedding_dim": _dim(grid, recommendation.chosen),
        "verdict": "decided" if recommendation.decided else "undecided",
        "has_learned": words.has_learned,
        "tolerance": recommendation.tolerance,
        "excess_bound": recommendation.excess_bound,
        "more_seeds_needed": None if grid.pooled else more,
        "reason": " ".join([*words.answer, *words.warnings, *words.going_on]),
        "test": None if recommendation.chosen is None or grid.pooled else _test_figures(grid, recommendation.chosen),
        "answer": words.answer,
        "warnings": words.warnings,
        "going_on": words.going_on,
        "command": words.command,
    }
    if grid.pooled:
        found["data_sets"], found["more_data_sets_needed"] = len(grid.seeds), more
    return found


def _test_figures(grid: Grid, column: int) -> OnTest | None:
    """Returns the test metric of one size: dev chooses, test reports. None where no run of it has a test split."""
    tests = [run.result.get("test") for run in grid.sizes[column].runs]
    values = [test[grid.metric.name] for test in tests if test and is_number(test.get(grid.metric.name))]
    if not values:
        return None
    array = np.array(values, dtype=float)[:, None]
    mean, half = float(statistics.means(array)[0]), float(statistics.half_widths(array)[0])
    examples = next((test.get("examples") for test in tests if test), None)
    return {"mean": mean, "ci95": _interval(mean, half), "runs": len(values), "examples": examples}


def _noise_floor(grid: Grid) -> NoiseFloor:
    """Returns the spread over seeds alone, and the smallest difference between two sizes that so many seeds detect (power 0.8).

    Spreads are pooled over the learned sizes, in the metric's unit. The seeds of today are those of two sizes with all of theirs.
    """
    values = grid.values[:, grid.learned]
    pairs = statistics.paired_differences(values)
    upper = np.triu(np.ones(pairs.deviation.shape, dtype=bool), 1)  # each pair once
    pair_deviation = statistics.pooled_deviation(pairs.deviation[upper])
    counts = pairs.count[upper]
    now = int(counts.max()) if counts.size else 0
    return {
        "standard_deviation": statistics.pooled_deviation(statistics.standard_deviations(values)),
        "standard_deviation_of_differences": pair_deviation,
        "seeds": now,
        "detectable_difference": _detectable(pair_deviation, now),
        "by_seeds": [{"seeds": seeds, "detectable_difference": _detectable(pair_deviation, seeds)} for seeds in SEEDS_SHOWN],
    }


def _detectable(deviation: float, seeds: int) -> float:
    """Returns the smallest difference detected; NaN where no two runs of a size differ: they are alike by chance, and not exact."""
    return statistics.detectable_difference(deviation, seeds) or math.nan


def without_nan(value: Any) -> Any:
    """Turns NumPy's numbers into Python's, and what is no number into null, since JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
