"""``batch_at``: every example once, pure, shapes of the data alone, little padding; and evaluation scores everything once."""

import numpy as np
import pytest

from seq2seq_jax import config as configuration
from seq2seq_jax.data import named, splits
from seq2seq_jax.data.batches import MOST_PLACES, PairBatches, TextBatches, evaluation_batches, permutation, text_evaluation_batches
from seq2seq_jax.data.buckets import Layout
from seq2seq_jax.data.ragged import Ragged
from seq2seq_jax.data.vocabulary import BOS, EOS, PAD


def _pairs(count=500, seed=0):
    """Pairs of unequal lengths; the source's first unit is the pair's number."""
    rng = np.random.default_rng(seed)
    sources = [[1000 + number, *rng.integers(4, 30, rng.integers(0, 12)).tolist()] for number in range(count)]
    return sources, [rng.integers(4, 30, rng.integers(1, 15)).tolist() for _ in sources]


def _training(sources, targets, batch_size):
    return PairBatches(Ragged.of(sources), Ragged.of(targets), batch_size)


def _evaluation(sources, targets, batch_size, shapes):
    return evaluation_batches(Ragged.of(sources), Ragged.of(targets), batch_size, shapes)


def _rows(batch):
    """The examples of a batch as (source, target), read back from the padded arrays."""
    rows = []
    for source, source_length, target, target_length in zip(*map(np.asarray, batch), strict=True):
        assert (source[source_length:] == PAD).all()
        assert (target[target_length:] == PAD).all()
        if target_length:
            assert source[source_length - 1] == target[target_length - 1] == EOS
            rows.append((tuple(source[: source_length - 1]), tuple(target[: target_length - 1])))
        else:
            assert (source_length, source[0]) == (1, EOS)
    return rows


@pytest.mark.parametrize(("count", "batch_size"), [(500, 32), (500, 1), (3, 8), (64, 64), (65, 64)])
def test_an_epoch_has_every_example_exactly_once(count, batch_size):
    sources, targets = _pairs(count)
    batches = _training(sources, targets, batch_size)
    assert batches.steps_per_epoch == -(-count // batch_size)
    expected = sorted((tuple(source), tuple(target)) for source, target in zip(sources, targets, strict=True))
    for epoch in (0, 1, 5):
        steps = range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch)
        found = [batches.batch_at(7, step) for step in steps]
        assert {len(batch.source) for batch in found} == {batch_size}
        assert {(batch.source.shape[1], batch.target.shape[1]) for batch in found} == set(batches.shapes)
        assert sorted(row for batch in found for row in _rows(batch)) == expected


def test_a_batch_is_a_function_of_seed_and_step():
    sources, targets = _pairs()
    one, other = _training(sources, targets, 32), _training(sources, targets, 32)
    keys = [(seed, step) for seed in range(12) for step in (0, 3, 15, 16, 40, 200)]
    forward = {key: one.batch_at(*key) for key in keys}
    for key in reversed(keys):
        for here, there in zip(forward[key], other.batch_at(*key), strict=True):
            np.testing.assert_array_equal(here, there)


def test_the_seed_chooses_examples_but_not_shapes():
    batches = _training(*_pairs(), 32)
    steps = range(2 * batches.steps_per_epoch)
    found = {seed: [batches.batch_at(seed, step) for step in steps] for seed in (0, 1)}
    shapes = {seed: [batch.source.shape + batch.target.shape for batch in found[seed]] for seed in found}
    assert shapes[0] == shapes[1]
    assert [(shape[1], shape[3]) for shape in shapes[0]] == [batches.shape_at(step) for step in steps]
    drawn = {seed: [_rows(batch) for batch in found[seed]] for seed in found}
    assert sum(one == other for one, other in zip(drawn[0], drawn[1], strict=True)) == 0
    half = batches.steps_per_epoch
    assert shapes[0][:half] != shapes[0][half:]  # the order of shapes is drawn anew in each epoch
    assert sorted(shapes[0][:half]) == sorted(shapes[0][half:])


def test_examples_that_share_a_batch_are_parted_in_the_next_epoch():
    batches = _training([[1000 + number] for number in range(256)], [[4]] * 256, 32)
    groups = [{frozenset(_rows(batches.batch_at(0, 8 * epoch + step))) for step in range(8)} for epoch in (0, 1)]
    assert groups[0].isdisjoint(groups[1])


def test_batches_of_one_shape_come_in_runs():
    batches = _training(*_pairs(4000), 16)
    shapes = [batches.shape_at(step) for step in range(batches.steps_per_epoch)]
    starts = [0, *(step for step in range(1, len(shapes)) if shapes[step] != shapes[step - 1]), len(shapes)]
    runs = np.diff(starts)
    assert np.mean(runs >= 4) > 0.8
    assert runs.max() < len(shapes) / 4


def test_permutations_stay_as_they_were():
    """A change here changes what every recorded seed means."""
    assert len({tuple(permutation(8, *key)) for key in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))}) == 4
    assert permutation(8, 3, 1, 2).tolist() == [6, 3, 4, 1, 5, 0, 2, 7]


def test_padding_of_the_default_job_is_small():
    pairs = splits.split_pairs(named.read_cmudict(named.locate("cmudict", "train")), 0.05, 0.05)["train"]
    lengths = np.array([(len(word), phones.count(" ") + 1) for word, phones in pairs], np.int32)
    batches = PairBatches(*(Ragged(np.full(side.sum(), 7, np.int32), side) for side in lengths.T), batch_size=32)
    assert len(batches.shapes) <= 6
    found = [batches.batch_at(0, step) for step in range(batches.steps_per_epoch)]
    places = sum(batch.source.size + batch.target.size for batch in found)
    units = sum(int((batch.target_lengths > 0) @ batch.source_lengths + batch.target_lengths.sum()) for batch in found)
    with_end = lengths + 1
    padding = Layout(with_end[:, 0], with_end[:, 1], 32, batches.shapes).padding_share
    assert 1 - units / places == pytest.approx(padding, rel=1e-12)
    assert padding < 0.15


def test_evaluation_has_every_pair_once_with_its_index():
    sources, targets = _pairs(130)
    training = _training(*_pairs(500, seed=1), 32)
    sources[17] = list(range(1000, 1050))  # longer than anything in training
    indices = []
    for found, batch in _evaluation(sources, targets, 32, training.shapes):
        assert len(found) == len(batch.source) == 32
        rows = _rows(batch)
        assert rows == [(tuple(sources[index]), tuple(targets[index])) for index in found if index >= 0]
        indices += found[found >= 0].tolist()
    assert sorted(indices) == list(range(130))
    shapes = {(batch.source.shape[1], batch.target.shape[1]) for _, batch in _evaluation(*_pairs(130), 32, training.shapes)}
    assert shapes <= set(training.shapes)


def test_long_pairs_are_scored_in_few_rows():
    """Red if a few long lines are scored in as many padded rows as training has, which memory cannot hold."""
    sources, targets = _pairs(50)
    lengths = (700, 700), (90, 90), (1500, 1500), (700, 20)
    for place, (source, target) in zip((3, 20, 21, 40), lengths, strict=True):
        sources[place], targets[place] = list(range(source)), list(range(target))
    found = list(_evaluation(sources, targets, 32, _training(*_pairs(500, seed=1), 32).shapes))
    assert sorted(index for indices, _ in found for index in indices if index >= 0) == list(range(50))
    for indices, batch in found:
        rows, places = len(batch.source), batch.source.size * batch.target.shape[1]
        assert rows == 1 or places <= MOST_PLACES
        assert _rows(batch) == [(tuple(sources[index]), tuple(targets[index])) for index in indices if index >= 0]
    assert {len(batch.source) for _, batch in found} == {1, 28, 32}  # those of 96 x 96 places are 28


def test_pairs_somewhat_longer_than_training_s_cost_few_shapes():
    """Red if each of a few such pairs is given a shape, and a compilation, of its own."""
    sources, targets = _pairs(300)
    for place in range(20):
        sources[place], targets[place] = ([7] * (13 + place * 47 // 19) for _ in range(2))
    training = _training(*_pairs(500, seed=1), 32).shapes
    shapes = {batch.source.shape[1] for _, batch in _evaluation(sources, targets, 32, training)}
    assert len(shapes - {source for source, _ in training}) == 1


def test_evaluation_of_nothing_and_of_empty_targets():
    assert list(_evaluation([], [], 4, [(2, 1)])) == []
    found = list(_evaluation([[], [5]], [[], []], 4, [(2, 1)]))
    assert [indices.tolist() for indices, _ in found] == [[0, 1, -1, -1]]
    assert found[0][1].source_lengths.tolist() == [1, 2, 1, 1]
    assert found[0][1].target_lengths.tolist() == [1, 1, 0, 0]


def test_ragged_take_agrees_with_lists():
    rows = [[1], [], [2, 3, 4], [5, 6]]
    taken = Ragged.of(rows).take(np.array([2, 0, 1, 2]))
    assert np.split(taken.flat, np.cumsum(taken.lengths)[:-1])[0].tolist() == [2, 3, 4]
    assert taken.flat.tolist() == [2, 3, 4, 1, 2, 3, 4]
    assert taken.lengths.tolist() == [3, 1, 0, 3]


@pytest.mark.parametrize(("units", "rows", "segment"), [(1000, 4, 32), (1003, 8, 16), (5, 8, 16), (97, 1, 10)])
def test_a_text_is_predicted_once_an_epoch_from_the_unit_before(units, rows, segment):
    ids = np.arange(10, 10 + units, dtype=np.int32)
    batches = TextBatches(ids, rows, segment)
    for epoch in (0, 1):
        carried = None
        seen = []
        for step in range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch):
            batch = batches.batch_at(3, step)
            assert batch.inputs.shape == batch.targets.shape == batches.shapes[0] == batches.shape_at(step)
            counted = batch.weights > 0
            seen += batch.targets[counted].tolist()
            expected = np.where(batch.targets == 10, BOS, batch.targets - 1)
            np.testing.assert_array_equal(batch.inputs[counted], expected[counted])
            assert batch.fresh.all() == batch.fresh.any() == (carried is None)
            if carried is not None:  # a row goes on where its last segment ended
                assert all(counted[row, 0] <= (batch.inputs[row, 0] in (carried[row], BOS)) for row in range(rows))
            carried = batch.targets[:, -1]
        assert sorted(seen) == ids.tolist()


def test_borders_of_a_text_move_with_seed_and_epoch():
    batches, others = (TextBatches(np.arange(10, 1010, dtype=np.int32), 4, 50) for _ in range(2))
    firsts = {int(batches.batch_at(seed, step).targets[0, 0]) for seed in (0, 1) for step in (0, batches.steps_per_epoch)}
    assert len(firsts) == 4
    np.testing.assert_array_equal(batches.batch_at(0, 3).targets, others.batch_at(0, 3).targets)


@pytest.mark.parametrize(("units", "rows", "segment", "warm_up"), [(1000, 4, 32, 3), (1003, 8, 16, 1), (5, 8, 16, 1), (97, 1, 10, 4)])
def test_evaluation_of_a_text_scores_every_unit_once_after_its_own_past(units, rows, segment, warm_up):
    ids = np.arange(10, 10 + units, dtype=np.int32)
    scored = []
    past = [[] for _ in range(rows)]  # inputs since the row was last made fresh: what the carried state knows
    for batch in text_evaluation_batches(ids, rows, segment, warm_up):
        for row in range(rows):
            past[row] = [] if batch.fresh[row] else past[row]
            for place in range(batch.inputs.shape[1]):
                past[row].append(int(batch.inputs[row, place]))
                if batch.weights[row, place]:
                    target = int(batch.targets[row, place])
                    before = [BOS, *range(10, target)]
                    assert past[row] == before[-len(past[row]) :]
                    assert len(past[row]) == len(before) or len(past[row]) > min(warm_up * batch.inputs.shape[1], len(before) - 1)
                    scored.append(target)
    assert sorted(scored) == ids.tolist()


def test_nothing_to_train_on_is_a_users_mistake():
    with pytest.raises(configuration.UserError, match=r"data\.train: no pair"):
        _training([], [], 4)
    with pytest.raises(configuration.UserError, match=r"data\.train: the text"):
        TextBatches(np.zeros(0, np.int32), 4, 8)
