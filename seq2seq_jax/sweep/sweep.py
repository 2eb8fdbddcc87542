"""A sweep from its grid to its last member. What is done is read from the run directories, so nothing is done twice."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import FORMAT_VERSION, Config, UserError
from seq2seq_jax.data.sources import with_absolute_paths
from seq2seq_jax.sweep.executors import Outcome, execute
from seq2seq_jax.sweep.grid import Axes, Member, make_members
from seq2seq_jax.sweep.view import SweepView
from seq2seq_jax.train.run_directory import MAY_CHANGE, RunDirectory, write_json


@dataclasses.dataclass(frozen=True)
class SweepOptions:
    """How a sweep is carried out; none of it changes a result beyond rounding.

    Attributes:
      executor: ``serial``, ``processes`` or ``auto``.
      jobs: processes at a time; None: one for each core or device.
      retry_failed: whether members that failed earlier are trained again.
      max_failures: failures after which no further member is begun; None: all are tried.
    """

    executor: str = "auto"
    jobs: int | None = None
    retry_failed: bool = False
    max_failures: int | None = None


def plan(config: Config, axes: Axes, workdir: str) -> list[Member]:
    """Returns the members of the sweep in ``workdir``: those asked for now and those asked for earlier.

    Raises UserError where an earlier sweep there has another configuration.
    """
    config = with_absolute_paths(config)
    members = make_members(config, axes)
    earlier = _read(pathlib.Path(workdir))
    if earlier is None:
        return members
    before = config_lib.from_dict(earlier["config"])
    changed = config_lib.differences(before, config, ignore=(*MAY_CHANGE, *axes, *earlier["axes"]))
    if changed or set(axes) != set(earlier["axes"]):
        named = ", ".join(changed or sorted(set(axes) ^ set(earlier["axes"])))
        raise UserError(f"--workdir={workdir}: the sweep here has another configuration: {named}; expected the same, or another workdir")
    known = {member.name for member in members}
    grown = [make_members(config, {path: (value,) for path, value in entry["varied"].items()})[0] for entry in earlier["members"]]
    return [*members, *(member for member in grown if member.name not in known)]


def run_sweep(config: Config, members: Sequence[Member], axes: Axes, workdir: str, options: SweepOptions, command: str) -> list[Outcome]:
    """Trains every member that is not finished and returns how those ended that were trained.

    Args:
      config: what the members share.
      members: the grid, from ``plan``.
      axes: the axes asked for now.
      workdir: the sweep's directory.
      options: how to carry it out.
      command: the command line as typed, kept in sweep.json for the report.

    Raises:
      Interrupted: a signal came; every running member has saved a checkpoint.
      UserError: another process is working on this sweep.
    """
    folder = pathlib.Path(workdir)
    with RunDirectory(folder).locked():
        _write(folder, with_absolute_paths(config), members, axes, command)
        missing = [member for member in members if not is_done(folder, member, options.retry_failed)]
        with SweepView(len(members), [member.name for member in missing]) as view:
            return execute(missing, folder, options.executor, options.jobs, options.max_failures, view)


def is_done(folder: str | pathlib.Path, member: Member, retry_failed: bool) -> bool:
    """Returns whether a member needs no training: finished as asked for, or failed and not to be tried again."""
    run = RunDirectory(pathlib.Path(folder) / member.name)
    result, record = run.result(), run.record()
    if result is None or record is None:
        return False
    if result["status"] == "failed":
        return not retry_failed
    recorded = config_lib.from_dict(record["config"])
    asked = [(c.train.steps, c.train.epochs) for c in (recorded, member.config)]
    return result["status"] == "finished" and asked[0] == asked[1] and not config_lib.differences(recorded, member.config, MAY_CHANGE)




def _read(folder: pathlib.Path) -> dict[str, Any] | None:
    path = folder / "sweep.json"
    if (folder / "config.json").exists():
        raise UserError(f"--workdir={folder}: this is the directory of one run; expected another one for a sweep")
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: expected the grid of a sweep, found something else ({error})") from error


def _write(folder: pathlib.Path, config: Config, members: Sequence[Member], axes: Axes, command: str) -> None:
    union = {path: sorted({member.varied[path] for member in members}, key=lambda value: (str(type(value)), value)) for path in axes}
    write_json(
        folder / "sweep.json",
        {
            "format": FORMAT_VERSION,
            "command": command,
            "axes": union,
            "members": [{"name": member.name, "varied": member.varied} for member in members],
            "config": config_lib.to_dict(config),
        },
    )
