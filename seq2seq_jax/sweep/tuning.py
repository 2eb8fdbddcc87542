"""The best values of tuned fields for each size, found on dev with a seed that the comparison does not use, before the sizes are compared.

Tuning runs are members of a sweep of their own, in ``tuning/`` below the sweep, where no comparison looks. A choice once made
stays with its size, so that growing the sweep trains nothing again.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from collections.abc import Sequence
from typing import Any

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import SEED, setting_key
from seq2seq_jax.kinds import LOSS, metric_of
from seq2seq_jax.records import TUNING_FOLDER, SweepRecord
from seq2seq_jax.sweep.axes import Axes
from seq2seq_jax.sweep.found import Found
from seq2seq_jax.sweep.members import Member
from seq2seq_jax.train.run_directory import RunDirectory
from seq2seq_jax.validation import validate


@dataclasses.dataclass(frozen=True)
class Tuning:
    """What tuning has chosen so far, as sweep.json records it.

    Attributes:
      seed: of the tuning runs.
      runs: how many have ended.
      train_seconds: what they have cost.
      chosen: for each size what it varies, the values chosen, and what every candidate has reached.
    """

    seed: int
    runs: int
    train_seconds: float
    chosen: list[dict[str, Any]]

    @classmethod
    def recorded(cls, record: SweepRecord | None) -> Tuning | None:
        """Returns what is chosen according to the content of a sweep.json; None where there is none, or nothing was tuned."""
        entry = None if record is None else record.get("tuning")
        return None if entry is None else cls(**{field.name: entry[field.name] for field in dataclasses.fields(cls)})

    def values_for(self, member: Member) -> dict[str, Any] | None:
        """Returns the values chosen for a member's size; None where nothing is chosen yet."""
        return next((entry["values"] for entry in self.chosen if entry["varied"] == member.without_seed), None)


def new_runs(members: Sequence[Member], tune: Axes, earlier: Tuning | None) -> list[Member]:
    """Returns the tuning runs that a sweep still needs: those of the sizes for which nothing is chosen; none where nothing is tuned."""
    waiting = [member for member in members if earlier is None or earlier.values_for(member) is None]
    return _runs(waiting, tune, _seed(members, earlier))


def every_run(members: Sequence[Member], tune: Axes, earlier: Tuning | None) -> list[Member]:
    """Returns the tuning runs of a sweep, those included that have chosen already; none where nothing is tuned."""
    return _runs(members, tune, _seed(members, earlier))


def _seed(members: Sequence[Member], earlier: Tuning | None) -> int:
    """Returns the seed of the tuning runs: the one used so far, else the largest compared seed + 1."""
    return max(member.config.train.seed for member in members) + 1 if earlier is None else earlier.seed


def _runs(members: Sequence[Member], tune: Axes, seed: int) -> list[Member]:
    """Returns, for every size that members have, a run with each candidate."""
    first: dict[str, Member] = {}
    for member in members:
        first.setdefault(setting_key(member.without_seed), member)
    runs = []
    for member in first.values() if tune else ():
        for values in itertools.product(*tune.values()):
            candidate = dict(zip(tune, values, strict=True))
            varied = {**member.without_seed, **candidate, SEED: seed}
            config = config_lib.replace(member.config, {**candidate, SEED: seed})
            validate(config)
            adapted = {path: value for path, value in member.adapted.items() if path not in tune}
            runs.append(Member(varied, config, adapted))
    return runs


def choose(folder: pathlib.Path, tried: Sequence[Member], tune: Axes, earlier: Tuning | None) -> Tuning:
    """Returns each size's best candidate, and what all of tuning has cost.

    Args:
      folder: the sweep's.
      tried: tuning runs made for sizes without a choice, finished or failed.
      tune: the values tried.
      earlier: what was chosen before.
    """
    by_size: dict[str, list[Member]] = {}
    for member in tried:
        by_size.setdefault(setting_key(_size_of(member, tune)), []).append(member)
    chosen = list(earlier.chosen) if earlier else []
    for members in by_size.values():
        results = [(member, Found(folder / TUNING_FOLDER, member).result_as_asked) for member in members]
        finished = [(member, result) for member, result in results if result is not None]
        if finished:
            chosen.append({"varied": _size_of(members[0], tune), **_best(finished, tune)})
    seed = earlier.seed if earlier else tried[0].config.train.seed
    made = [result for path in (folder / TUNING_FOLDER).glob("*") if (result := RunDirectory(path).result()) is not None]
    return Tuning(seed, len(made), sum(result["train_seconds"] or 0.0 for result in made), chosen)


def tuned(members: Sequence[Member], chosen: Tuning | None) -> list[Member]:
    """Returns the members with the values chosen for their sizes; those of a size without a choice as they are."""
    return [member.adapt(chosen.values_for(member) or {}) for member in members] if chosen else list(members)


def without_choice(members: Sequence[Member], chosen: Tuning) -> list[str]:
    """Returns the names of members for whose size no candidate has finished: to train them as configured would be no fair comparison."""
    return [member.name for member in members if chosen.values_for(member) is None]


def _best(finished: Sequence[tuple[Member, dict[str, Any]]], tune: Axes) -> dict[str, Any]:
    """Returns the candidate with the best dev metric, of equal ones that with the least loss, and what every one reached."""
    metric = metric_of(finished[0][0].config)
    best, _ = min(finished, key=lambda run: metric.rank(run[1]["dev"][metric.name], run[1]["dev"].get(LOSS, 0.0)))
    tried = [(_values(member, tune), result["dev"][metric.name]) for member, result in finished]
    return {"values": _values(best, tune), "tried": [{"values": values, metric.name: value} for values, value in tried]}


def _values(member: Member, tune: Axes) -> dict[str, Any]:
    return {path: config_lib.get(member.config, path) for path in tune}


def _size_of(member: Member, tune: Axes) -> dict[str, Any]:
    return {path: value for path, value in member.without_seed.items() if path not in tune}
