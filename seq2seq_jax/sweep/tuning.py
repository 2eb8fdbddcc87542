"""The best setting of each size, found on dev with a seed that the comparison does not use, before the sizes are compared.

Tuning runs are members of a sweep of their own, in ``tuning/`` below the sweep, where no comparison looks. A choice once made
stays with its size, so that growing the sweep trains nothing again.
"""

from __future__ import annotations

import itertools
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import SEED
from seq2seq_jax.errors import UserError
from seq2seq_jax.sweep.design import Design
from seq2seq_jax.sweep.grid import Axes, Member
from seq2seq_jax.train.run_directory import RunDirectory
from seq2seq_jax.validation import validate

FOLDER = "tuning"


def tuning_seed(members: Sequence[Member], recorded: dict[str, Any] | None) -> int:
    """Returns the seed of the tuning runs: the one used so far, else the largest compared seed + 1."""
    return recorded["seed"] if recorded else max(member.config.train.seed for member in members) + 1


def tuning_members(members: Sequence[Member], tune: Axes, seed: int, recorded: dict[str, Any] | None) -> list[Member]:
    """Returns the tuning runs of every size for which nothing is chosen in ``recorded``: one for each setting."""
    first = {_key(member.without_seed): member for member in reversed(members)}
    found = []
    for member in members:
        if first[_key(member.without_seed)] is member and _chosen(member, recorded) is None:
            for values in itertools.product(*tune.values()):
                setting = dict(zip(tune, values, strict=True))
                varied = {**member.without_seed, **setting, SEED: seed}
                config = config_lib.replace(member.config, {**setting, SEED: seed})
                validate(config)
                adapted = {path: value for path, value in member.adapted.items() if path not in tune}
                found.append(Member(varied, config, adapted))
    return found


def choose(folder: pathlib.Path, tried: Sequence[Member], tune: Axes, recorded: dict[str, Any] | None) -> dict[str, Any]:
    """Returns what sweep.json says of tuning: the seed, each size's best setting, and what all of it has cost.

    Args:
      folder: the sweep's.
      tried: tuning runs made for sizes without a choice, finished or failed.
      tune: the values tried.
      recorded: what was chosen before.

    Raises UserError where there is no dev split to choose by.
    """
    by_size: dict[str, list[Member]] = {}
    for member in tried:
        by_size.setdefault(_key(_size_of(member, tune)), []).append(member)
    chosen = list(recorded["chosen"]) if recorded else []
    for members in by_size.values():
        results = [(member, RunDirectory(folder / FOLDER / member.name).result()) for member in members]
        finished = [(member, result) for member, result in results if result is not None and result["status"] == "finished"]
        if finished:
            chosen.append({"varied": _size_of(members[0], tune), **_best(finished, tune)})
    seed = tried[0].config.train.seed if tried or not recorded else recorded["seed"]
    made = [result for path in (folder / FOLDER).glob("*") if (result := RunDirectory(path).result()) is not None]
    return {"seed": seed, "runs": len(made), "train_seconds": sum(result["train_seconds"] or 0.0 for result in made), "chosen": chosen}


def tuned(members: Sequence[Member], recorded: dict[str, Any] | None) -> list[Member]:
    """Returns the members with the values chosen for their sizes; those of a size without a choice as they are."""
    return [member.adapt(_chosen(member, recorded) or {}) for member in members]


def without_choice(members: Sequence[Member], recorded: dict[str, Any]) -> list[str]:
    """Returns the names of members for whose size no setting has finished: to train them as configured would be no fair comparison."""
    return [member.name for member in members if _chosen(member, recorded) is None]


def _best(finished: Sequence[tuple[Member, dict[str, Any]]], tune: Axes) -> dict[str, Any]:
    """Returns the setting with the best dev metric, and what every one reached."""
    if any(result["dev"] is None for _, result in finished):
        raise UserError(f"--tune={next(iter(tune))}: there is no dev split to choose by; expected data.dev, or data.dev_fraction above 0")
    metric = finished[0][1]["metric"]
    tried = [({path: config_lib.get(member.config, path) for path in tune}, result["dev"][metric["name"]]) for member, result in finished]
    best = min(tried, key=lambda pair: pair[1] if metric["lower_is_better"] else -pair[1])
    return {"values": best[0], "tried": [{"values": values, metric["name"]: value} for values, value in tried]}


def _size_of(member: Member, tune: Axes) -> dict[str, Any]:
    return {path: value for path, value in member.without_seed.items() if path not in tune}


def _chosen(member: Member, recorded: dict[str, Any] | None) -> dict[str, Any] | None:
    """Returns the values chosen for a member's size; None where nothing is chosen yet."""
    for entry in (recorded or {"chosen": []})["chosen"]:
        if entry["varied"] == member.without_seed:
            return entry["values"]
    return None


def _key(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def new_runs(design: Design, members: Sequence[Member], recorded: dict[str, Any] | None) -> list[Member]:
    """Returns the tuning runs that a sweep still needs; none where nothing is tuned."""
    return tuning_members(members, design.tune, tuning_seed(members, recorded), recorded) if design.tune else []


def every_run(design: Design, members: Sequence[Member], recorded: dict[str, Any] | None) -> list[Member]:
    """Returns the tuning runs of a sweep, those included that have chosen already; none where nothing is tuned."""
    return tuning_members(members, design.tune, tuning_seed(members, recorded), None) if design.tune else []
