"""What a step of word vectors gets: units of a text with their neighbours, and drawn units, the negatives, to tell these from.

Frequent units are thinned out first (subsampling), so a window may reach over what was left out, as in word2vec. A window does not
cross the end of a line, and units without a row of their own are left out. The text is then cut into blocks of neighbouring units: a
block's units are gathered once for all its pairs, and share negatives. A batch has blocks from all over the text, and so is a fair
sample of it.

References:
  Mikolov et al. 2013a, Efficient estimation of word representations in vector space (the window that each unit draws: section 3.2).
  Mikolov et al. 2013b, Distributed representations of words and phrases (negatives: section 2.2, thinning: 2.3).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from seq2seq_jax.config import Config
from seq2seq_jax.data.buckets import Shape
from seq2seq_jax.data.draws import ABOVE_SEEDS, EpochCache, as_uniform, permutation, random_bits, uniform
from seq2seq_jax.data.vocabulary import PAD, SPECIALS, Vocabulary
from seq2seq_jax.errors import UserError

NEGATIVES_PER_BLOCK = 32  # weighted so that they count as model.negatives for each pair
NOISE_POWER = 0.75  # of the counts, the distribution that negatives are drawn from
EVALUATION_SEED = ABOVE_SEEDS  # the same windows and negatives whatever the run's seed
_KEPT, _DRAWN = 1, 2  # streams of random numbers below a seed and an epoch; the order of blocks is stream 0
_MARGIN = 4.0  # standard deviations of the number of units kept, so that an epoch's steps hold practically all of them


class WindowBatch(NamedTuple):
    """Blocks of neighbouring units; NumPy on the host, JAX inside a step.

    ``units`` are the T of a block and, before and after these, as many more as a window reaches: S = T + 2 window. ``before`` and
    ``after`` count the contexts of each of the T, up to the distance that it has drawn (1 to window) or the end of its line; 0 where there
    is no unit.
    """

    units: Int[Any, "B S"]
    before: Int[Any, "B T"]
    after: Int[Any, "B T"]
    negatives: Int[Any, "B N"]


class _Epoch(NamedTuple):
    """What is kept for an epoch.

    Attributes:
      units: with a margin of a window on both sides.
      before: units of the same line that stand before each.
      after: and after it.
      blocks: their order.
    """

    units: Int[np.ndarray, " _"]
    before: Int[np.ndarray, " _"]
    after: Int[np.ndarray, " _"]
    blocks: Int[np.ndarray, " _"]


class WindowBatches:
    """The batches of word vectors: every unit that is kept is a centre once an epoch.

    Attributes:
      steps_per_epoch: enough for the units that are expected to be kept; the same for every seed.
      shapes: the one (batch, block) shape.
    """

    def __init__(
        self,
        ids: Int[np.ndarray, " T"],
        counts: Int[np.ndarray, " V"],
        line_break: int | None,
        batch_size: int,
        segment_length: int,
        window: int,
        subsample: float,
    ):
        """Prepares to cut a text.

        Args:
          ids: the text.
          counts: occurrences of each symbol in the training text; negatives and thinning rest on them.
          line_break: the symbol that ends a line, which is no unit itself; None where lines do not matter.
          batch_size: blocks of a batch.
          segment_length: units of a block.
          window: farthest context, units.
          subsample: share of the text above which a unit is thinned out; 0: none is.
        """
        counts = unit_counts(counts, line_break)
        self._ids, self._lines = units_of(ids, counts, line_break)
        self._keep = keep_probability(counts, subsample)[self._ids]
        self._noise = np.cumsum(noise_distribution(counts))
        self._window = window
        most = float(self._keep.sum()) + _MARGIN * math.sqrt(float((self._keep * (1 - self._keep)).sum()))
        self._rows, self._length = batch_size, max(1, min(segment_length, math.ceil(most)))  # a block is no longer than the text
        self.steps_per_epoch = max(1, math.ceil(most / (batch_size * self._length)))
        self.shapes = [(batch_size, self._length)]
        self._epochs = EpochCache(self._epoch)

    @property
    def has_neighbours(self) -> bool:
        """Whether there is anything to predict: a unit with another on its line, after the thinning of an evaluation."""
        return _any_neighbours(self._lines[self._kept(EVALUATION_SEED, 0)])

    @property
    def had_neighbours(self) -> bool:
        """Whether there was, before that thinning."""
        return _any_neighbours(self._lines)

    def shape_at(self, step: int) -> Shape:
        """Returns the (batch, block) shape, the same at every step."""
        del step
        return self.shapes[0]

    def batch_at(self, seed: int, step: int) -> WindowBatch:
        """Returns the batch of a step, counted from 0 over all epochs."""
        number, position = divmod(step, self.steps_per_epoch)
        epoch = self._epochs(seed, number)
        first = self._length * epoch.blocks[position * self._rows : (position + 1) * self._rows, None]
        units = epoch.units[first + np.arange(self._length + 2 * self._window)]
        centres = first + np.arange(self._length)
        bits = random_bits(self._rows * (self._length + NEGATIVES_PER_BLOCK), seed, number, position, _DRAWN).reshape(self._rows, -1)
        reach = (bits[:, NEGATIVES_PER_BLOCK:] % np.uint64(self._window) + np.uint64(1)).astype(np.int32)
        drawn = np.searchsorted(self._noise, as_uniform(bits[:, :NEGATIVES_PER_BLOCK]), side="right")
        negatives = np.minimum(drawn, len(self._noise) - 1).astype(np.int32)  # the sums may end a rounding error below 1
        return WindowBatch(units, np.minimum(reach, epoch.before[centres]), np.minimum(reach, epoch.after[centres]), negatives)

    def _epoch(self, seed: int, number: int) -> _Epoch:
        blocks = self.steps_per_epoch * self._rows
        kept = self._kept(seed, number)[: blocks * self._length]
        missing = blocks * self._length - len(kept)
        before, after = (np.pad(counts, (0, missing)) for counts in _neighbours(self._lines[kept]))
        units = np.pad(self._ids[kept], (self._window, missing + self._window), constant_values=PAD)
        return _Epoch(units, before, after, permutation(blocks, seed, number, 0))

    def _kept(self, seed: int, epoch: int) -> Int[np.ndarray, " _"]:
        """Returns the places of the units that are not thinned out."""
        return np.flatnonzero(uniform(len(self._keep), seed, epoch, 0, _KEPT) < self._keep)


def _any_neighbours(lines: Int[np.ndarray, " _"]) -> bool:
    """Returns whether two units stand on one line, from the numbers of their lines in order."""
    return bool((lines[1:] == lines[:-1]).any())


def _neighbours(lines: Int[np.ndarray, " _"]) -> tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]]:
    """Returns how many units of the same line stand before and after each, from the numbers of their lines in order."""
    starts = np.flatnonzero(np.diff(lines, prepend=-1))  # lines are counted from 0
    counts = np.diff(starts, append=len(lines))
    before = np.arange(len(lines), dtype=np.int32) - np.repeat(starts.astype(np.int32), counts)
    return before, np.repeat(counts.astype(np.int32), counts) - 1 - before


def units_of(
    ids: Int[np.ndarray, " T"], counts: Int[np.ndarray, " V"], line_break: int | None
) -> tuple[Int[np.ndarray, " units"], Int[np.ndarray, " units"]]:
    """Returns what of a text is a unit (``counts``: see ``unit_counts``), and the number of the line that each stands in, from 0."""
    places = np.flatnonzero(counts[ids] > 0)
    ends = np.zeros(len(ids), np.int32) if line_break is None else np.cumsum(ids == line_break, dtype=np.int32)
    return ids[places].astype(np.int32), ends[places]


def unit_counts(counts: Int[np.ndarray, " V"], line_break: int | None) -> Int[np.ndarray, " V"]:
    """Returns the counts with 0 for what is no unit: specials and line breaks."""
    counts = np.array(counts)
    counts[: len(SPECIALS)] = 0
    if line_break is not None:
        counts[line_break] = 0
    return counts


def keep_probability(counts: Int[np.ndarray, " V"], subsample: float) -> Float[np.ndarray, " V"]:
    """Returns the probability that an occurrence is kept: min(1, sqrt(t / f) + t / f) at frequency f, as word2vec computes it.

    (Mikolov et al. 2013b, equation 5, have sqrt(t / f) alone.) With t = ``subsample`` = 0 all are kept.
    """
    frequency = np.maximum(counts, 1) / max(1, counts.sum())
    return np.minimum(1.0, np.sqrt(subsample / frequency) + subsample / frequency) if subsample else np.ones(len(counts))


def noise_distribution(counts: Int[np.ndarray, " V"]) -> Float[np.ndarray, " V"]:
    """Returns the distribution of negatives: counts to the power 3/4, normalised (Mikolov et al. 2013b, section 2.2)."""
    powers = counts.astype(np.float64) ** NOISE_POWER
    return powers / max(1.0, powers.sum())  # 1 is the least that a text with any unit has


def window_batches(config: Config, ids: Int[np.ndarray, " T"], vocabulary: Vocabulary) -> WindowBatches:
    """Returns a text's units with their neighbours; ``vocabulary`` has the counts of the training text."""
    data = config.data
    assert vocabulary.counts is not None  # corpus.py saw to it
    return WindowBatches(
        ids, vocabulary.counts, vocabulary.line_break, config.train.batch_size, data.segment_length, data.window, data.subsample
    )


def check_neighbours(batches: WindowBatches, config: Config, origin: str) -> None:
    """Raises UserError, naming the text's ``origin``, where there is nothing to predict: a loss of nothing would be 0, the best of all."""
    if not batches.has_neighbours:
        thinned = f" and frequent ones thinned out (data.subsample={config.data.subsample:g})" if batches.had_neighbours else ""
        blanks = ", or data.target_unit=char where no blanks part them" if config.data.target_unit == "word" else ""
        expected = "a longer text, or data.subsample=0" if thinned else f"lines of two and more known {config.data.target_unit}s{blanks}"
        raise UserError(
            f"{origin}: no unit has a neighbour on its line, once unknown and rare ones are left out{thinned}; expected {expected}"
        )
