"""From a grid of runs to one size with its verdict.

The rule stands in ``docs/architecture.md``, "The comparison": the smallest size whose mean is within the tolerance of the
best mean; *decided* where its excess bound is within the tolerance too. Knows nothing of files and layouts.
Read next: ``reason.py`` for the words.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from jaxtyping import Float

from seq2seq_jax.compare import statistics
from seq2seq_jax.compare.grid import Grid

RELATIVE_TOLERANCE = 0.05  # of the best mean, where neither user nor metric gives a tolerance


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recommendation:
    """The answer, by positions in the grid's sizes.

    Attributes:
      best: the complete size with the best mean; None where no size is complete.
      chosen: the recommended size; None likewise.
      tolerance: difference too small to matter, in the metric's unit; NaN where it is a share of the best mean and no mean is known.
      relative: whether that is a share of the best mean, which nobody has chosen for this metric.
      excess_bound: the chosen size is worse than the truly best by at most this (95 %); None where it cannot be said.
      decided: whether that is within the tolerance.
      seeds_needed: seeds in all that would decide it, as things look today; None where no number up to 100 would.
      more_seeds_needed: how many of them are missing today, beyond those that the chosen size shares with every other.
      incomplete_best: size with a failed run that would have been the best, if there is one.
      incomplete_chosen: size with a failed run that would have been recommended, if there is one.
    """

    best: int | None = None
    chosen: int | None = None
    tolerance: float
    relative: bool = False
    excess_bound: float | None = None
    decided: bool = False
    seeds_needed: int | None = None
    more_seeds_needed: int | None = None
    incomplete_best: int | None = None
    incomplete_chosen: int | None = None

    @property
    def may_change(self) -> bool:
        """Whether another size would be the best or recommended, had none of its runs failed or been missing."""
        return self.incomplete_best is not None or self.incomplete_chosen is not None


def recommend(grid: Grid, tolerance: float | None) -> Recommendation:
    """Chooses a size and says whether that is decided. ``tolerance``, in the metric's unit, replaces the metric's own."""
    losses = comparable_losses(grid)
    with_results = grid.learned & ~np.isnan(losses)
    would_best = int(statistics.best_size(losses, with_results)) if with_results.any() else None
    if not grid.eligible.any():
        tolerance = _tolerance(grid, tolerance, math.nan if would_best is None else abs(float(losses[would_best])))
        would_choose = None if would_best is None else int(statistics.smallest_sufficient(losses, with_results, np.array(tolerance)))
        return Recommendation(tolerance=tolerance, incomplete_best=would_best, incomplete_chosen=would_choose)
    best = int(statistics.best_size(losses, grid.eligible))
    relative = tolerance is None and grid.metric.tolerance is None
    tolerance = _tolerance(grid, tolerance, abs(float(losses[best])))
    chosen = int(statistics.smallest_sufficient(losses, grid.eligible, np.array(tolerance)))
    bound, needed, now = _bound(grid, chosen, tolerance)
    decided = bound is not None and bound <= tolerance + statistics.ROUNDING
    needed = None if decided else needed
    would_choose = int(statistics.smallest_sufficient(losses, with_results, np.array(tolerance)))
    return Recommendation(
        best=best,
        chosen=chosen,
        tolerance=tolerance,
        relative=relative,
        excess_bound=bound,
        decided=decided,
        seeds_needed=needed,
        more_seeds_needed=None if needed is None else needed - now,
        incomplete_best=None if would_best == best else would_best,
        incomplete_chosen=None if grid.eligible[would_choose] else would_choose,
    )


def comparable_losses(grid: Grid) -> Float[np.ndarray, " sizes"]:
    """Returns each size's mean loss; that of a size that lacks runs by its paired difference to the best one, as the table shows it.

    NaN where nothing is known of it. Plain means where every size lacks runs.
    """
    losses = statistics.means(grid.losses)
    if not grid.eligible.any():
        return losses
    best = np.arange(len(losses)) == statistics.best_size(losses, grid.eligible)
    return np.where(grid.eligible, losses, statistics.adjusted_means(grid.losses, best))


def _tolerance(grid: Grid, typed: float | None, best_mean: float) -> float:
    if typed is not None:
        return typed
    return grid.metric.tolerance if grid.metric.tolerance is not None else RELATIVE_TOLERANCE * best_mean


def _bound(grid: Grid, chosen: int, tolerance: float) -> tuple[float | None, int | None, int]:
    """Returns the excess bound of the chosen size, the number of seeds that would decide it, and the fewest that it shares with another.

    Baselines are left out. There is no bound where another size shares fewer than two seeds with it, as one without results does.
    """
    columns = np.flatnonzero(grid.learned)
    pairs = statistics.paired_differences(grid.losses[:, columns])
    position = np.flatnonzero(columns == chosen)[0]
    bound = float(statistics.excess_bounds(pairs)[position])
    if math.isnan(bound):
        return None, None, 0
    needed = float(statistics.seeds_needed(pairs, np.array(position), np.array(tolerance)))
    now = int(np.delete(pairs.count[position], position).min())
    return bound, None if math.isnan(needed) else int(needed), now
