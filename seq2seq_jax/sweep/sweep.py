"""A sweep from its grid to its last member. What is done is read from the run directories, so nothing is done twice."""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import FORMAT_VERSION, Config
from seq2seq_jax.data.corpus import corpus_key
from seq2seq_jax.data.sources import has_dev, with_absolute_paths
from seq2seq_jax.errors import UserError
from seq2seq_jax.records import read_grid
from seq2seq_jax.sweep import budget, design, tuning
from seq2seq_jax.sweep.design import Design
from seq2seq_jax.sweep.executors import execute
from seq2seq_jax.sweep.grid import Axes, Member, check_sizes, make_baselines, make_members, merged_axes
from seq2seq_jax.sweep.outcomes import Outcome, corpus_of, enough
from seq2seq_jax.sweep.retention import thin
from seq2seq_jax.sweep.same_data import check_same_data
from seq2seq_jax.sweep.shares import most_at_a_time
from seq2seq_jax.sweep.truncation import cut_tables, leave_estimate, runs_to_cut
from seq2seq_jax.sweep.view import SweepView
from seq2seq_jax.train.loop import stop_signals
from seq2seq_jax.train.pretrained import check_width
from seq2seq_jax.train.run_directory import RunDirectory, write_json


@dataclasses.dataclass(frozen=True)
class SweepOptions:
    """How a sweep is carried out; none of it changes a result beyond rounding.

    Attributes:
      executor: ``serial``, ``processes``, ``vectorized`` or ``auto``, which chooses by device.
      jobs: processes at a time; None: one for each graphics processor, or else for each core.
      retry_failed: whether members that failed earlier are trained again.
      max_failures: failures after which no further member is begun; None: all are tried.
      keep: checkpoint that a finished member keeps: ``best``, ``last`` or ``none``; None: best and last.
    """

    executor: str = "auto"
    jobs: int | None = None
    retry_failed: bool = False
    max_failures: int | None = None
    keep: str | None = None


def plan(config: Config, axes: Axes, workdir: str, wanted: Design = Design()) -> list[Member]:  # noqa: B008  frozen
    """Returns the members of the sweep in ``workdir``: every combination of the values asked for now and earlier.

    Raises UserError where an earlier sweep there has another configuration or has read other data, or the design cannot be met.
    """
    config = with_absolute_paths(config)
    design.check(wanted, config, axes)
    earlier = _read(pathlib.Path(workdir))
    if earlier is not None:
        _check_same(earlier, config, axes, wanted, workdir)
        axes, wanted = merged_axes(earlier["axes"], axes), design.with_recorded(wanted, earlier)
    members = make_members(config, axes)
    check_sizes(members)
    if wanted.baselines:
        members += make_baselines(config, axes, wanted.baselines, max(budget.vocabulary_sizes(config).values()))
    check_same_data(members, tuning.every_run(wanted, members, (earlier or {}).get("tuning")), workdir)
    if wanted.budget == "parameters":
        members = budget.equal_parameters(members)
        _check_hidden(earlier, members)
    members = [dataclasses.replace(member, config=with_absolute_paths(member.config)) for member in members]  # an axis may hold files
    for member in members:
        check_width(member.config)
        if not has_dev(member.config):
            raise UserError("data.dev_fraction=0: a sweep compares sizes on dev; expected a share above 0, or a file in data.dev")
    return tuning.tuned(members, (earlier or {}).get("tuning"))


def _check_same(earlier: dict[str, Any], config: Config, axes: Axes, wanted: Design, workdir: str) -> None:
    before = config_lib.from_dict(earlier["config"])
    changed = config_lib.differences(before, config, ignore=(*config_lib.MAY_CHANGE, *axes, *earlier["axes"]))
    if changed or set(axes) != set(earlier["axes"]):
        named = ", ".join(changed or sorted(set(axes) ^ set(earlier["axes"])))
        raise UserError(f"--workdir={workdir}: the sweep here has another configuration: {named}; expected the same, or another workdir")
    design.check_same(earlier.get("design", {}), wanted, workdir)


def _check_hidden(earlier: dict[str, Any] | None, members: Sequence[Member]) -> None:
    """Raises UserError where a new, smaller size would change the hidden sizes that earlier members were planned with."""
    before = {entry["name"]: entry.get("adapted", {}).get(budget.HIDDEN) for entry in (earlier or {"members": []})["members"]}
    for member in members:
        if member.name in before and before[member.name] != member.adapted.get(budget.HIDDEN):
            raise UserError(
                f"--budget=parameters: {member.name} was matched to another smallest size; expected no smaller one, or another workdir"
            )


def tuning_runs(members: Sequence[Member], wanted: Design, workdir: str) -> list[Member]:
    """Returns the runs that choose settings for the sizes that have none yet; they belong into ``tuning/``."""
    return tuning.new_runs(wanted, members, (_read(pathlib.Path(workdir)) or {}).get("tuning"))


def run_sweep(
    config: Config,
    members: Sequence[Member],
    workdir: str,
    options: SweepOptions,
    command: str,
    wanted: Design = Design(),  # noqa: B008  frozen
) -> list[Outcome]:
    """Trains every member that is not finished and returns how those ended that were trained.

    Args:
      config: what the members share.
      members: the grid, from ``plan``.
      workdir: the sweep's directory.
      options: how to carry it out.
      command: the command line as typed, kept in sweep.json for the report.
      wanted: the design that ``plan`` was given.

    Raises:
      Interrupted: a signal came; every running member has saved a checkpoint.
      UserError: another process is working on this sweep, or there is a mistake in the data that all members share and none is done.
    """
    folder = pathlib.Path(workdir)
    config = with_absolute_paths(config)
    missing = [member for member in members if not is_done(folder, member, options.retry_failed)]
    try:
        _check_data(missing)
    except UserError as error:
        if len(missing) == len(members):
            raise
        print(f"sweep: {error}", file=sys.stderr)  # what the others have reached is shown all the same
        return [Outcome(member.name, "failed", str(error)) for member in missing]
    with RunDirectory(folder).locked(), stop_signals():
        found = (_read(folder) or {}).get("tuning")
        _write(folder, config, members, command, wanted, found)
        if wanted.tune:
            found = _tune(config, members, folder, options, command, wanted, found)
            members = tuning.tuned(members, found)
            _write(folder, config, members, command, wanted, found)
        left_out = tuning.without_choice(members, found) if found else []
        if left_out:
            names = ", ".join(left_out)
            print(f"sweep: not trained, since tuning failed for their size (--retry_failed tries again): {names}", file=sys.stderr)
        outcomes = _train([member for member in members if member.name not in left_out], folder, options)
        cut_tables(members, folder)
        leave_estimate(members, folder)
        for member in members:
            thin(folder / member.name, options.keep)
        return outcomes


def _check_data(members: Sequence[Member]) -> None:
    """Raises UserError for a mistake in data that all members share: it is said once, and not by each of them as it begins."""
    if len({corpus_key(member.config) for member in members}) == 1:
        corpus_of(members[0].config)


def _train(members: Sequence[Member], folder: pathlib.Path, options: SweepOptions) -> list[Outcome]:
    """Trains the members that are not done and thins those that have finished, but for one whose table is still to be cut."""
    missing = [member for member in members if not is_done(folder, member, options.retry_failed)]
    # By the whole sweep and not by what is missing: a process's share of the cores settles how its sums are rounded.
    jobs = min(options.jobs or most_at_a_time(), len(members))

    def thin_finished(name: str) -> None:
        if name not in runs_to_cut(members, folder):
            thin(folder / name, options.keep)

    with SweepView(len(members), [member.name for member in missing], thin_finished) as view:
        outcomes = execute(missing, folder, options.executor, jobs, options.max_failures, view)
    left = len(missing) - len(outcomes)
    if left and enough(outcomes, options.max_failures):
        failed = sum(outcome.status == "failed" for outcome in outcomes)
        print(f"sweep: stopped after {_counted(failed, 'failure')} (--max_failures); {_counted(left, 'member')} not begun", file=sys.stderr)
    return outcomes


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _tune(
    config: Config,
    members: Sequence[Member],
    folder: pathlib.Path,
    options: SweepOptions,
    command: str,
    wanted: Design,
    found: dict[str, Any] | None,
) -> dict[str, Any]:
    """Makes the tuning runs that are missing and returns what is chosen."""
    runs, inner = tuning.new_runs(wanted, members, found), folder / tuning.FOLDER
    if runs:
        inner.mkdir(exist_ok=True)
        print(f"sweep: {len(runs)} runs with seed {runs[0].config.train.seed} choose {' and '.join(wanted.tune)} first", file=sys.stderr)
        _write(inner, config, tuning.every_run(wanted, members, found), command, Design(), None)
        _train(runs, inner, dataclasses.replace(options, keep="none"))
        for run in runs:
            thin(inner / run.name, "none")
    found = tuning.choose(folder, runs, wanted.tune, found)
    if any(member.config.train.seed == found["seed"] for member in members):
        print(f"sweep: seed {found['seed']} has chosen the settings that it is now compared with", file=sys.stderr)
    return found


def is_done(folder: str | pathlib.Path, member: Member, retry_failed: bool) -> bool:
    """Returns whether a member needs no training: finished as asked for, or failed and not to be tried again."""
    run = RunDirectory(pathlib.Path(folder) / member.name)
    result, record = run.result(), run.record()
    if result is not None and result["status"] == "failed":
        return not retry_failed
    if result is None or record is None:
        return False
    recorded = config_lib.from_dict(record["config"])
    asked = [(c.train.steps, c.train.epochs) for c in (recorded, member.config)]
    return (
        result["status"] == "finished"
        and asked[0] == asked[1]
        and not config_lib.differences(recorded, member.config, config_lib.MAY_CHANGE)
    )


def _read(folder: pathlib.Path) -> dict[str, Any] | None:
    """Returns the content of sweep.json, None where there is none yet. Raises UserError where it is damaged, or this is a run's place."""
    path = folder / "sweep.json"
    if (folder / "config.json").exists():
        raise UserError(f"--workdir={folder}: this is the directory of one run; expected another one for a sweep")
    if not path.exists():
        return None
    grid = read_grid(path, "axes", "config")
    try:
        config_lib.from_dict(grid["config"])
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return grid


def _write(
    folder: pathlib.Path, config: Config, members: Sequence[Member], command: str, wanted: Design, found: dict[str, Any] | None
) -> None:
    learned = [member.varied for member in members if member.table == "learned"]  # some: baselines stand beside sizes
    axes = {path: sorted({varied[path] for varied in learned}, key=lambda value: (str(type(value)), value)) for path in learned[0]}
    write_json(
        folder / "sweep.json",
        {
            "format": FORMAT_VERSION,
            "command": command,
            "axes": axes,
            "design": design.to_json(wanted),
            "tuning": found,
            "members": [_entry(member) for member in members],
            "config": config_lib.to_dict(config),
        },
    )


def _entry(member: Member) -> dict[str, Any]:
    return {"name": member.name, "varied": member.varied, "table": member.table, "adapted": member.adapted}
