"""Signals that ask training to stop: they are taken note of, and met where everything has been saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Generator
from typing import Any


class Stop:
    """Whether a signal has asked to stop."""

    requested = False

    def __call__(self, signum: int, frame: Any) -> None:
        """Takes the signal."""
        self.requested = True


@contextlib.contextmanager
def stop_signals() -> Generator[Stop, None, None]:
    """Turns SIGTERM and SIGINT into a request that whoever trains meets at the next step.

    Inside another one it is the other's, so that what comes during the last step of a run still stops the sweep around it. In a thread
    that is not the main one, which gets no signals, nothing asks to stop.
    """
    outer = signal.getsignal(signal.SIGTERM)
    if isinstance(outer, Stop):
        yield outer
        return
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
