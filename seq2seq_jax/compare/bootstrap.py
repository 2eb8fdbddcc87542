"""What chance in the dev set's examples adds: a dev set of a few hundred words is itself a sample.

The intervals of a bootstrap over seeds *and* examples stand beside the t intervals, which know seeds only. With few seeds the
bootstrap understates their share of the spread (it resamples from those at hand), so the wider of the two intervals is the one to believe.
Read next: ``answer.py``.

References:
  Bonett & Wright 2000, Sample size requirements for estimating Pearson, Kendall and Spearman correlations (by Fisher's transformation).
  Cochran 1977, Sampling Techniques, section 6.4 (the ratio estimator, for the standard error).
  Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile intervals).
  Koehn 2004, Statistical significance tests for machine translation evaluation (resampling a test set, paired).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from seq2seq_jax.compare import statistics
from seq2seq_jax.compare.grid import Grid
from seq2seq_jax.compare.results import FinishedRun
from seq2seq_jax.evaluate.metrics import ExampleScores
from seq2seq_jax.kinds import RANK_CORRELATION

DRAWS = 1000
MOST_NUMBERS = 10_000_000  # random numbers drawn, so that a large dev set does not keep anyone waiting: it needs fewer draws too
LEVEL = (2.5, 97.5)  # percentiles


def resampled_means(scores: ExampleScores, draws: int) -> Float[np.ndarray, "draws sizes"]:
    """Returns every size's mean metric in ``draws`` resamples of seeds and of examples, both with replacement.

    All sizes meet the same seeds and examples, so that differences are paired. The arrays of ``scores`` are sizes by seeds by examples;
    a run's metric is the sum of its amounts over the sum of what they are a share of, NaN where this is 0.
    """
    columns, seeds, examples = scores.amounts.shape
    rng = np.random.default_rng(0)  # the same figures whenever they are asked for
    times_drawn = _multiplicities(rng.integers(0, examples, (draws, examples)))
    amounts, totals = ((part.reshape(-1, examples) @ times_drawn.T).reshape(columns, seeds, draws) for part in scores)
    rows = rng.integers(0, seeds, (seeds, draws))
    metrics = np.divide(amounts, totals, out=np.full_like(amounts, np.nan), where=totals > 0)
    return np.take_along_axis(metrics, rows[None], axis=1).mean(1).T


def _multiplicities(drawn: Int[np.ndarray, "draws examples"]) -> Float[np.ndarray, "draws examples"]:
    """Returns how often each example was drawn."""
    draws, examples = drawn.shape
    offset = drawn + examples * np.arange(draws)[:, None]
    return np.bincount(offset.ravel(), minlength=draws * examples).reshape(draws, examples).astype(float)


def intervals(grid: Grid, best: int | None) -> tuple[list[list[float] | None], list[list[float] | None]]:
    """Returns 95 % intervals of each size's mean and of its difference to the best size; None where scores are missing or too few.

    A size takes part if it has a run with scores at every seed of the grid.
    """
    nothing: list[list[float] | None] = [None] * len(grid.sizes)
    found = {column: rows for column in range(len(grid.sizes)) if (rows := _scores_of(grid, column))}
    if not found or len({rows.amounts.shape for rows in found.values()}) > 1:
        return nothing, nothing
    columns = list(found)
    scores = _stacked(list(found.values()))
    draws = max(100, min(DRAWS, MOST_NUMBERS // scores.amounts.shape[-1]))
    means = resampled_means(scores, draws)
    own, difference = list(nothing), list(nothing)
    for position, column in enumerate(columns):
        own[column] = _percentiles(means[:, position])
        if best in columns and column != best:
            difference[column] = _percentiles(means[:, position] - means[:, columns.index(best)])
    return own, difference


def _scores_of(grid: Grid, column: int) -> ExampleScores | None:
    """Returns the scores of one size, seeds by examples, if every seed has them and they give the metric that was reported."""
    runs = grid.sizes[column].runs
    if not runs or len(runs) < len(grid.seeds):
        return None
    found = [scores for run in runs if (scores := _fitting_scores(run)) is not None]
    if len(found) < len(runs) or len({len(scores.amounts) for scores in found}) > 1:
        return None
    return _stacked(found)


def _stacked(scores: Sequence[ExampleScores]) -> ExampleScores:
    return ExampleScores(*(np.stack(parts) for parts in zip(*scores, strict=True)))


def _fitting_scores(run: FinishedRun) -> ExampleScores | None:
    """Returns the scores of a run's dev examples, if they give the metric that it reports."""
    scores = run.dev_scores
    if scores is None or not math.isclose(scores.amounts.sum(), run.value * scores.sizes.sum(), rel_tol=1e-6, abs_tol=1e-9):
        return None
    return scores


def _percentiles(values: Float[np.ndarray, " draws"]) -> list[float] | None:
    """Returns the interval; None where a resample has no metric, as one of nothing but examples of size 0."""
    if not np.isfinite(values).all():
        return None
    low, high = np.percentile(values, LEVEL)
    return [float(low), float(high)]


def scored_together(grid: Grid, column: int) -> int | None:
    """Returns how many parts of dev one size's metric is summed over: of a text far fewer than its units. None where that is not known."""
    scores = _fitting_scores(grid.sizes[column].runs[0])
    return None if scores is None else len(scores.amounts)


def standard_error(grid: Grid, column: int, examples: int) -> float | None:
    """Returns the standard error of one size's metric over dev examples: of a quotient of sums, or of a share (Cochran 1977).

    That of a rank correlation is Bonett & Wright's.

    None where it is not known, as where all examples are wrong.
    """
    scores = _fitting_scores(grid.sizes[column].runs[0])
    if scores is not None and len(scores.amounts) > 1:
        amounts, sizes = scores
        residuals = amounts - amounts.sum() / sizes.sum() * sizes
        return float(np.std(residuals, ddof=1) * math.sqrt(len(amounts)) / sizes.sum()) or None  # no scatter says nothing of it
    mean = float(statistics.means(grid.values)[column])
    if grid.metric.proportion:
        share = min(1.0, max(0.0, mean))
        return math.sqrt(share * (1 - share) / examples) or None
    if grid.metric.unit == RANK_CORRELATION and examples > 3:
        return (1 - mean**2) * math.sqrt((1 + mean**2 / 2) / (examples - 3)) or None
    return None
