"""The compiled programs of a run. Runs that differ only in seed or learning rate share them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Int

from seq2seq_jax import config as config_lib
from seq2seq_jax.arrays import Array, Lengths
from seq2seq_jax.config import SEED, Config
from seq2seq_jax.decode.translators import translate_greedily
from seq2seq_jax.kinds import KINDS
from seq2seq_jax.model.build import Params, structure
from seq2seq_jax.model.loss import Loss
from seq2seq_jax.train.devices import Devices
from seq2seq_jax.train.optimizer import make_optimizer
from seq2seq_jax.train.runtime import WITHOUT_MERGED_LOOPS
from seq2seq_jax.train.state import TrainState
from seq2seq_jax.train.step import Batch, Merge, make_eval_step, make_train_step

VocabularySizes = tuple[tuple[str, int], ...]


@dataclasses.dataclass(frozen=True)
class Programs:
    """What runs on the device, compiled once for each shape it meets.

    Attributes:
      structure: static part of the model.
      train_step: one update; consumes the state it is given.
      eval_step: loss sums of a batch, and the carried state after it.
      decode: most probable outputs of a batch of sources, EOS included (translators).
      start: the state carried into the first batch, for a number of rows.
    """

    structure: nnx.GraphDef
    train_step: Callable[..., TrainState]
    eval_step: Callable[[Params, Any, Batch], tuple[Loss, Any]]
    decode: Callable[[Params, Array, Lengths], Int[Array, "B T"]]
    start: Callable[[Params, int], Any]


def program_key(config: Config) -> Config:
    """Returns what runs have in common that share compiled programs: all but seed and learning rate, which are in the state."""
    return config_lib.replace(config, {SEED: 0, "train.learning_rate": 1.0})


def programs(config: Config, vocabulary_sizes: dict[str, int], total_steps: int, devices: Devices, output_limit: int) -> Programs:
    """Returns the programs of a run.

    Those of several members trained together are made by ``sweep/stacked.py``: from the same functions, each mapped over the members, with
    a training step that knows which of them are active.

    Args:
      config: the run's configuration.
      vocabulary_sizes: by side.
      total_steps: updates of the whole run.
      devices: what the training step runs on; evaluation and decoding use one device.
      output_limit: longest decoded output, units with the end symbol.
    """
    return _compile(program_key(config), tuple(sorted(vocabulary_sizes.items())), total_steps, devices, output_limit)


@functools.lru_cache(maxsize=4)
def _compile(config: Config, vocabulary_sizes: VocabularySizes, total_steps: int, devices: Devices, output_limit: int) -> Programs:
    model = structure(config.model, dict(vocabulary_sizes))
    merge = functools.partial(nnx.merge, model)
    return Programs(
        structure=model,
        train_step=compile_step(config, merge, total_steps, devices),
        eval_step=jax.jit(make_eval_step(model)),
        decode=jax.jit(make_decode(model, output_limit)),
        start=functools.partial(start_carry, model),
    )


def compile_step(config: Config, merge: Merge, total_steps: int, devices: Devices) -> Callable[[TrainState, Batch], TrainState]:
    """Compiles the update of a run: in parts for pairs, whose batches have several shapes; whole for a text, but for threads.

    The whole is faster by 3 to 6 %, the parts take half as long to compile for every further shape (docs/performance.md).
    """
    parts = KINDS[config.model.kind].form == "pairs"
    # The sums over windows lose their vector instructions where XLA merges them with other loops.
    options = WITHOUT_MERGED_LOOPS if config.model.kind == "skip_gram" else None
    return devices.compile(lambda axis: make_train_step(config, merge, total_steps, axis), parts, options)


def start_carry(structure: nnx.GraphDef, params: Params, rows: int) -> Any:
    """Returns the state that a model carries into its first batch."""
    return nnx.merge(structure, params).start(rows)


def initial_state(config: Config, structure: nnx.GraphDef, params: Params) -> TrainState:
    """Returns the state of a run before its first update."""
    state = _compile_initial(program_key(config), structure)(params)
    seed, learning_rate = np.uint32(config.train.seed), np.float32(config.train.learning_rate)
    return state._replace(seed=jnp.asarray(seed), learning_rate=jnp.asarray(learning_rate))


@functools.lru_cache(maxsize=4)
def _compile_initial(config: Config, structure: nnx.GraphDef) -> Callable[[Params], TrainState]:
    """Compiles one program, where one for each array would take a second, for all runs that differ only in seed and learning rate."""

    def make(params: Params) -> TrainState:
        carry = start_carry(structure, params, config.train.batch_size)
        return TrainState.initial(config.train, params, make_optimizer(config), carry)

    return jax.jit(make)


def make_decode(structure: nnx.GraphDef, output_limit: int) -> Callable[[Params, Array, Lengths], Int[Array, "B T"]]:
    """Returns ``decode(params, source, lengths) -> ids``: the most probable outputs, at most ``output_limit`` units long."""

    def decode(params: Params, source: Int[Array, "B S"], lengths: Lengths) -> Int[Array, "B T"]:
        return translate_greedily([nnx.merge(structure, params)], source, lengths, output_limit)

    return decode
