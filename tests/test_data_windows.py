"""Windows of a text: what is a pair, what is thinned out, what negatives are drawn."""

from __future__ import annotations

import collections
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from seq2seq_jax.data import draws, windows
from seq2seq_jax.data.draws import EpochCache
from seq2seq_jax.data.vocabulary import PAD, UNK
from seq2seq_jax.data.windows import WindowBatch, WindowBatches, keep_probability, noise_distribution
from seq2seq_jax.model.skip_gram import in_window

BREAK, SYMBOLS = 4, 12  # rows 5 to 11 are words


def text(length: int, seed: int = 0) -> np.ndarray:
    """Returns ids of words, line breaks and unknown words; low ids are frequent."""
    draws = np.random.default_rng(seed)
    return np.minimum(draws.geometric(0.25, length) + 2, SYMBOLS - 1)


def batches(ids: np.ndarray, rows: int = 3, length: int = 5, window: int = 2, subsample: float = 0.0) -> WindowBatches:
    return WindowBatches(ids, np.bincount(ids, minlength=SYMBOLS), BREAK, rows, length, window, subsample)


def epoch(source: WindowBatches, seed: int = 0, number: int = 0) -> list[WindowBatch]:
    first = number * source.steps_per_epoch
    return [source.batch_at(seed, step) for step in range(first, first + source.steps_per_epoch)]


def centres_of(batch: WindowBatch) -> np.ndarray:
    """Returns the units of a batch that are centres."""
    margin = (batch.units.shape[1] - batch.before.shape[1]) // 2
    centres = batch.units[:, margin : margin + batch.before.shape[1]]
    return centres[centres != PAD]


def pairs_of(batch: WindowBatch, window: int) -> list[tuple[int, int]]:
    """Returns the (centre, context) pairs of a batch as the model sees them."""
    rows, centres, offsets = np.nonzero(np.asarray(in_window(jax.tree.map(jnp.asarray, batch))))
    return list(zip(batch.units[rows, centres + window], batch.units[rows, centres + offsets], strict=True))


def test_only_the_current_epoch_of_a_seed_is_kept():
    """Red if earlier epochs are kept too, each as large as the text, or if seeds that are trained in turn push each other out."""
    made = []
    recent = EpochCache(lambda seed, epoch: made.append((seed, epoch)) or (seed, epoch))
    seeds = range(100)  # as many as a comparison may ask for, trained as one program
    for epoch in (0, 1):
        for _ in range(3):
            assert [recent(seed, epoch) for seed in seeds] == [(seed, epoch) for seed in seeds]
    assert made == [(seed, epoch) for epoch in (0, 1) for seed in seeds]
    assert recent(7, 0) == (7, 0)
    assert len(made) == 201


def test_pairs_are_those_of_neighbours_in_a_line():
    """Red if a window crosses a line or the edge of a block wrongly, meets what has no row, or a unit is its own context."""
    ids, window = text(300), 1  # with a window of 1 every unit reaches 1
    expected: collections.Counter = collections.Counter()
    for line in np.split(ids, np.flatnonzero(ids == BREAK)):
        known = [int(unit) for unit in line if unit not in (BREAK, UNK)]
        expected.update(itertools.pairwise(known))
        expected.update(itertools.pairwise(known[::-1]))
    found = collections.Counter((a, b) for batch in epoch(batches(ids, window=window)) for a, b in pairs_of(batch, window))
    assert found == expected


def test_every_unit_is_a_centre_once_an_epoch():
    ids = text(3000)
    for number in (0, 1):
        centres = np.concatenate([centres_of(batch) for batch in epoch(batches(ids, window=4), number=number)])
        assert sorted(centres) == sorted(ids[ids > BREAK])


def test_a_block_is_no_longer_than_the_text():
    """Red if a short text is padded to blocks that memory may not hold."""
    ids = text(20)
    whole = batches(ids, rows=2, length=10**6)
    assert whole.shapes[0][1] <= len(ids)
    assert whole.steps_per_epoch == 1
    assert sorted(centres_of(epoch(whole)[0])) == sorted(ids[(ids != BREAK) & (ids != UNK)])


def test_a_unit_reaches_one_to_window_units_on_both_sides():
    """Red if the sides draw apart, or if the reach depends on anything but the draw; the ends of the one line have less on one side."""
    ids, window = text(3000), 4
    line = ids[ids != BREAK]
    sides = [(batch.before.ravel(), batch.after.ravel()) for batch in epoch(batches(line, window=window))]
    before, after = np.concatenate(sides, axis=1)
    assert np.count_nonzero(before != after) <= 2 * window
    reach = np.maximum(before, after)
    assert np.count_nonzero(reach) == np.count_nonzero(line > BREAK)
    assert stats.chisquare(np.bincount(reach, minlength=window + 1)[1:]).pvalue > 1e-4
    assert reach.max() == window


@pytest.mark.parametrize("subsample", [0.05, 0.0])
def test_a_batch_depends_on_seed_and_step_alone(subsample):
    """Red if an iterator hides somewhere; the number of steps must not depend on what is drawn.

    Red too if blocks come in the order of the text: where nothing is thinned out, it is all that seeds and epochs change in the units.
    """
    ids = text(2000)
    one, other = batches(ids, subsample=subsample), batches(ids, subsample=subsample)
    for step in (7, 0, 3):
        for left, right in zip(one.batch_at(5, step), other.batch_at(5, step), strict=True):
            np.testing.assert_array_equal(left, right)
    assert not np.array_equal(one.batch_at(5, 0).units, one.batch_at(6, 0).units)
    assert not np.array_equal(one.batch_at(5, 0).units, one.batch_at(5, one.steps_per_epoch).units)
    assert not np.array_equal(one.batch_at(5, 0).negatives, one.batch_at(5, 1).negatives)


def test_negatives_follow_the_counts_to_three_quarters():
    """Red for any other power, and if specials or line breaks are drawn."""
    ids = text(4000)
    drawn = np.concatenate([batch.negatives.ravel() for batch in epoch(batches(ids))])
    counts = np.bincount(ids, minlength=SYMBOLS)
    counts[: BREAK + 1] = 0
    assert np.bincount(drawn, minlength=SYMBOLS)[: BREAK + 1].sum() == 0
    observed = np.bincount(drawn, minlength=SYMBOLS)[BREAK + 1 :]
    for power, fits in ((0.75, True), (1.0, False), (0.5, False)):
        shares = counts[BREAK + 1 :] ** power
        assert (stats.chisquare(observed, observed.sum() * shares / shares.sum()).pvalue > 1e-4) == fits
    np.testing.assert_allclose(noise_distribution(counts)[BREAK + 1 :], counts[BREAK + 1 :] ** 0.75 / (counts**0.75).sum())


def test_frequent_units_are_thinned_out_as_often_as_the_formula_says():
    ids, threshold = text(6000), 0.02
    source = batches(ids, subsample=threshold)
    kept = np.concatenate([centres_of(batch) for number in range(5) for batch in epoch(source, 0, number)])
    counts = np.bincount(ids, minlength=SYMBOLS)[BREAK + 1 :]
    share = np.bincount(kept, minlength=SYMBOLS)[BREAK + 1 :] / (5 * counts)
    frequency = counts / counts.sum()
    expected = np.minimum(1, np.sqrt(threshold / frequency) + threshold / frequency)
    assert expected.min() < 0.4
    assert (np.abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / (5 * counts)) + 1e-9).all()
    assert (keep_probability(counts, 0.0) == 1).all()


def test_an_epoch_has_room_for_all_that_is_kept():
    """Red if it has as many places as units are expected: in every second epoch the text would lose its end."""
    source = batches(text(400), rows=1, length=1, subsample=0.05)
    for seed in range(10):
        assert sum(len(centres_of(batch)) for batch in epoch(source, seed)) < source.steps_per_epoch  # some are left


@pytest.mark.parametrize(
    ("ids", "found"), [([5, UNK, 6], True), ([5, BREAK, 6], False), ([BREAK, UNK, 5, BREAK], False), ([BREAK, UNK, UNK], False)]
)
def test_neighbours_are_known_units_of_one_line(ids, found):
    assert batches(np.array(ids)).has_neighbours == found


def test_no_two_draws_have_a_key_in_common(monkeypatch):
    """Red if the windows of a batch are drawn from the numbers that have thinned out the text, or ordered its blocks."""
    keys, draw = [], draws.random_bits

    def recorded(count: int, *key: int) -> np.ndarray:
        keys.append(key)
        return draw(count, *key)

    for module in (draws, windows):
        monkeypatch.setattr(module, "random_bits", recorded)
    source = batches(text(400), subsample=0.05)
    for seed, number in itertools.product((0, 1), (0, 1)):
        epoch(source, seed, number)
    assert len({tuple(np.trim_zeros(key, "b")) for key in keys}) == len(keys) > 4 * source.steps_per_epoch
