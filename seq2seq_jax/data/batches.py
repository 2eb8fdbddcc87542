"""What a step gets: ``batch_at(seed, step)`` of pairs and of a running text, and the batches of an evaluation.

A batch is a pure function of the seed and the step, so a resumed run needs no iterator. The seed chooses which examples
fill the batches; the sequence of their shapes depends on the data and the step alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from seq2seq_jax.data.buckets import Layout, Shape, choose_shapes
from seq2seq_jax.data.draws import ABOVE_SEEDS, EpochCache, permutation, random_bits
from seq2seq_jax.data.ragged import Ragged
from seq2seq_jax.data.vocabulary import BOS, EOS, PAD
from seq2seq_jax.errors import UserError

GROUP_STEPS = 4  # steps of equal shape that follow each other, where there are so many; another number is another order of batches
MOST_PLACES = 2**18  # most rows x source units x target units of a batch of pairs longer than training's


class PairBatch(NamedTuple):
    """Pairs, padded with PAD; NumPy on the host, JAX inside a step. A row without an example has target length 0.

    Source and target rows end in EOS, which their lengths count; the model puts BOS before the target itself.
    """

    source: Int[Any, "B S"]
    source_lengths: Int[Any, " B"]
    target: Int[Any, "B T"]
    target_lengths: Int[Any, " B"]


def empty_batch(rows: int, shape: Shape) -> PairBatch:
    """Returns a batch of a shape in which no row has an example."""
    source, target = (np.zeros((rows, units), np.int32) for units in shape)
    return PairBatch(source, np.ones(rows, np.int32), target, np.zeros(rows, np.int32))


class TextBatch(NamedTuple):
    """A segment of each row of a running text; NumPy on the host, JAX inside a step.

    ``weights`` is 1 where a target counts and 0 elsewhere; where ``fresh``, the row's carried state is zeroed before the segment.
    """

    inputs: Int[Any, "B T"]
    targets: Int[Any, "B T"]
    weights: Float[Any, "B T"]
    fresh: Bool[Any, " B"]


class _Rows:
    """Sequences ready to be cut into batches: each with its EOS, and at index -1 the row for places without an example."""

    def __init__(self, sequences: Ragged, empty: Sequence[int]):
        lengths = sequences.lengths + 1
        ends = np.cumsum(lengths, dtype=np.int64)
        flat = np.full(int(lengths.sum()), EOS, np.int32)
        inside = np.ones(len(flat), bool)
        inside[ends - 1] = False
        flat[inside] = sequences.flat
        self.flat = np.concatenate([flat, np.array(empty, np.int32), [np.int32(PAD)]])
        self.starts = np.concatenate([ends - lengths, [len(flat)]])
        self.lengths = np.concatenate([lengths, [len(empty)]]).astype(np.int32)

    def padded(self, indices: Int[np.ndarray, " B"], width: int) -> tuple[Int[np.ndarray, "B T"], Int[np.ndarray, " B"]]:
        """Returns the rows padded to ``width`` and their lengths."""
        lengths = self.lengths[indices]
        columns = np.arange(width)
        positions = np.where(columns < lengths[:, None], self.starts[indices][:, None] + columns, len(self.flat) - 1)
        return self.flat[positions], lengths


class _Pairs:
    def __init__(self, sources: Ragged, targets: Ragged):
        self.sources, self.targets = _Rows(sources, [EOS]), _Rows(targets, [])

    def lengths(self) -> tuple[Int[np.ndarray, " examples"], Int[np.ndarray, " examples"]]:
        return self.sources.lengths[:-1], self.targets.lengths[:-1]

    def fit(self, shape: Shape) -> Bool[np.ndarray, " _"]:
        """Returns which pairs have room in a shape."""
        source_lengths, target_lengths = self.lengths()
        return (source_lengths <= shape[0]) & (target_lengths <= shape[1])

    def batch(self, indices: Int[np.ndarray, " B"], shape: Shape) -> PairBatch:
        return PairBatch(*self.sources.padded(indices, shape[0]), *self.targets.padded(indices, shape[1]))


class PairBatches:
    """The training batches of pairs: every example once an epoch.

    Steps of equal shape form groups of ``GROUP_STEPS`` (the last of a shape may be smaller). The order of the groups is drawn anew for each
    epoch, from the epoch alone; which examples fill a shape is drawn from seed and epoch.

    Attributes:
      steps_per_epoch: ceil(examples / batch_size).
      shapes: distinct (source, target) lengths of the batches, units with EOS.
    """

    def __init__(self, sources: Ragged, targets: Ragged, batch_size: int):
        """Takes the ids of all pairs. Raises UserError where there is none."""
        self._pairs = _Pairs(sources, targets)
        lengths = self._pairs.lengths()
        if not len(lengths[0]):
            raise UserError("data.train: no pair is left to train on")
        self._layout = Layout(*lengths, batch_size, choose_shapes(*lengths, batch_size))
        self.shapes = self._layout.shapes
        self.steps_per_epoch = len(self._layout.batch_shapes)
        self._groups = _groups(self._layout.batch_shapes)
        self._orders = EpochCache(self._order)
        self._slots = EpochCache(self._fill)

    def shape_at(self, step: int) -> Shape:
        """Returns the (source, target) lengths of the step's batch."""
        epoch, position = divmod(step, self.steps_per_epoch)
        return self.shapes[self._layout.batch_shapes[self._orders(epoch)[position]]]

    def batch_at(self, seed: int, step: int) -> PairBatch:
        """Returns the batch of a step, counted from 0 over all epochs."""
        epoch, position = divmod(step, self.steps_per_epoch)
        return self._pairs.batch(self._slots(seed, epoch)[self._orders(epoch)[position]], self.shape_at(step))

    def _order(self, epoch: int) -> Int[np.ndarray, " steps"]:
        return np.concatenate([self._groups[group] for group in permutation(len(self._groups), ABOVE_SEEDS, epoch, 0)])

    def _fill(self, seed: int, epoch: int) -> Int[np.ndarray, "_ B"]:
        return self._layout.fill(lambda shape, count: permutation(count, seed, epoch, shape))


class TextBatches:
    """The training batches of a running text, whose rows carry their state from step to step.

    Row r reads the r-th of ``batch_size`` equal parts of the text, a segment a step; every unit is a target once an epoch.
    The first part begins at a place drawn from seed and epoch, so that the borders move from epoch to epoch. The text is read as a ring,
    where BOS comes before its first unit, as in an evaluation.

    Attributes:
      steps_per_epoch: segments of a row.
      shapes: the one (batch, segment) shape.
    """

    def __init__(self, ids: Int[np.ndarray, " T"], batch_size: int, segment_length: int):
        """Takes the ids of the whole text. Raises UserError where there is none."""
        if not len(ids):
            raise UserError("data.train: the text has no unit to train on")
        self._ids = np.asarray(ids, np.int32)
        self._rows = batch_size
        self._part = -(-len(ids) // batch_size)
        self._segment = min(segment_length, self._part)
        self.steps_per_epoch = -(-self._part // self._segment)
        self.shapes = [(batch_size, self._segment)]

    def shape_at(self, step: int) -> Shape:
        """Returns the (batch, segment) shape, the same at every step."""
        del step
        return self.shapes[0]

    def batch_at(self, seed: int, step: int) -> TextBatch:
        """Returns the segment of each row at a step, counted from 0 over all epochs; every row starts fresh with an epoch."""
        epoch, segment = divmod(step, self.steps_per_epoch)
        start = int(random_bits(1, seed, epoch, 0)[0] % len(self._ids))
        columns = segment * self._segment + np.arange(self._segment)
        places = np.arange(self._rows)[:, None] * self._part + columns
        counted = (columns < self._part) & (places < len(self._ids))
        return _text_batch(self._ids, (places + start) % len(self._ids), counted, np.full(self._rows, segment == 0))


def evaluation_batches(
    sources: Ragged, targets: Ragged, batch_size: int, shapes: Sequence[Shape]
) -> Iterator[tuple[Int[np.ndarray, " B"], PairBatch]]:
    """Yields every pair once, with its index; -1 marks a row without an example.

    ``shapes`` (those of training) are used where the pairs fit. Longer pairs get shapes in steps of 8 units, and fewer rows the longer
    they are: attention weighs every source unit for every target unit, which for a few long lines can be more than memory holds.
    """
    pairs = _Pairs(sources, targets)
    fit = np.logical_or.reduce([pairs.fit(shape) for shape in shapes])
    if fit.any():
        largest = max(source for source, _ in shapes), max(target for _, target in shapes)
        yield from _laid_out(pairs, np.flatnonzero(fit), batch_size, [*shapes, largest])
    if not fit.all():
        yield from _long(pairs, ~fit, batch_size)


def _long(pairs: _Pairs, left: Bool[np.ndarray, " _"], batch_size: int) -> Iterator[tuple[Int[np.ndarray, " B"], PairBatch]]:
    """Yields the pairs that are ``left`` in shapes of their own, the smallest first, each with as many rows as ``MOST_PLACES`` allows."""
    source_lengths, target_lengths = (lengths[left] for lengths in pairs.lengths())
    found = choose_shapes(source_lengths, target_lengths, _batch_rows(int(source_lengths.max()), int(target_lengths.max()), batch_size))
    rounded = {(-(-source // 8) * 8, -(-target // 8) * 8) for source, target in found}
    for shape in sorted(rounded, key=lambda shape: (sum(shape), shape)):
        here = left & pairs.fit(shape)
        if here.any():
            yield from _laid_out(pairs, np.flatnonzero(here), _batch_rows(*shape, batch_size), [shape])
            left = left & ~here


def _batch_rows(source: int, target: int, batch_size: int) -> int:
    return max(1, min(batch_size, MOST_PLACES // (source * target)))


def _laid_out(
    pairs: _Pairs, members: Int[np.ndarray, " _"], rows: int, shapes: list[Shape]
) -> Iterator[tuple[Int[np.ndarray, " B"], PairBatch]]:
    """Yields some of the pairs in batches of these shapes, of which the largest holds all of them."""
    source_lengths, target_lengths = (lengths[members] for lengths in pairs.lengths())
    layout = Layout(source_lengths, target_lengths, rows, shapes)
    for shape, places in zip(layout.batch_shapes, layout.fill(lambda _, count: np.arange(count)), strict=True):
        indices = np.where(places < 0, -1, members[places])
        yield indices, pairs.batch(indices, layout.shapes[shape])


def text_evaluation_batches(ids: Int[np.ndarray, " T"], rows: int, segment_length: int, warm_up: int) -> Iterator[TextBatch]:
    """Yields a text in ``rows`` equal parts, segment by segment, every unit scored once.

    The first ``warm_up`` segments have weight 0: in them each row reads the text before its part, so that it does not start without a
    state. The first row has no text before it and starts fresh after them. A single row needs no warm-up.
    """
    if not len(ids):
        return
    part = -(-len(ids) // rows)
    width = min(segment_length, part)
    first = -warm_up if rows > 1 else 0
    for segment in range(first, -(-part // width)):
        columns = segment * width + np.arange(width)
        places = np.arange(rows)[:, None] * part + columns
        counted = (columns >= 0) & (columns < part) & (places < len(ids))
        fresh = np.full(rows, segment == first)
        fresh[0] |= segment == 0
        yield _text_batch(np.asarray(ids, np.int32), places.clip(0, len(ids) - 1), counted, fresh)


def _groups(batch_shapes: Int[np.ndarray, " batches"]) -> list[Int[np.ndarray, " _"]]:
    """Returns the batches of each shape in groups of ``GROUP_STEPS``."""
    by_shape = (np.flatnonzero(batch_shapes == shape) for shape in np.unique(batch_shapes))
    return [batches[start : start + GROUP_STEPS] for batches in by_shape for start in range(0, len(batches), GROUP_STEPS)]


def _text_batch(
    ids: Int[np.ndarray, " _"], places: Int[np.ndarray, "B T"], counted: Bool[np.ndarray, "B T"], fresh: Bool[np.ndarray, " B"]
) -> TextBatch:
    inputs = np.where(places == 0, BOS, ids[places - 1]).astype(np.int32)
    return TextBatch(inputs, ids[places], counted.astype(np.float32), fresh)
