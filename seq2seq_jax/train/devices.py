"""How a pure step is compiled: ``jax.jit`` on one device, ``jax.pmap`` over several; and what threads share. No other file knows which.

Of one run several devices share each batch by rows, and so do threads where the device is a CPU and the model small. State is the same for
all of them, but for the carried recurrent state, which belongs to rows; outside this file it always has the global batch as its first axis.
Of a sweep devices share the members: each has some of them stacked, and nothing is exchanged.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import os
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from seq2seq_jax.arrays import Array
from seq2seq_jax.config import Config, ModelConfig
from seq2seq_jax.data.buckets import Shape
from seq2seq_jax.errors import UserError
from seq2seq_jax.model.build import Params
from seq2seq_jax.train.runtime import WITHOUT_MERGED_LOOPS, core_count
from seq2seq_jax.train.state import TrainState
from seq2seq_jax.train.step import Batch, Gradient, TrainStep

AXIS = "data"
Given = TypeVar("Given")
Result = TypeVar("Result")
# Threads share the batches of a model with at most so many hidden units, at least so many rows and at most so many numbers in the
# largest array of each (docs/performance.md): the heap of a thread holds no large arrays.
_SMALL, _LEAST_ROWS, _MOST_NUMBERS = 256, 16, 2**22


def platform() -> str:
    """Returns what JAX computes on, ``cpu`` or ``gpu`` or another. Raises UserError where what was asked for does not start here."""
    try:
        return jax.default_backend()
    except (RuntimeError, AssertionError) as error:  # the latter, without a word, for CUDA where there is none
        why = f": {' '.join(str(error).split())}" if str(error) else ""
        asked = os.environ.get("JAX_PLATFORMS", "")
        raise UserError(f"JAX_PLATFORMS={asked}: no such device starts here{why}; expected one of this machine, or nothing") from None


def _devices() -> list[jax.Device]:
    """Returns the devices of this machine that can work together: those of the first one's kind.

    Raises UserError where JAX has been told to compute in 64 bits: a run would be in the one precision or the other by where it goes on.
    """
    if jax.config.values["jax_enable_x64"]:
        raise UserError("jax_enable_x64: models are trained and kept in 32 bits; expected it to be off")
    platform()
    first, *others = jax.local_devices()
    return [first, *(device for device in others if device.device_kind == first.device_kind)]


def _available(requested: int | None) -> int:
    """Returns how many devices there are. Raises UserError where more are asked for."""
    available = len(_devices())
    if requested is not None and requested > available:
        raise UserError(f"train.devices={requested}: expected at most {available}, the devices of this machine")
    return available


def choose_device_count(requested: int | None, batch_size: int) -> int:
    """Returns how many devices share a batch: as asked for, else the most that divide it.

    Raises UserError where there are fewer than asked for, or they do not divide the batch.
    """
    available = _available(requested)
    if requested is None:
        return max(n for n in range(1, available + 1) if batch_size % n == 0)
    if batch_size % requested:
        raise UserError(f"train.devices={requested}: expected a divisor of train.batch_size={batch_size}")
    return requested


def choose_devices(config: Config, vocabulary_size: int, shapes: Collection[Shape]) -> Devices:
    """Returns what shares the batches of a run: as many devices as asked for, else all that divide a batch, or threads of the one CPU.

    Word vectors have one device unless asked otherwise: each would read all rows and move all of them, in an order of its own on a GPU.

    Args:
      config: the run's.
      vocabulary_size: rows of what is predicted.
      shapes: of the batches, as ``Batches.shapes``.

    Raises UserError as ``choose_device_count``.
    """
    rows, requested = config.train.batch_size, config.train.devices or (1 if config.model.kind == "skip_gram" else None)
    devices = Devices(choose_device_count(requested, rows))
    threads = max(count for count in range(1, core_count() + 1) if count == 1 or (rows % count == 0 and rows // count >= _LEAST_ROWS))
    return Threads(threads) if threads > 1 and _suit_threads(config, rows // threads, vocabulary_size, shapes) else devices


def _suit_threads(config: Config, rows: int, vocabulary_size: int, shapes: Collection[Shape]) -> bool:
    """Returns whether threads of the one CPU do better, each with so many rows, than XLA with each kernel shared among the cores."""
    small = config.model.kind != "skip_gram" and config.model.hidden_dim <= _SMALL
    if not small or config.train.devices is not None or platform() != "cpu" or len(_devices()) > 1:
        return False
    return rows * _most_numbers_of_a_row(config.model, vocabulary_size, shapes) <= _MOST_NUMBERS


class EvaluationThreads:
    """Threads that share the batches of an evaluation, each batch whole, where threads suit the model; else the caller alone."""

    def __init__(self, config: Config, vocabulary_size: int, shapes: Collection[Shape], members: int = 1):
        """Takes what ``choose_devices`` does, and how many members of a sweep a program computes at once."""
        self.count = core_count() if _suit_threads(config, members * config.train.batch_size, vocabulary_size, shapes) else 1

    def map(self, call: Callable[[Given], Result], batches: Iterable[Given]) -> Generator[Result, None, None]:
        """Yields what ``call`` makes of each batch, in their order. No thread begins another once the generator is closed."""
        if self.count == 1:
            yield from map(call, batches)
            return
        with ThreadPoolExecutor(self.count) as pool:
            yield from pool.map(lambda given: jax.block_until_ready(call(given)), batches)


def _most_numbers_of_a_row(model: ModelConfig, vocabulary_size: int, shapes: Collection[Shape]) -> int:
    """Returns the size of the largest array of a row in a step: of logits, of gates, or of what attention compares."""
    of_unit = max(vocabulary_size, 4 * model.hidden_dim)
    if model.kind == "language_model":
        return max(units for _, units in shapes) * of_unit
    compared = model.hidden_dim if model.attention_compares_vectors else 1
    return max(max(source * target * compared, max(source, target) * of_unit) for source, target in shapes)


def _carry_by_row(kind: Any) -> Any:
    """Returns the mapped axis of each field: all devices have the same values but for the carried state, whose rows they share."""
    return kind(*(0 if field == "carry" else None for field in kind._fields))


@dataclasses.dataclass(frozen=True)
class Devices:
    """One device or several, with the same interface."""

    count: int

    def compile(
        self, make: Callable[[str | None], TrainStep], parts: bool, options: dict[str, str] | None = None
    ) -> Callable[[TrainState, Batch], TrainState]:
        """Compiles ``make(axis)``, each of its parts by itself or the whole; the state given to the result is consumed by it.

        ``options`` are XLA's, for the whole or the gradient, on one device: ``jax.pmap`` takes none, and ``runtime.py`` sees to it that
        it needs none.
        """
        step = make(None if self.count == 1 else AXIS)
        state, gradient = _carry_by_row(TrainState), _carry_by_row(Gradient)
        if not parts:
            return self._map(step, (state, 0), state, (0,), options)
        return TrainStep(
            None if step.draw is None else self._map(step.draw, (state,), 0),
            self._map(step.fold, (None,), None),
            self._map(step.gradient, (None, 0, 0, 0), gradient, options=options),
            self._map(step.update, (state, gradient), state, donated=(0,)),
        )

    def _map(
        self,
        function: Callable[..., Any],
        in_axes: tuple[Any, ...],
        out_axes: Any,
        donated: tuple[int, ...] = (),
        options: dict[str, str] | None = None,
    ) -> Callable[..., Any]:
        """Compiles a function for the device, or for all; where an axis is None these have the same value.

        ``jax.pmap`` wants an argument that differs, which a translator has not always: it gets the place of the device.
        """
        if self.count == 1:
            return jax.jit(function, donate_argnums=donated, compiler_options=options)
        mapped = jax.pmap(
            lambda *arguments: function(*arguments[:-1]),
            AXIS,
            in_axes=(*in_axes, 0),
            out_axes=out_axes,
            devices=_devices()[: self.count],
            donate_argnums=donated,
        )
        places = np.arange(self.count)
        return lambda *arguments: mapped(*arguments, places)

    def split(self, rows: Any) -> Any:
        """Gives each device its share of a pytree of arrays whose first axis is the row."""
        if self.count == 1:
            return rows
        return jax.tree.map(lambda leaf: leaf.reshape(self.count, -1, *leaf.shape[1:]), rows)

    def place(self, state: TrainState) -> TrainState:
        """Turns a state as checkpoints hold it into what the compiled step takes."""
        return state._replace(carry=self.split(state.carry))

    def gather(self, state: TrainState) -> TrainState:
        """Undoes ``place`` and brings the state to the host."""
        host = jax.device_get(state)
        if self.count == 1:
            return host
        return host._replace(carry=jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), host.carry))

    def split_batch(self, batch: Batch) -> Batch:
        """Gives each device its rows of a batch."""
        return jax.tree.map(np.asarray, self.split(batch))


@dataclasses.dataclass(frozen=True)
class Threads(Devices):
    """Threads of this process that share the one CPU as devices do: each takes the gradient of its rows, one update moves by their sum.

    XLA shares every kernel among the cores by itself, but those of a small recurrent network are too small to gain by it. For models whose
    gradients can be added up, which those of word vectors, by row, cannot.
    """

    def compile(
        self, make: Callable[[str | None], TrainStep], parts: bool, options: dict[str, str] | None = None
    ) -> Callable[[TrainState, Batch], TrainState]:
        """Compiles the parts of ``make(None)``; there is no whole to compile, nor to give ``options`` to."""
        del parts, options
        step = make(None)

        def of_share(folded: Params, rows: Any, place: Int[Array, ""]) -> Gradient:
            return step.gradient(folded, *jax.tree.map(lambda leaf: leaf[place], rows))

        def of_sum(state: TrainState, shares: Sequence[Gradient]) -> TrainState:
            gradients, carries, losses = zip(*shares, strict=True)
            add = functools.partial(jax.tree.map, lambda *leaves: functools.reduce(operator.add, leaves))
            stack = functools.partial(jax.tree.map, lambda *leaves: jnp.stack(leaves))
            return step.update(state, Gradient(add(*gradients), stack(*carries), add(*losses)))

        draw = None if step.draw is None else jax.jit(lambda state: self.split(step.draw(state)))
        fold, gradient, update = jax.jit(step.fold), jax.jit(of_share), jax.jit(of_sum, donate_argnums=(0,))
        others = ThreadPoolExecutor(self.count - 1)  # this thread has a share too

        def train_step(state: TrainState, batch: Batch) -> TrainState:
            of_place = functools.partial(gradient, fold(state.params), (state.carry, None if draw is None else draw(state), batch))
            theirs = [others.submit(of_place, place) for place in range(1, self.count)]
            return update(state, [of_place(0), *(share.result() for share in theirs)])

        return train_step


def choose_member_device_count(requested: int | None, members: int) -> int:
    """Returns how many devices share the members of a sweep: as asked for, else all there are, but no more than members.

    Raises UserError where there are fewer than asked for.
    """
    available = _available(requested)
    return min(requested or available, members)


@dataclasses.dataclass(frozen=True)
class MemberDevices:
    """Devices that share the members of a sweep; each carries out its share as one ``jax.vmap``ped program."""

    count: int

    def compile(self, function: Callable[..., Any], in_axes: tuple[int | None, ...], donated: tuple[int, ...] = ()) -> Callable[..., Any]:
        """Compiles a function of one member for all of them.

        Args:
          function: of one member; pure.
          in_axes: of each argument 0 where it is stacked over members, None where they share it.
          donated: arguments that a call consumes.
        """
        mapped = jax.vmap(function, in_axes)
        if self.count == 1:
            # Of some programs XLA cannot merge the loops and aborts the process (docs/performance.md).
            return jax.jit(mapped, donate_argnums=donated, compiler_options=WITHOUT_MERGED_LOOPS)
        return jax.pmap(mapped, in_axes=in_axes, devices=_devices()[: self.count], donate_argnums=donated)

    def stack(self, members: Sequence[Any]) -> Any:
        """Stacks host pytrees, one for each member; the last is repeated until all devices have equally many."""
        filled = [*members, *[members[-1]] * (-len(members) % self.count)]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *filled)
        if self.count == 1:
            return stacked
        return jax.tree.map(lambda leaf: leaf.reshape(self.count, -1, *leaf.shape[1:]), stacked)

    def place(self, stacked: Any) -> Any:
        """Brings what ``stack`` gives to the devices."""
        return jax.device_put(stacked) if self.count == 1 else self._identity(stacked)

    @functools.cached_property
    def _identity(self) -> Callable[[Any], Any]:
        return self.compile(lambda tree: tree, (0,))

    def unstack(self, stacked: Any) -> list[Any]:
        """Brings a pytree to the host and returns its part of each member, those repeated by ``stack`` included."""
        host = jax.device_get(stacked)
        if self.count > 1:
            host = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), host)
        members = len(jax.tree.leaves(host)[0])
        return [jax.tree.map(lambda leaf: np.asarray(leaf[member]), host) for member in range(members)]  # noqa: B023  used at once
