"""An action in a process of its own, so that what one side sets, of memory and of threads, is not the other's."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
from collections.abc import Callable
from types import TracebackType
from typing import Any

from benchmarks.timing import Action, clock
from seq2seq_jax.train.runtime import cores


class OwnProcess:
    """What ``make(*arguments)`` returns, made, called and timed in a fresh process; a context, at whose end the process ends."""

    def __init__(self, make: Callable[..., Action], *arguments: Any):
        """Starts the process; ``make`` is a function or class of a module, and the arguments can be pickled."""
        context = multiprocessing.get_context("spawn")
        self._pipe, end = context.Pipe()
        self._process = context.Process(target=_serve, args=(end, make, arguments), daemon=True)
        self._process.start()
        end.close()

    def __enter__(self) -> OwnProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pipe.close()  # which is how the process learns of it
        self._process.join()

    def __call__(self) -> Any:
        """Calls the action once and returns what it returns."""
        return self._ask(None)

    def clock(self, calls: int) -> float:
        """Returns the seconds of a call, the mean of several, by the clock of the process."""
        return self._ask(calls)

    def _ask(self, calls: int | None) -> Any:
        self._pipe.send(calls)
        return self._pipe.recv()


def _serve(pipe: multiprocessing.connection.Connection, make: Callable[..., Action], arguments: tuple[Any, ...]) -> None:
    import torch

    torch.set_num_threads(len(cores()))
    action = make(*arguments)
    while True:
        try:
            calls = pipe.recv()
        except EOFError:
            return
        pipe.send(action() if calls is None else clock(action, calls))
