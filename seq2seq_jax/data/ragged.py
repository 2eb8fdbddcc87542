"""Sequences of unequal lengths in one flat array: a hundred thousand examples without as many objects."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int


@dataclasses.dataclass(frozen=True)
class Ragged:
    """Sequences of ids of unequal lengths, end to end in ``flat``, without specials."""

    flat: Int[np.ndarray, " T"]
    lengths: Int[np.ndarray, " sequences"]

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def of(cls, sequences: Iterable[Sequence[int] | np.ndarray]) -> Ragged:
        """Lays sequences end to end."""
        rows = list(sequences)
        lengths = np.fromiter(map(len, rows), np.int32, len(rows))
        return cls(np.fromiter(itertools.chain.from_iterable(rows), np.int32, int(lengths.sum())), lengths)

    def take(self, indices: Int[np.ndarray, " taken"]) -> Ragged:
        """Returns the sequences at the indices."""
        starts = np.cumsum(self.lengths) - self.lengths
        lengths = self.lengths[indices]
        ends = np.cumsum(lengths)
        positions = np.arange(int(lengths.sum())) + np.repeat(starts[indices] - (ends - lengths), lengths)
        return Ragged(self.flat[positions], lengths)
