"""The step: what N steps are, what devices share, and what the log sees."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config, TrainConfig, replace
from seq2seq_jax.data.corpus import load_corpus, training_batches
from seq2seq_jax.errors import UserError
from seq2seq_jax.model.build import initial_params
from seq2seq_jax.train import devices
from seq2seq_jax.train.devices import Devices, EvaluationThreads, Threads, choose_device_count, choose_devices
from seq2seq_jax.train.optimizer import learning_rate_of, make_schedule
from seq2seq_jax.train.programs import initial_state, programs
from seq2seq_jax.train.state import TrainState, root_key
from tests.training_fixture import pair_config, text_config, vector_config, write_pairs, write_text


def trained(config: Config, steps: int, shared: Devices, learning_rate: float | None = None) -> TrainState:
    """Makes ``steps`` updates on devices, or by threads, and returns the host state."""
    corpus = load_corpus(config)
    batches = training_batches(config, corpus)
    compiled = programs(config, corpus.vocabulary_sizes, steps, shared, 10, batches.shapes)
    state = initial_state(config, compiled.structure, initial_params(config.model, corpus.vocabulary_sizes, root_key(0)))
    if learning_rate is not None:
        state = state._replace(learning_rate=jnp.float32(learning_rate))
    state = shared.place(state)
    for step in range(steps):
        state = compiled.train_step(state, shared.split_batch(batches.batch_at(config.train.seed, step)))
    return shared.gather(state)


def begun(config: Config) -> tuple[Any, TrainState, Any]:
    """Returns the step of a run on one device, its parts within reach, the state before the first update, and the batches."""
    corpus = load_corpus(config)
    sizes = corpus.vocabulary_sizes
    batches = training_batches(config, corpus)
    compiled = programs(config, sizes, 1, Devices(1), 10, batches.shapes)
    state = initial_state(config, compiled.structure, initial_params(config.model, sizes, root_key(0)))
    return compiled.train_step, state, batches


@pytest.fixture(params=["translator", "language_model", "skip_gram"])
def shared_config(request, tmp_path):
    if request.param == "skip_gram":
        return vector_config(write_text(tmp_path / "a.txt", 3000), train__batch_size=16)
    if request.param == "translator":
        return pair_config(write_pairs(tmp_path / "a.tsv", 60), model__dropout=0.3, train__label_smoothing=0.1, train__average_decay=0.5)
    return text_config(write_text(tmp_path / "a.txt", 3000), model__dropout=0.3, train__batch_size=16)


def test_the_average_follows_the_parameters(tmp_path):
    """Against the same recursion over the parameters of every step; its decay rises as (1 + step) / (10 + step)."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 60), train__average_decay=0.2)
    states = [trained(config, steps, Devices(1)) for steps in range(4)]
    mean = states[0].params
    same = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7)
    for decay, state in zip((1 / 10, 2 / 11, 0.2), states[1:], strict=True):
        mean = jax.tree.map(lambda old, new, decay=decay: decay * old + (1 - decay) * new, mean, state.params)
        jax.tree.map(same, state.average, mean)
        assert state.evaluated is state.average
    slower = trained(pair_config(tmp_path / "a.tsv", train__average_decay=0.9), 3, Devices(1))
    jax.tree.map(np.testing.assert_array_equal, slower.params, states[-1].params)  # the average changes nothing else: to the bit ...
    plain = trained(pair_config(tmp_path / "a.tsv"), 3, Devices(1))
    jax.tree.map(same, plain.params, states[-1].params)  # ... and to rounding, since without it another program is compiled
    assert plain.evaluated is plain.params


def assert_same(one: TrainState, other: TrainState) -> None:
    """States are equal to rounding."""
    for (path, expected), actual in zip(jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=2e-4, atol=2e-6, err_msg=jax.tree_util.keystr(path))


def test_devices_share_a_batch_without_changing_the_experiment(shared_config):
    """Red if dropout is keyed by the row on its device, if a mean is taken per device, a gradient not summed, or rows not exchanged."""
    alone = trained(shared_config, 4, Devices(1))
    for count in (2, 8):
        assert_same(alone, trained(shared_config, 4, Devices(count)))


@pytest.mark.parametrize("shared_config", ["translator", "language_model"], indirect=True)
def test_threads_share_a_batch_without_changing_the_experiment(shared_config):
    """Red if each takes the mean of its own rows, if dropout or the carried state of another's rows reaches them, or a row is left out."""
    assert_same(trained(shared_config, 4, Devices(1)), trained(shared_config, 4, Threads(4)))


def test_threads_give_the_same_bits_again(tmp_path):
    """Red if the sum of their gradients depends on which of them is first."""
    config = text_config(write_text(tmp_path / "a.txt", 3000), model__dropout=0.3, train__batch_size=32)
    first, second = (jax.tree.leaves(trained(config, 20, Threads(4))) for _ in range(2))  # two terms have one sum in either order
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("changed", "cores", "expected"),
    [
        ({}, 2, Threads(2)),
        ({}, 1, Devices(1)),
        ({}, 3, Threads(2)),  # which does not divide the batch
        ({}, 64, Threads(4)),  # of 16 rows each
        ({"train__batch_size": 16}, 64, Devices(1)),
        ({"model__hidden_dim": 512}, 2, Devices(1)),
        ({"train__devices": 1}, 2, Devices(1)),
    ],
)
@pytest.mark.parametrize("make", [text_config, pair_config, vector_config])
def test_threads_share_the_batches_of_small_models_of_sequences_on_cpu(tmp_path, monkeypatch, make, changed, cores, expected):
    expected = Devices(1) if make is vector_config else expected
    config = make(tmp_path / "a", **{"train__batch_size": 64, "train__devices": None, "model__hidden_dim": 256, **changed})
    monkeypatch.setattr(devices, "_devices", lambda: jax.devices()[:1])
    monkeypatch.setattr(devices, "core_count", lambda: cores)
    assert choose_devices(config, 65, [(8, 8)]) == expected
    monkeypatch.setattr(devices, "platform", lambda: "gpu")
    assert choose_devices(config, 65, [(8, 8)]) == Devices(1)


@pytest.mark.parametrize(
    ("make", "attention", "vocabulary_size", "shape", "expected"),
    [
        (text_config, None, 2**11, (32, 128), Threads(2)),
        (text_config, None, 2**11 + 1, (32, 128), Devices(1)),
        (text_config, None, 65, (32, 256), Threads(2)),  # of 1,024 pre-activations
        (text_config, None, 65, (32, 257), Devices(1)),
        (pair_config, "general", 2**11, (64, 128), Threads(2)),
        (pair_config, "general", 2**11 + 1, (64, 128), Devices(1)),
        (pair_config, "general", 65, (256, 64), Threads(2)),
        (pair_config, "general", 65, (257, 64), Devices(1)),
        (pair_config, "additive", 65, (32, 32), Threads(2)),
        (pair_config, "additive", 65, (32, 33), Devices(1)),
    ],
)
def test_threads_share_no_batch_with_larger_arrays_than_their_heaps_can_hold(
    tmp_path, monkeypatch, make, attention, vocabulary_size, shape, expected
):
    """Red if a model of words is half as fast again in one thread, since two fault in the pages of their logits at every step; or one
    whose additive attention compares long sequences."""
    attention = {} if attention is None else {"model__attention": attention}
    config = make(tmp_path / "a", train__batch_size=32, train__devices=None, model__hidden_dim=256, **attention)
    monkeypatch.setattr(devices, "_devices", lambda: jax.devices()[:1])
    monkeypatch.setattr(devices, "core_count", lambda: 2)
    assert choose_devices(config, vocabulary_size, [(4, 4), shape]) == expected
    whole = replace(config, {"train.batch_size": 16})  # what has a batch of 32 in halves has as many rows as this in one piece
    assert EvaluationThreads(whole, vocabulary_size, [(4, 4), shape]).count == (2 if expected == Threads(2) else 1)
    assert EvaluationThreads(replace(whole, {"train.devices": 1}), vocabulary_size, [shape]).count == 1
    assert EvaluationThreads(replace(whole, {"train.batch_size": 8}), vocabulary_size, [(4, 4), shape], 2).count == (
        2 if expected == Threads(2) else 1
    )


def test_only_the_gradient_is_compiled_for_every_batch_shape(tmp_path):
    """Red if the optimizer or the dropout looks at the batch, which would double what a run compiles."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 60, shortest=2), model__dropout=0.3)
    step, state, batches = begun(config)
    for index in range(batches.steps_per_epoch):
        state = step(state, batches.batch_at(0, index))
    assert len(batches.shapes) > 1
    assert begun(pair_config(tmp_path / "a.tsv"))[0].draw is None
    assert [part._cache_size() for part in (step.draw, step.gradient, step.update)] == [1, len(batches.shapes), 1]


def test_an_update_goes_as_far_as_the_schedule_says(tmp_path):
    """Adam's first one moves a number by the rate. Red if the rate is scheduled in the log alone, or that of another step is taken."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 60), train__warmup_steps=4)
    before, after = (trained(config, steps, Devices(1)).params for steps in (0, 1))
    moved = max(np.abs(new - old).max() for new, old in zip(jax.tree.leaves(after), jax.tree.leaves(before), strict=True))
    assert moved == pytest.approx(config.train.learning_rate / 4, rel=1e-3)


@pytest.mark.parametrize("shared_config", ["translator", "language_model"], indirect=True)
def test_what_is_minimised_is_smoothed_and_what_is_reported_is_not(shared_config):
    """Red if the setting does not reach the loss of a kind of model. Twice the smoothing adds twice as much."""
    plain, some, more = (
        trained(replace(shared_config, {"train.label_smoothing": smoothing}), 1, Devices(1)).window.loss for smoothing in (0.0, 0.2, 0.4)
    )
    np.testing.assert_allclose([plain.objective, some.nats, more.nats], plain.nats, rtol=1e-6)
    assert abs(some.objective - plain.nats) > 1e-4 * plain.nats
    assert more.objective - plain.nats == pytest.approx(2 * (some.objective - plain.nats), rel=0.05)


@pytest.mark.parametrize("clip_norm", [None, 0.01])
def test_the_optimizer_gets_the_mean_gradient_within_the_clipping_norm(tmp_path, clip_norm):
    """Red if it is the gradient of the sum, whose scale Adam hides, or if nothing is clipped: by the first of Adam's moments."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 60), train__clip_norm=clip_norm)
    step, state, batches = begun(config)
    batch = batches.batch_at(0, 0)
    gradient = jax.device_get(step.gradient(step.fold(state.params), state.carry, None, batch))
    (summed,) = jax.vjp(step.fold, state.params)[1](gradient.gradients)
    mean = [np.asarray(leaf) / np.sum(batch.target_lengths) for leaf in jax.tree.leaves(summed)]
    norm = np.sqrt(sum(np.sum(leaf**2) for leaf in mean))
    assert norm > 0.02
    moved = step.update(state, gradient)
    moments = [leaf for path, leaf in jax.tree_util.tree_leaves_with_path(moved.opt_state) if ".mu" in jax.tree_util.keystr(path)]
    for moment, leaf in zip(moments, mean, strict=True):
        np.testing.assert_allclose(moment, 0.1 * leaf * (1 if clip_norm is None else clip_norm / norm), rtol=1e-4, atol=1e-8)


def test_each_update_and_each_seed_drops_units_of_its_own(tmp_path):
    """Red if the same units are dropped throughout a run, which trains a smaller network, or in all runs of a comparison."""
    step, state, _ = begun(pair_config(write_pairs(tmp_path / "a.tsv", 60), model__dropout=0.5))
    drawn = []
    for number, seed in ((0, 0), (1, 0), (0, 1)):
        dropout = step.draw(state._replace(step=jnp.int32(number), seed=jnp.uint32(seed)))
        drawn.append(np.concatenate([np.ravel(scales) for scales in dropout.values()]))
    assert all((one != other).mean() > 0.4 for one, other in itertools.combinations(drawn, 2))


def test_n_steps_are_n_updates(tmp_path):
    """Red if the loop's last step is one too many, or the counter of the optimizer and of the state part ways."""
    state = trained(pair_config(write_pairs(tmp_path / "a.tsv", 60)), 5, Devices(1))
    counts = [leaf for path, leaf in jax.tree_util.tree_leaves_with_path(state.opt_state) if "count" in jax.tree_util.keystr(path)]
    assert int(state.step) == 5
    assert [int(count) for count in counts] == [5]


def test_the_window_sums_every_unit_since_the_last_line(tmp_path):
    """Red if partial batches, padding or repeated pairs are counted wrongly: an epoch has as many target units as the file."""
    path = write_pairs(tmp_path / "a.tsv", 60)
    config = pair_config(path, data__dev_fraction=0.0, data__test_fraction=0.0)
    corpus = load_corpus(config)
    epoch = training_batches(config, corpus).steps_per_epoch
    state = trained(config, epoch, Devices(1))
    units = sum(len(line.split("\t")[1].split()) + 1 for line in path.read_text().splitlines())
    assert float(state.window.loss.count) == units
    assert int(state.window.bad_step) == -1


def test_a_loss_that_is_not_finite_names_its_first_step(tmp_path):
    """Red if a later step overwrites the first, or a NaN is not seen."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 60), train__clip_norm=None)
    state = trained(config, 4, Devices(1), learning_rate=float("inf"))
    assert int(state.window.bad_step) == 1  # step 0 has a finite loss and ruins the parameters


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ("linear", [0.25, 0.5, 0.75, 1.0, *(1 - i / 8 for i in range(8))]),
        ("cosine", [0.25, 0.5, 0.75, 1.0, *(0.5 + 0.5 * np.cos(np.pi * i / 8) for i in range(8))]),
        (
            "inverse_sqrt",
            [0.25, 0.5, 0.75, 1.0, *(np.sqrt(4 / update) for update in range(5, 13))],
        ),  # eq. 3 of Vaswani et al. 2017, whose peak is 1
    ],
)
def test_schedules_rise_to_their_peak_and_fall(schedule, expected):
    relative = make_schedule(TrainConfig(schedule=schedule, warmup_steps=4), total_steps=12)
    np.testing.assert_allclose([np.asarray(relative(step)) for step in range(12)], expected, rtol=1e-5, atol=1e-6)
    config = TrainConfig(schedule=schedule, warmup_steps=4, learning_rate=0.2)
    logged = [learning_rate_of(config, 12, step) for step in range(1, 13)]  # the first update is number 1
    np.testing.assert_allclose(logged, 0.2 * np.array(expected), rtol=1e-5, atol=1e-6)


def test_without_warm_up_the_rate_falls_from_the_first_update():
    logged = [learning_rate_of(TrainConfig(schedule="inverse_sqrt", learning_rate=1.0), 4, step) for step in range(1, 5)]
    np.testing.assert_allclose(logged, [1, 2**-0.5, 3**-0.5, 0.5], rtol=1e-6)


@pytest.mark.parametrize("schedule", config_lib.field_of("train.schedule").choices)
def test_a_schedule_that_ends_is_one_that_depends_on_the_number_of_updates(schedule):
    """Red if a run that is lengthened is not warned of, although its learning rates were those of a shorter one; or the other way round."""
    config = TrainConfig(schedule=schedule, warmup_steps=4)
    shorter, longer = ([learning_rate_of(config, total, step) for step in range(1, 13)] for total in (12, 24))
    assert config.schedule_ends == (shorter != longer)


def test_word_vectors_have_one_device_unless_asked_otherwise(tmp_path):
    """Red if each of several would move all rows of both tables by itself, or if it cannot be asked for."""
    config = vector_config(write_text(tmp_path / "a.txt", 3000), train__batch_size=16)
    assert choose_devices(config, 9, [(16, 8)]) == Devices(1)
    assert choose_devices(config_lib.replace(config, {"train.devices": 4}), 9, [(16, 8)]) == Devices(4)


def test_devices_must_divide_the_batch():
    assert choose_device_count(None, 12) == 6
    assert choose_device_count(None, 8) == 8  # a row each
    with pytest.raises(UserError, match=r"divisor of train\.batch_size=12"):
        choose_device_count(8, 12)
    with pytest.raises(UserError, match="expected at most 8"):
        choose_device_count(9, 18)
