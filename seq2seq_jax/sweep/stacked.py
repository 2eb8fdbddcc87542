"""Members of a sweep as one array program: their states padded, stacked and updated together (``jax.vmap``).

Outside this file a member has its own size: states go in and come out as its checkpoints hold them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from seq2seq_jax.config import Config
from seq2seq_jax.data.buckets import Shape
from seq2seq_jax.data.examples import PairSplit, TextSplit
from seq2seq_jax.model.build import Params, structure
from seq2seq_jax.model.folding import Network
from seq2seq_jax.sweep.padding import at_own_scale, output_scale, padded, shapes_of, unpad, widest
from seq2seq_jax.train.devices import MemberDevices
from seq2seq_jax.train.evaluation import Evaluation, Evaluator, Watch
from seq2seq_jax.train.programs import Programs, VocabularySizes, make_decode, network_of, program_key, start_carry
from seq2seq_jax.train.state import LogSums, TrainState
from seq2seq_jax.train.step import Batch, make_eval_step, make_train_step


class Slot(NamedTuple):
    """What the step must know of a member beside its state.

    Attributes:
      active: whether the update is made; the state of the others is kept as it is.
      output_scale: see ``padding.output_scale``.
    """

    active: Bool[Any, ""]
    output_scale: Float[Any, ""]


def member_programs(
    config: Config, vocabulary_sizes: dict[str, int], total_steps: int, devices: MemberDevices, output_limit: int, shapes: Collection[Shape]
) -> Programs:
    """Returns the programs of members that differ in sizes of tables, seed and learning rate.

    They take and give everything stacked; the training step takes each member's ``Slot`` as well. Batches of an evaluation are shared.
    ``train/programs.py`` makes those of a run by itself from the same functions, which here are first mapped over the members.

    Args:
      config: of any of the members.
      vocabulary_sizes: by side.
      total_steps: updates of a whole run.
      devices: what the members are spread over.
      output_limit: longest decoded output, units with the end symbol.
      shapes: of training's batches.
    """
    return _compile(program_key(config), tuple(sorted(vocabulary_sizes.items())), total_steps, devices, output_limit, tuple(shapes))


@functools.lru_cache(maxsize=4)
def _compile(
    config: Config,
    vocabulary_sizes: VocabularySizes,
    total_steps: int,
    devices: MemberDevices,
    output_limit: int,
    shapes: tuple[Shape, ...],
) -> Programs:
    network = network_of(config, dict(vocabulary_sizes), shapes)

    @functools.cache
    def compiled_start(rows: int) -> Callable[[Params], Any]:
        return devices.compile(lambda own: start_carry(network.merge_folded, own, rows), (0,))

    def start(folded: Params, rows: int) -> Any:
        return compiled_start(rows)(folded)

    return Programs(
        structure=structure(config.model, dict(vocabulary_sizes)),
        train_step=devices.compile(_member_step(config, network, total_steps), (0, 0, 0), donated=(0,)),
        fold=devices.compile(network.fold, (0,)),
        eval_step=devices.compile(make_eval_step(network.merge_folded), (0, 0, None)),
        decode=devices.compile(make_decode(network.merge_folded, output_limit), (0, None, None)),
        start=start,
    )


def _member_step(config: Config, network: Network, total_steps: int) -> Callable[[TrainState, Batch, Slot], TrainState]:
    def member_step(state: TrainState, batch: Batch, slot: Slot) -> TrainState:
        """Makes the update of one member, or keeps its state where it is not active."""
        scaled = functools.partial(at_own_scale, scale=slot.output_scale)
        own = network._replace(merge=lambda params: network.merge(scaled(params)), fold=lambda params: network.fold(scaled(params)))
        updated = make_train_step(config, own, total_steps)(state, batch)
        return jax.tree.map(lambda new, old: jnp.where(slot.active, new, old), updated, state)

    return member_step


class StackedRuns:
    """The engine of several runs whose states differ in the sizes of their tables alone (see ``train/engine.py``)."""

    def __init__(self, programs: Programs, devices: MemberDevices, evaluator: Evaluator, states: Sequence[TrainState]):
        """Pads and stacks the states that the runs go on from."""
        self._programs, self._devices, self._evaluator = programs, devices, evaluator
        states = jax.device_get(list(states))
        self._own = [shapes_of(state) for state in states]
        self._widest = widest(states)
        wide = [padded(state, self._widest) for state in states]
        self._scales = [np.float32(output_scale(own.params, other.params)) for own, other in zip(states, wide, strict=True)]
        self._state = devices.stack(wide)
        self._host: list[TrainState] | None = None

    def advance(self, batches: Sequence[Batch | None]) -> None:
        """Makes one update of each run that has a batch, and none of the others."""
        self._host = None
        active = [batch is not None for batch in batches]
        filling = next(batch for batch in batches if batch is not None)
        slots = [Slot(np.bool_(on), scale) for on, scale in zip(active, self._scales, strict=True)]
        given = [filling if batch is None else batch for batch in batches]
        self._state = self._programs.train_step(self._state, self._devices.stack(given), self._devices.stack(slots))

    def log_sums(self) -> list[LogSums]:
        """Waits for the devices and returns each run's sums for the log."""
        return self._devices.unstack(self._state.window)[: len(self._own)]

    def clear_log_sums(self, places: Collection[int]) -> None:
        """Begins new sums for some runs."""
        empty = jax.device_get(LogSums.empty())
        sums = [empty if place in places else own for place, own in enumerate(self.log_sums())]
        self._state = self._state._replace(window=self._devices.stack(sums))
        self._host = None

    def state(self, place: int) -> TrainState:
        """Returns a run's state on the host at its own size."""
        if self._host is None:
            self._host = self._devices.unstack(self._state)  # of all, since the others are asked for next
        return unpad(self._host[place], self._own[place])

    def evaluate(self, params: Sequence[Params], split: PairSplit | TextSplit, watch: Watch) -> list[Evaluation]:
        """Scores a split with each of the host parameters, with all at once."""
        read = [self._readable(own) for own in params]
        filled = [*read, *[read[-1]] * (len(self._own) - len(read))]  # as many as ever, so that nothing new is compiled
        stacked = self._devices.place(self._devices.stack(filled))
        measured = self._evaluator.measure(stacked, split, watch)
        if measured.decoded_per_second is not None:  # by each of the members, which share the time
            measured = measured._replace(decoded_per_second=measured.decoded_per_second * len(filled))
        members = self._devices.unstack(measured.values)[: len(params)]
        return [self._evaluator.score(split, measured._replace(values=values)) for values in members]

    def _readable(self, params: Params) -> Params:
        wide = padded(jax.device_get(params), self._widest.params)
        return at_own_scale(wide, output_scale(params, wide))
