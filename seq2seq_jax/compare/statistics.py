"""What can be said about sizes from runs that are paired by seed: pure functions of an array ``[seeds, sizes]``.

NaN stands for a run that is missing. Every function also takes leading dimensions, one sweep after the other, so that
thousands of simulated sweeps can prove its promises (``tests/test_compare_simulation.py``). A figure that the data do not
give (an interval of one run) is NaN. Knows nothing of files, metrics or which direction is good: a *loss* is a value of
which less is better.
Read next: ``recommend.py``.

References:
  Student 1908, The probable error of a mean (intervals and paired differences).
  Holm 1979, A simple sequentially rejective multiple test procedure.
  Hsu 1996, Multiple Comparisons: Theory and Methods, chapter 4 (comparison with the best).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import nctdtrinc, stdtr, stdtrit

Values = Float[np.ndarray, "*sweeps seeds sizes"]
PerSize = Float[np.ndarray, "*sweeps sizes"]
PerPair = Float[np.ndarray, "*sweeps sizes sizes"]
PerSweep = Float[np.ndarray, "*sweeps"]

CONFIDENCE = 0.95
POWER = 0.8  # probability of finding a difference that is called detectable
MOST_SEEDS = 100  # beyond it, more seeds are no advice
ROUNDING = 1e-9  # two sums of the same numbers in another order differ by less, in any metric's unit


def _moments(values: Float[np.ndarray, " ..."], axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns count, mean and standard deviation (n - 1) along ``axis``, leaving out NaN."""
    valid = ~np.isnan(values)
    count = valid.sum(axis).astype(float)
    mean = np.where(valid, values, 0.0).sum(axis) / np.where(count > 0, count, np.nan)
    squares = np.where(valid, values - np.expand_dims(mean, axis), 0.0) ** 2
    return count, mean, np.sqrt(squares.sum(axis) / np.where(count > 1, count - 1, np.nan))


def t_quantile(count: Float[np.ndarray, " ..."], probability: float) -> Float[np.ndarray, " ..."]:
    """Returns Student's t at ``probability`` for a mean of ``count`` values; NaN for fewer than two."""
    counts = np.arange(count.max(initial=0) + 1)  # each once: the sweeps may be thousands
    return stdtrit(np.where(counts > 1, counts - 1, np.nan), probability)[count.astype(int)]


def means(values: Values) -> PerSize:
    """Returns each size's mean over its seeds."""
    return _moments(values, -2)[1]


def adjusted_means(values: Values, reference: Bool[np.ndarray, " sizes"]) -> PerSize:
    """Returns each size's mean as if it had every seed: that of the ``reference`` sizes, plus its mean difference to them by seed.

    Seeds lift and lower sizes alike, so that a size of which only the easy seeds have finished looks better than it is. A size that has all
    seeds of the reference keeps its own mean; NaN for one that shares none with it.
    """
    level = values[..., reference].mean(-1, keepdims=True)
    return means(level) + means(values - level)


def standard_deviations(values: Values) -> PerSize:
    """Returns each size's standard deviation over its seeds, with n - 1."""
    return _moments(values, -2)[2]


def half_widths(values: Values) -> PerSize:
    """Returns half the width of each mean's t interval: ``t(n - 1) s / sqrt(n)`` (Student 1908)."""
    count, _, deviation = _moments(values, -2)
    return t_quantile(count, (1 + CONFIDENCE) / 2) * deviation / np.sqrt(np.where(count > 0, count, np.nan))


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Paired differences ``size i - size j`` over the seeds that both have: number, mean and standard deviation (n - 1)."""

    count: PerPair
    mean: PerPair
    deviation: PerPair

    def half_widths(self) -> PerPair:
        """Returns half the width of each mean difference's t interval."""
        return t_quantile(self.count, (1 + CONFIDENCE) / 2) * self._error()

    def p_values(self) -> PerPair:
        """Returns two-sided p values of the paired t test. Differences without any spread: 1 where they are zero, else 0."""
        error = self._error()
        t = np.abs(self.mean) / np.where(error > 0, error, np.nan)
        p = 2 * stdtr(np.where(self.count > 1, self.count - 1, np.nan), -t)
        return np.where(error <= ROUNDING, np.where(np.abs(self.mean) <= ROUNDING, 1.0, 0.0), p)

    def upper_bounds(self) -> PerPair:
        """Returns the one-sided upper bound of each mean difference."""
        return self.mean + t_quantile(self.count, CONFIDENCE) * self._error()

    def _error(self) -> PerPair:
        return self.deviation / np.sqrt(np.where(self.count > 0, self.count, np.nan))


def paired_differences(values: Values) -> Pairs:
    """Compares every size with every other over the seeds that both have."""
    return Pairs(*_moments(values[..., :, None] - values[..., None, :], -3))


def holm(p_values: PerSize) -> PerSize:
    """Corrects p values for their number, step down (Holm 1979). NaN is no test: it stays NaN and is not counted.

    The k-th smallest of m becomes the largest over l <= k of ``min(1, (m - l + 1) p_l)``.
    """
    order = np.argsort(p_values, axis=-1)  # NaN last
    tests = (~np.isnan(p_values)).sum(-1, keepdims=True)
    factors = tests - np.arange(p_values.shape[-1])
    stepped = np.maximum.accumulate(np.minimum(1.0, np.take_along_axis(p_values, order, -1) * factors), axis=-1)
    corrected = np.empty_like(stepped)
    np.put_along_axis(corrected, order, stepped, -1)
    return corrected


def differences_to(values: Values, size: int) -> tuple[PerSize, PerSize, PerSize]:
    """Compares every size with the one at position ``size``.

    Returns the mean paired difference, half the width of its t interval, and its p value, corrected for their number (Holm 1979).
    Of the size itself the difference is 0 and the other two are NaN; of one that is equal but for rounding it is 0 too.
    """
    pairs = paired_differences(values)
    itself = np.arange(values.shape[-1]) == size
    half, p_values = (np.where(itself, np.nan, figures[..., size]) for figures in (pairs.half_widths(), pairs.p_values()))
    mean = pairs.mean[..., size]
    return np.where(np.abs(mean) <= ROUNDING, 0.0, mean), half, holm(p_values)


def excess_bounds(pairs: Pairs) -> PerSize:
    """Returns by how much each size can be worse than the truly best one, with 95 % confidence.

    The largest, over every other size, of the mean paired loss difference plus its one-sided t bound (Hsu 1996, the
    comparison with the best, here paired: whichever size is truly best, the bound against that one holds). NaN where a
    pair has fewer than two seeds in common, or where there is no other size.
    """
    others = _without_self(pairs.upper_bounds())
    return np.where(np.isneginf(others).all(-1), np.nan, others.max(-1))


def seeds_needed(pairs: Pairs, size: Int[np.ndarray, "*sweeps"], tolerance: PerSweep) -> PerSweep:
    """Returns the smallest number of seeds, from 2 to 100, that would bring the excess bound of ``size`` within the tolerance.

    Assumes today's mean differences and standard deviations, with t at n - 1. NaN where no such number does.
    """
    mean = np.take_along_axis(_without_self(pairs.mean), size[..., None, None], -2)[..., 0, :]
    deviation = np.take_along_axis(pairs.deviation, size[..., None, None], -2)[..., 0, :]
    needed = np.full(size.shape, np.nan)
    for count in range(MOST_SEEDS, 1, -1):
        bound = (mean + stdtrit(count - 1.0, CONFIDENCE) * deviation / np.sqrt(count)).max(-1)
        needed = np.where(bound <= tolerance + ROUNDING, float(count), needed)
    return needed


def _without_self(pairs: PerPair) -> PerPair:
    """Puts minus infinity where a size is compared with itself."""
    return np.where(np.eye(pairs.shape[-1], dtype=bool), -np.inf, pairs)


def best_size(losses: PerSize, eligible: Bool[np.ndarray, "*sweeps sizes"]) -> Int[np.ndarray, "*sweeps"]:
    """Returns the position of the smallest mean loss among the eligible sizes; of equal ones, the first."""
    candidates = np.where(eligible, losses, np.inf)
    return np.asarray(np.argmax(candidates <= candidates.min(-1, keepdims=True) + ROUNDING, axis=-1))


def smallest_sufficient(losses: PerSize, eligible: Bool[np.ndarray, "*sweeps sizes"], tolerance: PerSweep) -> Int[np.ndarray, "*sweeps"]:
    """Returns the position of the first eligible size whose mean loss is within ``tolerance`` of the best mean."""
    candidates = np.where(eligible, losses, np.inf)
    return np.asarray(np.argmax(candidates <= candidates.min(-1, keepdims=True) + tolerance[..., None] + ROUNDING, axis=-1))


def seed_correlation(values: Values) -> PerSweep:
    """Returns the correlation of sizes over seeds, which is what pairing buys.

    The mean covariance of two sizes over the mean product of their deviations: it sums before it divides, since the
    correlation of three seeds alone is nearly arbitrary. NaN without spread or pairs.
    """
    differences = values[..., :, None] - values[..., None, :]
    own = np.where(np.isnan(differences), np.nan, values[..., :, None])
    deviation = _moments(own, -3)[2]
    variance = np.where(deviation <= ROUNDING, 0.0, deviation) ** 2
    mirrored = np.swapaxes(variance, -1, -2)
    covariance = (variance + mirrored - _moments(differences, -3)[2] ** 2) / 2
    upper = np.triu(np.ones(covariance.shape[-2:], dtype=bool), 1) & ~np.isnan(covariance)
    scale = np.where(upper, np.sqrt(variance * mirrored), 0.0).sum((-2, -1))
    correlation = np.where(upper, covariance, 0.0).sum((-2, -1)) / np.where(scale > 0, scale, np.nan)
    return np.asarray(correlation.clip(-1, 1))  # which rounding may leave


def pooled_deviation(deviations: Float[np.ndarray, " n"]) -> float:
    """Returns several standard deviations as one, the root of their mean variance, leaving out NaN; NaN where none is known."""
    known = deviations[~np.isnan(deviations)]
    return float(np.sqrt(np.mean(known**2))) if known.size else float("nan")


def detectable_difference(deviation: float, count: int) -> float:
    """Returns the smallest true difference that a two-sided paired t test at 5 % finds with a power of 0.8.

    ``delta s / sqrt(n)``, where ``delta`` is the noncentrality at which t exceeds its critical value with that
    probability. ``deviation`` is that of the paired differences, in the metric's unit. NaN for fewer than two seeds.

    References: Student 1908; Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, chapter 2.
    """
    if count < 2:
        return float("nan")
    if deviation <= ROUNDING:  # equal differences at every seed
        return 0.0
    critical = stdtrit(count - 1, (1 + CONFIDENCE) / 2)
    return float(nctdtrinc(count - 1, 1 - POWER, critical) * deviation / np.sqrt(count))
