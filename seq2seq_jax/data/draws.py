"""Random draws on the host, each a pure function of its numbers (a seed, an epoch, ...) and the same under every version of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt64

ABOVE_SEEDS = 2**31  # larger than every seed; stands in place of one where a draw must not depend on it


def permutation(count: int, seed: int, epoch: int, part: int) -> Int[np.ndarray, " count"]:
    """Returns an order of 0..count-1 drawn from the three numbers."""
    return np.argsort(random_bits(count, seed, epoch, part), kind="stable")


def uniform(count: int, *key: int) -> Float[np.ndarray, " count"]:
    """Returns draws from [0, 1)."""
    return as_uniform(random_bits(count, *key))


def as_uniform(bits: UInt64[np.ndarray, "*B"]) -> Float[np.ndarray, "*B"]:
    """Returns random 64-bit integers as numbers of [0, 1): their first 53 bits, the precision of a double."""
    return (bits >> np.uint64(11)) * 2.0**-53


def random_bits(count: int, *key: int) -> UInt64[np.ndarray, " count"]:
    """Returns random 64-bit integers; keys that differ only in zeros at the end are the same.

    NumPy promises the stream of a bit generator, but not what its distributions make of it.
    """
    return np.atleast_1d(np.random.Philox(np.random.SeedSequence(list(key))).random_raw(count))


class EpochCache:
    """A pure function of seed and epoch, or of the epoch alone. Caches, per seed, the result for the latest epoch."""

    def __init__(self, function: Callable[..., Any]):
        """Wraps a function whose last argument is the epoch."""
        self._function = function
        self._results: dict[tuple[int, ...], tuple[int, Any]] = {}

    def __call__(self, *key: int) -> Any:
        """Returns the function's result, from the cache where the seed's latest epoch is asked for again."""
        *seed, epoch = key
        kept = self._results.get(tuple(seed))
        if kept is None or kept[0] != epoch:
            kept = self._results[tuple(seed)] = (epoch, self._function(*key))
        return kept[1]
