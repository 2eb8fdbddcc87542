"""What each member of a sweep will need, before anything is trained: parameters, memory and time.

Memory is what one update holds at once: parameters, their average and Adam's moments, what the largest batch keeps for the backward
pass, as JAX traces it, the gradients of parameters and, as far as they do not take the place of what was kept, of the batch, and on a
CPU what checkpoints and the end of a run hold, twice the first three (measured with large tables). Not counted are scoring, decoding
and the process itself, half a GiB. Time is measured on finished members of the same sweep, or on a few updates of one member, and
carried over to other sizes and batches by the operations of an update. Updates up to a member's newest checkpoint are not counted: they
are made. Where threads share the batches of a small model (``train/devices.py``), an update takes somewhat less time and more memory
than is forecast.

References: Kaplan et al. 2020, Scaling laws, section 2.1: training takes 6 operations a parameter and token.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
import pathlib
import statistics
import time
from collections.abc import Sequence
from typing import Any

import jax
import psutil

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config
from seq2seq_jax.data.corpus import Batches, corpus_key, training_batches
from seq2seq_jax.length import newest_checkpoint, total_steps
from seq2seq_jax.model.build import abstract_params, initial_params
from seq2seq_jax.model.dropout import draw_dropout
from seq2seq_jax.sweep.budget import count_parameters
from seq2seq_jax.sweep.members import Member
from seq2seq_jax.sweep.shared_corpus import corpus_of, vocabulary_sizes
from seq2seq_jax.train.devices import Devices
from seq2seq_jax.train.optimizer import make_optimizer
from seq2seq_jax.train.programs import initial_state, network_of, programs, shape_key, start_carry
from seq2seq_jax.train.run_directory import RunDirectory
from seq2seq_jax.train.runtime import CONTROL_GROUP

TIMED_STEPS = 3


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What a member will need.

    Attributes:
      parameters: learned ones, in tables and in all.
      bytes: memory of one update.
      seconds: time in the updates that are left; None where no member has finished and none fits, so that no update can be timed.
      fits: whether there is so much memory.
    """

    parameters: dict[str, int]
    bytes: int
    seconds: float | None
    fits: bool


def forecast(members: Sequence[Member], folder: pathlib.Path) -> tuple[dict[str, Forecast], str]:
    """Returns a forecast for each member by its name, and the sentence that says what the times rest on.

    Raises UserError where the data cannot be read.
    """
    available = available_bytes()
    needed = {member.name: update_bytes(shape_key(member.config)) for member in members}
    smallest = min(members, key=lambda member: needed[member.name])
    measured = _finished(members, folder)
    if measured:
        basis = f"time: from {len(measured)} finished members of this sweep, without compiling and evaluations"
    elif needed[smallest.name] <= available:
        measured = [(smallest.config, _timed(smallest.config))]
        basis = f"time: from {TIMED_STEPS} updates of {smallest.name} with the longest sequences, for other sizes by operations"
        basis += ", without compiling and evaluations"
    else:
        basis = "time: not known, since no member fits into memory"
    forecasts = {}
    for member in members:
        update, left = _update_seconds(member.config, measured), _steps_left(member.config, folder / member.name)
        seconds, fits = None if update is None else update * left, needed[member.name] <= available
        forecasts[member.name] = Forecast(count_parameters(member.config), needed[member.name], seconds, fits)
    return forecasts, f"{basis}; memory: {available / 2**30:.1f} GiB are free"


def available_bytes() -> int:
    """Returns the memory that training may use: the accelerator's, or what the machine and its control group have left."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats["bytes_in_use"]
    available = psutil.virtual_memory().available
    limit = CONTROL_GROUP / "memory.max"
    if limit.exists() and limit.read_text().strip() != "max":
        counters = dict(line.split() for line in (CONTROL_GROUP / "memory.stat").read_text().splitlines())
        used = int((CONTROL_GROUP / "memory.current").read_text()) - int(counters["inactive_file"])  # of files read, given up when needed
        available = min(available, int(limit.read_text()) - used)
    return available


@functools.lru_cache(maxsize=256)
def update_bytes(config: Config) -> int:
    """Returns the bytes that an update of a configuration holds at once, without allocating them."""
    sizes = vocabulary_sizes(config)
    network, params = network_of(config, sizes, _batches(config).shapes), abstract_params(config.model, sizes)
    batch = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), _largest_batch(config))
    rows = jax.tree.leaves(batch)[0].shape[0]

    def residuals(params: Any, batch: Any) -> Any:
        """Returns what the gradient keeps of the forward pass, the parameters among it."""
        carry = start_carry(network.merge, params, rows)
        rate, dropout = config.model.dropout, None
        if rate > 0:
            dropout = draw_dropout(rate, jax.random.key(0), rows, network.merge(params).dropout_units)
        objective = lambda params: network.merge(params).loss(batch, carry, dropout, config.train.label_smoothing)[0].objective  # noqa: E731
        return jax.vjp(objective, params)[1]

    averages = params if config.train.average_decay is not None else None
    state = _bytes((params, jax.eval_shape(make_optimizer(config).init, params), averages))
    kept = jax.eval_shape(residuals, params, batch)
    activations = _bytes(kept) - _bytes_in_common(kept, params)  # some parameters are among the residuals; not a table that is looked up
    on_host = 2 * state if jax.default_backend() == "cpu" else 0  # in the same memory: what checkpoints and the end of a run hold
    of_logits = max((_bytes(leaf) for leaf in jax.tree.leaves(kept) if leaf.shape[-1:] == (sizes["target"],)), default=0)
    going_back = max(of_logits, activations // 4)  # the gradient of the logits, or of the layer that has the widest inputs
    folded = max(0, _bytes(jax.eval_shape(network.fold, params)) - _bytes(params))  # more than the tables, with as much gradient
    return state + _bytes(params) + activations + going_back + 2 * folded + on_host


def _bytes_in_common(tree: Any, other: Any) -> int:
    """Returns the bytes of arrays that two trees have alike."""
    counts = [collections.Counter((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(each)) for each in (tree, other)]
    return sum(math.prod(shape) * dtype.itemsize for shape, dtype in (counts[0] & counts[1]).elements())


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _batches(config: Config) -> Batches:
    """Returns the batches of training, made once for members that have the same data and as many rows."""
    return _batches_of(config_lib.replace(corpus_key(config), {"train.batch_size": config.train.batch_size}))


@functools.lru_cache(maxsize=1)
def _batches_of(key: Config) -> Batches:
    return training_batches(key, corpus_of(key))


def _largest_batch(config: Config) -> Any:
    batches = _batches(config)
    largest = max(batches.shapes, key=lambda shape: (sum(shape), shape))
    step = next(step for step in range(batches.steps_per_epoch) if batches.shape_at(step) == largest)
    return batches.batch_at(config.train.seed, step)


def _steps(config: Config) -> int:
    return total_steps(config, _batches(config).steps_per_epoch)


def _steps_left(config: Config, run: pathlib.Path) -> int:
    """Returns the updates that are still to be made: training goes on from the newest checkpoint."""
    return max(0, _steps(config) - newest_checkpoint(run))


def _finished(members: Sequence[Member], folder: pathlib.Path) -> list[tuple[Config, float]]:
    """Returns configurations of finished members and the seconds that an update of theirs took."""
    finished = []
    for member in members:
        result = RunDirectory(folder / member.name).finished()
        if result is not None:
            finished.append((member.config, result["train_seconds"] / result["steps"]))
    return finished


def _timed(config: Config) -> float:
    """Returns the seconds of an update, from a few of them after one that compiles."""
    sizes, batch, one = vocabulary_sizes(config), _largest_batch(config), Devices(1)
    compiled = programs(config, sizes, _steps(config), one, 1, _batches(config).shapes)
    state = initial_state(config, compiled.structure, initial_params(config.model, sizes, jax.random.key(0)))
    state = jax.block_until_ready(compiled.train_step(state, batch))
    since = time.monotonic()
    for _ in range(TIMED_STEPS):
        state = compiled.train_step(state, batch)
    jax.block_until_ready(state)
    return (time.monotonic() - since) / TIMED_STEPS


def _update_seconds(config: Config, measured: Sequence[tuple[Config, float]]) -> float | None:
    """Returns the seconds of an update: the median of what was measured with the same shapes, else of all, scaled by operations."""
    if not measured:
        return None
    same = [seconds for other, seconds in measured if shape_key(other) == shape_key(config)]
    if same:
        return statistics.median(same)
    share = [seconds * _operations(shape_key(config)) / _operations(shape_key(other)) for other, seconds in measured]
    return statistics.median(share)


@functools.lru_cache(maxsize=256)
def _operations(config: Config) -> float:
    """Returns a number in proportion to an update's operations: for each unit the parameters that multiply, but for tables, looked up."""
    counts, batch = count_parameters(config), _largest_batch(config)
    return (counts["total"] - counts["embedding"]) * sum(leaf.size for leaf in jax.tree.leaves(batch))
