"""Timing of what is compared: repetitions taken in turn, medians, spread.

A machine's speed drifts by more than the differences looked for, and other processes come and go. So candidates are
never timed one after the other: each repetition times all of them, and a ratio is the median of the ratios within repetitions.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import numpy as np

Action = Callable[[], object]


@runtime_checkable
class Clocked(Protocol):
    """An action that times itself, since it runs elsewhere."""

    def __call__(self) -> object:
        """Carries it out."""

    def clock(self, calls: int) -> float:
        """Returns the seconds of a call, the mean of several."""


MIN_SECONDS = 0.2  # shortest measurement: short actions are repeated within one
MAX_CALLS = 200


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of the results.

    Attributes:
      name: ``group/case``.
      ours: median seconds of this package, or a share (0 to 1) where the name says so.
      theirs: median seconds of the other side; None where there is none.
      ratio: median of theirs / ours within repetitions; above 1 this package is faster.
      spread: quartiles of the ratio, or of ``ours`` where there is no other side.
      repetitions: number of measurements of each side.
    """

    name: str
    ours: float
    theirs: float | None
    ratio: float | None
    spread: tuple[float, float]
    repetitions: int


def in_turn(actions: Mapping[str, Action], repetitions: int) -> dict[str, np.ndarray]:
    """Returns the seconds of a call of each action, one value a repetition.

    Every measurement is preceded by a call that is not timed: it wakes the threads that the side before has put to sleep.
    """
    calls = {name: _calls_needed(action) for name, action in actions.items()}
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repetitions):
        for name, action in actions.items():
            action()
            seconds[name].append(clock(action, calls[name]))
    return {name: np.array(values) for name, values in seconds.items()}


def compared(name: str, ours: Action, theirs: Action, repetitions: int) -> Figure:
    """Measures both sides in turn."""
    seconds = in_turn({"ours": ours, "theirs": theirs}, repetitions)
    ratios = seconds["theirs"] / seconds["ours"]
    return Figure(
        name,
        float(np.median(seconds["ours"])),
        float(np.median(seconds["theirs"])),
        float(np.median(ratios)),
        quartiles(ratios),
        repetitions,
    )


def alone(name: str, values: np.ndarray) -> Figure:
    """Turns measurements of this package alone into a figure."""
    return Figure(name, float(np.median(values)), None, None, quartiles(values), len(values))


def quartiles(values: np.ndarray) -> tuple[float, float]:
    """Returns the first and the third quartile."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(low), float(high)


def _calls_needed(action: Action) -> int:
    """Returns how many calls make one measurement long enough; the first calls, which compile, are not counted."""
    action()
    action()
    return int(np.clip(np.ceil(MIN_SECONDS / clock(action, 1)), 1, MAX_CALLS))


def clock(action: Action, calls: int) -> float:
    """Returns the seconds of a call, the mean of several."""
    if isinstance(action, Clocked):
        return action.clock(calls)
    start = time.perf_counter()
    for _ in range(calls):
        action()
    return (time.perf_counter() - start) / calls
