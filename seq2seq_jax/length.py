"""How long runs are asked to train, whether they have, and whether they can go on: the one answer for train, sweep, status and compare."""

from __future__ import annotations

import enum
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from seq2seq_jax.config import Config

CHECKPOINTS = "checkpoints"  # folder of a run directory, with one for each step that was saved
NOT_KEPT = "finished and its best checkpoint was not kept (--keep), so it cannot go on"  # said of a run that is THINNED


class Length(NamedTuple):
    """How long a run trains, in one of two units.

    Attributes:
      steps: updates; None where epochs are given.
      epochs: likewise.
      updates: that either comes to; None where that is not known, as of epochs before the data is read.
    """

    steps: int | None
    epochs: int | None
    updates: int | None = None

    def updates_after(self, made: Length) -> int | None:
        """Converts this length to updates, by the updates of an epoch of the length that was ``made``; None where these are not known."""
        if self.updates is not None or self.steps is not None:
            return self.steps if self.updates is None else self.updates
        if made.updates is None or made.epochs is None or self.epochs is None:
            return None
        return made.updates // made.epochs * self.epochs


def total_steps(config: Config, steps_per_epoch: int) -> int:
    """Returns the updates that a run asks for."""
    if config.train.steps is not None:
        return config.train.steps
    assert config.train.epochs is not None  # validate() saw to it
    return config.train.epochs * steps_per_epoch


class Standing(enum.Enum):
    """Where a finished run stands with regard to the length that it is asked for now."""

    DONE = enum.auto()  # as long as that
    EXTENDABLE = enum.auto()  # of another length, and the command that trained it brings it to this one
    BEYOND = enum.auto()  # it has made more updates already
    THINNED = enum.auto()  # its best checkpoint was not kept, so it cannot go on


def length_of(record: Any, entry: Mapping[str, Any] | None = None) -> Length | None:
    """Returns the length that a file asks for; None where it says none.

    Args:
      record: content of config.json or, for one of its members, of sweep.json; whatever stands there.
      entry: the member's in sweep.json: what it varies and what tuning has chosen for it count first.
    """
    config = record.get("config") if isinstance(record, dict) else None
    if not isinstance(config, dict) or not isinstance(config.get("train"), dict):
        return None
    own = {path: value for key in ("varied", "adapted") for path, value in ((entry or {}).get(key) or {}).items()}
    values = (own.get("train.steps", config["train"].get("steps")), own.get("train.epochs", config["train"].get("epochs")))
    return Length(*(value if isinstance(value, int) else None for value in (*values, record.get("steps"))))


def length_made(result: Mapping[str, Any]) -> Length:
    """Returns the length that a finished run has, as its result says, without figures where it does not."""
    own = result.get("length")
    if not isinstance(own, Mapping):
        return Length(None, None)
    return Length(*(value if isinstance(value, int) else None for value in map(own.get, Length._fields)))


def standing(run: pathlib.Path, result: Mapping[str, Any], asked: Length | None) -> Standing:
    """Returns where a finished run stands.

    Args:
      run: its directory.
      result: its result.json.
      asked: what it is asked for now. A run is done where its own length or this is not known.
    """
    made = length_made(result)
    if asked is None or made[:2] in ((None, None), asked[:2]):
        return Standing.DONE
    before, now = made.updates_after(made), asked.updates_after(made)
    if before is not None and now is not None and before > now and result["steps"] > now:  # it may have stopped early (train.patience)
        return Standing.BEYOND
    all_are_made = now is not None and before == now  # the same updates, said in the other unit
    return Standing.EXTENDABLE if all_are_made or has_checkpoint(run, result["best_step"]) else Standing.THINNED


def failed_longer(result: Mapping[str, Any], asked: Length | None) -> str | None:
    """Returns why a finished run, which keeps the result of another length, could not be brought to the one ``asked`` for; else None."""
    found = result.get("failed_longer")
    if asked is None or not isinstance(found, Mapping) or (found.get("steps"), found.get("epochs")) != asked[:2]:
        return None
    return str(found.get("error"))


def has_checkpoint(run: pathlib.Path, step: int) -> bool:
    """Returns whether a run directory has kept the checkpoint of a step."""
    return (run / CHECKPOINTS / str(step)).is_dir()


def newest_checkpoint(run: pathlib.Path) -> int:
    """Returns the updates that a run has made as far as they are saved, also where it has not finished."""
    return max((int(path.name) for path in (run / CHECKPOINTS).glob("*") if path.name.isdecimal() and path.is_dir()), default=0)
