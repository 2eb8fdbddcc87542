"""Signals that ask training to stop: they are taken note of, and met where everything has been saved."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Generator
from typing import Any

_ONE_PRESS = 1.0  # seconds within which a program between a terminal and this one may pass the same Ctrl-C on again


class Stop:
    """Whether a signal has asked to stop."""

    def __init__(self, quiet: bool = False):
        """Says what it does unless ``quiet``."""
        self.requested, self._since = False, 0.0
        self._quiet = quiet

    def __call__(self, signum: int, frame: Any) -> None:
        """Takes the signal. Raises KeyboardInterrupt at a second Ctrl-C: who presses it again will not wait."""
        if not self.requested:
            self.requested, self._since = True, time.monotonic()
            if not self._quiet:
                with contextlib.suppress(RuntimeError):  # the signal has come amid another line
                    print("stopping once what is being computed or compiled is saved; Ctrl-C again stops at once", file=sys.stderr)
        elif signum == signal.SIGINT and time.monotonic() - self._since > _ONE_PRESS:
            raise KeyboardInterrupt


@contextlib.contextmanager
def undisturbed() -> Generator[None, None, None]:
    """Holds signals back until the end of the block, and raises KeyboardInterrupt there; inside ``stop_signals`` they are the other's."""
    if isinstance(signal.getsignal(signal.SIGTERM), Stop):
        yield
        return
    with stop_signals(quiet=True) as stop:
        yield
    if stop.requested:
        raise KeyboardInterrupt


@contextlib.contextmanager
def stop_signals(quiet: bool = False) -> Generator[Stop, None, None]:
    """Turns SIGTERM and SIGINT into a request, and says so unless ``quiet``.

    Whoever trains meets it at the next step or, while a split is scored, at the next batch.
    Inside another one it is the other's, so that what comes during the last step of a run still stops the sweep around it. In a thread
    that is not the main one, which gets no signals, nothing asks to stop.
    """
    outer = signal.getsignal(signal.SIGTERM)
    if isinstance(outer, Stop):
        yield outer
        return
    stop = Stop(quiet)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
