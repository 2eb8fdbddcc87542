"""The promises of the statistics, kept in simulated sweeps whose truth is known: thousands a case, all in one array.

A seed's effect is shared by the sizes to the extent of ``correlation``; the smaller a size, the noisier, up to three
times. Shares of simulated sweeps are themselves uncertain: of 4,000 at 5 %, one standard error is 0.34 %.
"""

import dataclasses
import itertools

import numpy as np
import pytest

from seq2seq_jax.compare import statistics

SWEEPS = 4000
CASES = list(itertools.product((2, 4, 7), (3, 5, 10), (0.0, 0.8)))
TOLERANCE = 0.01


@dataclasses.dataclass(frozen=True)
class Truth:
    """A population of sweeps: the true mean of each size, and how runs scatter around it."""

    means: np.ndarray
    noise: float  # standard deviation over seeds of the largest size; of the smallest, three times that
    correlation: float

    def draw(self, rng, seeds, sweeps=SWEEPS):
        sizes = len(self.means)
        shared, own = rng.normal(size=(sweeps, seeds, 1)), rng.normal(size=(sweeps, seeds, sizes))
        scatter = np.sqrt(self.correlation) * shared + np.sqrt(1 - self.correlation) * own
        return self.means + self.noise * np.linspace(3, 1, sizes) * scatter


def curve(sizes, shape):
    """Returns true means as sweeps have them: levelling off, rising again at the largest, all equal, or steps at the tolerance."""
    steps = np.arange(sizes)
    return 0.3 + {
        "levels_off": 0.1 * 0.3**steps,
        "overfits": 0.02 * np.abs(steps - sizes // 2) ** 1.5,
        "equal": 0.0 * steps,
        "just_too_bad": np.where(steps == sizes - 1, 0.0, 1.05 * TOLERANCE),
    }[shape]


def decide(values, tolerance=TOLERANCE):
    """Returns the recommended size, its verdict and the seeds it needs, by the functions that the comparison calls."""
    losses = statistics.means(values)
    every, allowed = np.ones(losses.shape, dtype=bool), np.full(len(values), tolerance)
    chosen = statistics.smallest_sufficient(losses, every, allowed)
    pairs = statistics.paired_differences(values)
    bound = np.take_along_axis(statistics.excess_bounds(pairs), chosen[:, None], 1)[:, 0]
    return chosen, bound <= tolerance, statistics.seeds_needed(pairs, chosen, allowed)


@pytest.mark.parametrize(("sizes", "seeds", "correlation"), CASES)
def test_intervals_cover(sizes, seeds, correlation):
    truth = Truth(curve(sizes, "levels_off"), 0.01, correlation)
    values = truth.draw(np.random.default_rng(sizes * 100 + seeds), seeds)
    covered = np.abs(statistics.means(values) - truth.means) <= statistics.half_widths(values)
    assert ((covered.mean(0) > 0.93) & (covered.mean(0) < 0.97)).all()
    pairs = statistics.paired_differences(values)
    first, last = 0, sizes - 1  # two sizes named beforehand
    covered = np.abs(pairs.mean[:, first, last] - (truth.means[first] - truth.means[last])) <= pairs.half_widths()[:, first, last]
    assert 0.93 < covered.mean() < 0.97
