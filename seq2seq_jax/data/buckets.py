"""Which shapes the batches of a set of pairs have, and which examples stand in each. Sees lengths only, never ids.

A few shapes (each is a compilation) are chosen so that little is padded. An example belongs to the cheapest shape that
it fits into; what does not fill a batch there moves on to the next larger shape, so that one epoch has
ceil(examples / batch size) batches and only the last of the largest shape is partial.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

Shape = tuple[int, int]  # units of source and target, both with their EOS

MAX_SHAPES = 8  # distinct shapes of an epoch
GOOD_PADDING = 0.14  # share of padding below which no further shape is worth its compilation
_LEVELS = 24  # most distinct lengths that are considered, of sources and of targets


class Layout:
    """The batches of an epoch: their shapes, and which examples may stand where.

    Attributes:
      shapes: those that occur, cheapest first.
      batch_shapes: index into ``shapes`` of each batch; batches of equal shape follow each other.
      padding_share: share of the places of an epoch's source and target arrays that hold no unit, 0 to 1.
    """

    def __init__(
        self,
        source_lengths: Int[np.ndarray, " examples"],
        target_lengths: Int[np.ndarray, " examples"],
        batch_size: int,
        shapes: list[Shape],
    ):
        """Every example must fit into one of the shapes, and the last of the sorted shapes must hold all others."""
        shapes = sorted(set(shapes), key=lambda shape: (sum(shape), shape))
        home = _fits(source_lengths, target_lengths, shapes).argmax(axis=1)
        self._batch_size = batch_size
        self._members, self._next, self.shapes = [], [], []
        waiting = np.zeros(len(shapes), np.int64)  # examples that move on to a shape
        counts = []
        for index, shape in enumerate(shapes):
            total = int((home == index).sum() + waiting[index])
            last = index == len(shapes) - 1
            moving = 0 if last else total % batch_size
            larger = next((j for j in range(index + 1, len(shapes)) if shapes[j][0] >= shape[0] and shapes[j][1] >= shape[1]), index)
            waiting[larger] += moving
            self._members.append(np.flatnonzero(home == index))
            self._next.append(larger)
            counts.append(-(-(total - moving) // batch_size))
        used = np.flatnonzero(counts)
        self.shapes = [shapes[index] for index in used]
        self.batch_shapes = np.repeat(np.arange(len(used)), np.array(counts, np.int64)[used])
        tokens = int(source_lengths.sum() + target_lengths.sum())
        slots = batch_size * sum(count * sum(shape) for count, shape in zip(counts, shapes, strict=True))
        self.padding_share = 1 - tokens / slots

    def fill(self, permute: Callable[[int, int], Int[np.ndarray, " count"]]) -> Int[np.ndarray, "_ B"]:
        """Returns the examples of each batch, a row each; -1 marks an empty place.

        Args:
          permute: gives, for the index of a shape and a count n, an order of 0..n-1.
        """
        pools = [[members] for members in self._members]
        slots = []
        for index, pool in enumerate(pools):
            members = np.concatenate(pool)
            members = members[permute(index, len(members))]
            last = index == len(pools) - 1
            kept = len(members) if last else len(members) // self._batch_size * self._batch_size
            slots.append(members[:kept])
            if not last:
                pools[self._next[index]].append(members[kept:])
        flat = np.concatenate(slots)
        empty = np.full(-len(flat) % self._batch_size, -1, flat.dtype)
        return np.concatenate([flat, empty]).reshape(-1, self._batch_size)


def choose_shapes(
    source_lengths: Int[np.ndarray, " examples"], target_lengths: Int[np.ndarray, " examples"], batch_size: int
) -> list[Shape]:
    """Returns the fewest shapes that keep padding below ``GOOD_PADDING``, or the best found with up to ``MAX_SHAPES``.

    Greedy addition and then exchange, one shape at a time, on the table of lengths; the largest shape always stays.
    """
    sources, targets = _rounded(source_lengths), _rounded(target_lengths)
    cells, counts = np.unique(np.stack([sources, targets]), axis=1, return_counts=True)
    grid = np.stack(np.meshgrid(np.unique(sources), np.unique(targets), indexing="ij")).reshape(2, -1)
    candidates = [(int(source), int(target)) for source, target in grid.T]
    fits = _fits(cells[0], cells[1], candidates)
    prices = np.where(fits, grid.sum(axis=0), np.inf)  # slots that an example of the cell takes in the candidate's batches
    chosen = [len(candidates) - 1]
    best, best_share = [candidates[-1]], np.inf
    while len(chosen) <= min(MAX_SHAPES, len(candidates)):
        shapes = [candidates[index] for index in chosen]
        share = Layout(source_lengths, target_lengths, batch_size, shapes).padding_share
        if share < best_share - 1e-9:
            best, best_share = shapes, share
        if share < GOOD_PADDING:
            break
        chosen = _exchanged([*chosen, _best_addition(prices, counts, chosen)], prices, counts)
    return best


def _best_addition(prices: Float[np.ndarray, "cells candidates"], counts: Int[np.ndarray, " cells"], chosen: list[int]) -> int:
    """Returns the candidate that, beside the chosen ones, leaves the fewest slots."""
    now = prices[:, chosen].min(axis=1, keepdims=True)
    return int((counts @ np.minimum(prices, now)).argmin())


def _exchanged(chosen: list[int], prices: Float[np.ndarray, "cells candidates"], counts: Int[np.ndarray, " cells"]) -> list[int]:
    """Exchanges one chosen candidate at a time, but never the first, while that saves slots."""
    changed = True
    while changed:
        changed = False
        for place in range(1, len(chosen)):
            others = chosen[:place] + chosen[place + 1 :]
            candidate = _best_addition(prices, counts, others)
            saved = counts @ prices[:, chosen].min(axis=1) - counts @ prices[:, [*others, candidate]].min(axis=1)
            if saved > 0:
                chosen[place], changed = candidate, True
    return chosen


def _fits(
    sources: Int[np.ndarray, " examples"], targets: Int[np.ndarray, " examples"], shapes: list[Shape]
) -> Bool[np.ndarray, "examples shapes"]:
    sizes = np.array(shapes)
    return (sources[:, None] <= sizes[:, 0]) & (targets[:, None] <= sizes[:, 1])


def _rounded(lengths: Int[np.ndarray, " examples"]) -> Int[np.ndarray, " examples"]:
    """Rounds lengths up to at most ``_LEVELS`` values, the largest among them.

    Half are quantiles, where most examples are; half grow evenly in ratio, so that the long tail is cut too.
    """
    if len(np.unique(lengths)) <= _LEVELS:
        return lengths
    quantiles = np.quantile(lengths, np.linspace(0, 1, _LEVELS // 2), method="higher")
    ratios = np.geomspace(max(1, lengths.min()), lengths.max(), _LEVELS // 2 + 1)[1:-1].astype(lengths.dtype)
    levels = np.unique(np.concatenate([quantiles, ratios]))
    return levels[np.searchsorted(levels, lengths)]
