"""The compiled programs of a run. Runs that differ only in seed, learning rate or sizes of tables share them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Int

from seq2seq_jax import config as config_lib
from seq2seq_jax.arrays import Array, Lengths
from seq2seq_jax.config import SEED, SIDES, SIZE, Config
from seq2seq_jax.data.buckets import Shape
from seq2seq_jax.decode.translators import translate_greedily
from seq2seq_jax.kinds import KINDS
from seq2seq_jax.model.build import Params, structure
from seq2seq_jax.model.folding import Merge, Network, make_network
from seq2seq_jax.model.loss import Loss
from seq2seq_jax.train.devices import Devices
from seq2seq_jax.train.optimizer import make_optimizer
from seq2seq_jax.train.runtime import WITHOUT_MERGED_LOOPS
from seq2seq_jax.train.state import TrainState
from seq2seq_jax.train.step import Batch, make_eval_step, make_train_step

VocabularySizes = tuple[tuple[str, int], ...]


@dataclasses.dataclass(frozen=True)
class Scoring:
    """What scores and uses a model on the device, compiled once for each shape it meets.

    Attributes:
      structure: static part of the model.
      fold: the parameters that the others take from those of a state (``model/folding.py``).
      eval_step: loss sums of a batch, and the carried state after it.
      decode: most probable outputs of a batch of sources, EOS included (translators).
      start: the state carried into the first batch, for a number of rows.
    """

    structure: nnx.GraphDef
    fold: Callable[[Params], Params]
    eval_step: Callable[[Params, Any, Batch], tuple[Loss, Any]]
    decode: Callable[[Params, Array, Lengths], Int[Array, "B T"]]
    start: Callable[[Params, int], Any]


@dataclasses.dataclass(frozen=True)
class Programs(Scoring):
    """What trains a model as well; ``train_step`` makes one update and consumes the state it is given."""

    train_step: Callable[..., TrainState]


def shape_key(config: Config) -> Config:
    """Returns what runs have in common whose states have the same shapes: all but seed and learning rate, which are in the state."""
    return config_lib.replace(config, {SEED: 0, "train.learning_rate": 1.0})


def program_key(config: Config) -> Config:
    """Returns what runs have in common that share programs, which are compiled for the shapes they meet: not even the sizes of tables."""
    return config_lib.replace(shape_key(config), {SIZE: 1, **dict.fromkeys(SIDES)})


def programs(
    config: Config, vocabulary_sizes: dict[str, int], total_steps: int, devices: Devices, output_limit: int, shapes: Collection[Shape]
) -> Programs:
    """Returns the programs of a run.

    Those of several members trained together are made by ``sweep/stacked.py``: from the same functions, each mapped over the members, with
    a training step that knows which of them are active.

    Args:
      config: the run's configuration.
      vocabulary_sizes: by side.
      total_steps: updates of the whole run.
      devices: what the training step runs on; evaluation and decoding use one device.
      output_limit: longest decoded output, units with the end symbol.
      shapes: of training's batches.
    """
    step = _compile_step(program_key(config), tuple(sorted(vocabulary_sizes.items())), tuple(shapes), total_steps, devices)
    return Programs(**vars(scoring(config, vocabulary_sizes, output_limit, shapes)), train_step=step)


def scoring(config: Config, vocabulary_sizes: dict[str, int], output_limit: int, shapes: Collection[Shape]) -> Scoring:
    """Returns what scores a run of whatever length, and in the process that has trained it the same; arguments: see ``programs``."""
    return _compile_scoring(program_key(config), tuple(sorted(vocabulary_sizes.items())), tuple(shapes), output_limit)


@functools.lru_cache(maxsize=4)
def _compile_step(
    config: Config, vocabulary_sizes: VocabularySizes, shapes: tuple[Shape, ...], total_steps: int, devices: Devices
) -> Callable[[TrainState, Batch], TrainState]:
    return compile_step(config, network_of(config, dict(vocabulary_sizes), shapes), total_steps, devices)


@functools.lru_cache(maxsize=4)
def _compile_scoring(config: Config, vocabulary_sizes: VocabularySizes, shapes: tuple[Shape, ...], output_limit: int) -> Scoring:
    network = network_of(config, dict(vocabulary_sizes), shapes)
    return Scoring(
        structure=structure(config.model, dict(vocabulary_sizes)),
        fold=jax.jit(network.fold),
        eval_step=jax.jit(make_eval_step(network.merge_folded)),
        decode=jax.jit(make_decode(network.merge_folded, output_limit)),
        start=functools.partial(start_carry, network.merge_folded),
    )


def network_of(config: Config, vocabulary_sizes: dict[str, int], shapes: Collection[Shape]) -> Network:
    """Returns the network of a run, in which those tables are folded that every batch of training projects whole."""
    place = {"source": 0, "target": 1}  # of a side's units in a shape; that of a text has them where pairs have the target's
    reads = {side: config.train.batch_size * min(shape[place[side]] for shape in shapes) for side in KINDS[config.model.kind].sides}
    return make_network(config.model, vocabulary_sizes, reads)


def compile_step(config: Config, network: Network, total_steps: int, devices: Devices) -> Callable[[TrainState, Batch], TrainState]:
    """Compiles the update of a run: in parts for pairs, whose batches have several shapes; whole for a text, but for threads.

    The whole is faster by 3 to 6 %, the parts take half as long to compile for every further shape (docs/performance.md).
    """
    parts = KINDS[config.model.kind].form == "pairs"
    # The sums over windows lose their vector instructions where XLA merges them with other loops. With a single row it may abort the
    # process: a table's gradient then looks like that of the sequence's time steps (docs/performance.md).
    apart = config.model.kind == "skip_gram" or config.train.batch_size == 1
    options = WITHOUT_MERGED_LOOPS if apart else None
    return devices.compile(lambda axis: make_train_step(config, network, total_steps, axis), parts, options)


def start_carry(merge: Merge, params: Params, rows: int) -> Any:
    """Returns the state that a model carries into its first batch."""
    return merge(params).start(rows)


def initial_state(config: Config, structure: nnx.GraphDef, params: Params) -> TrainState:
    """Returns the state of a run before its first update."""
    state = _compile_initial(program_key(config), structure)(params)
    seed, learning_rate = np.uint32(config.train.seed), np.float32(config.train.learning_rate)
    return state._replace(seed=jnp.asarray(seed), learning_rate=jnp.asarray(learning_rate))


@functools.lru_cache(maxsize=4)
def _compile_initial(config: Config, structure: nnx.GraphDef) -> Callable[[Params], TrainState]:
    """Compiles one program for all starting values of a state: one for each array would take a second."""

    def make(params: Params) -> TrainState:
        carry = start_carry(functools.partial(nnx.merge, structure), params, config.train.batch_size)
        return TrainState.initial(config.train, params, make_optimizer(config), carry)

    return jax.jit(make)


def make_decode(merge: Merge, output_limit: int) -> Callable[[Params, Array, Lengths], Int[Array, "B T"]]:
    """Returns ``decode(params, source, lengths) -> ids``: the most probable outputs, at most ``output_limit`` units long."""

    def decode(params: Params, source: Int[Array, "B S"], lengths: Lengths) -> Int[Array, "B T"]:
        return translate_greedily([merge(params)], source, lengths, output_limit)

    return decode
