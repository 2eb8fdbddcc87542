"""A sweep from its plan to its last member. What is done is read from the run directories, so nothing is done twice."""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from collections.abc import Collection, Sequence

from seq2seq_jax.data.corpus import corpus_key
from seq2seq_jax.records import TUNING_FOLDER
from seq2seq_jax.show.labels import counted
from seq2seq_jax.show.progress import shown
from seq2seq_jax.sweep import tuning
from seq2seq_jax.sweep.design import Design
from seq2seq_jax.sweep.executors import execute
from seq2seq_jax.sweep.found import Found
from seq2seq_jax.sweep.largest import largest_of, largest_runs, study_largest
from seq2seq_jax.sweep.members import Member
from seq2seq_jax.sweep.outcomes import Outcome, enough, is_full, thin
from seq2seq_jax.sweep.plan import Plan
from seq2seq_jax.sweep.same_data import record_places
from seq2seq_jax.sweep.shared_corpus import corpus_of
from seq2seq_jax.sweep.shares import most_at_a_time
from seq2seq_jax.sweep.view import SweepView
from seq2seq_jax.train.run_directory import RunDirectory
from seq2seq_jax.train.signals import stop_signals


@dataclasses.dataclass(frozen=True)
class SweepOptions:
    """How to run a sweep; none of it changes a result beyond rounding.

    Attributes:
      executor: ``serial``, ``processes``, ``vectorized`` or ``auto``, which chooses by device.
      jobs: processes at a time; None: one for each graphics processor, or else for each core that may be busy.
      retry_failed: whether members that failed earlier are trained again.
      max_failures: failures after which no further member is begun; None: all are tried.
      keep: checkpoint that a finished member keeps: ``best``, ``last`` or ``none``; None: best and last.
    """

    executor: str
    jobs: int | None = None
    retry_failed: bool = False
    max_failures: int | None = None
    keep: str | None = None


def run_sweep(plan: Plan, options: SweepOptions, command: str | None = None) -> list[Outcome]:
    """Trains every member that is not finished and returns how those ended that were trained.

    Args:
      plan: what to train.
      options: how to run it.
      command: the command line as typed, kept in sweep.json for the report and for the command that goes on; None where there is none.

    Raises:
      Interrupted: a signal came; every running member has saved a checkpoint.
      UserError: another process is working on this sweep, a member cannot be brought to the updates asked for now, or there is a
        mistake in the data of all members that are not finished.
    """
    check_members(plan, options.retry_failed)
    missing = _missing(plan.members, plan.folder, options)
    _check_data(missing)
    warn_of_schedules(plan.members, plan.folder)
    replaced = sorted(plan.recorded - {member.name for member in plan.members})
    if replaced:
        print(f"sweep: {', '.join(replaced)}: no member any more, since a larger size takes its place; its files stay", file=sys.stderr)
    with RunDirectory(plan.folder).locked(), stop_signals():
        plan.check_current()
        plan.write(command)
        if plan.design.tune:
            plan = plan.tuned(_tune(plan, options, command))
            plan.write(command)
        left_out = tuning.without_choice(plan.members, plan.tuning) if plan.tuning else []
        if left_out:
            names = ", ".join(left_out)
            print(f"sweep: not trained, since tuning failed for their size (--retry_failed tries again): {names}", file=sys.stderr)
        members = [member for member in plan.members if member.name not in left_out]
        outcomes = _train(members, plan.folder, options, largest_of(members))
        record_places(plan.members, plan.folder)
        study_largest(plan.members, plan.folder)
        for member in plan.members:
            _thin_done(plan.folder, member, options.keep)
        return outcomes


def _thin_done(folder: pathlib.Path, member: Member, keep: str | None) -> None:
    """Thins a member that is as long as asked for; one that is shorter, or that another process works on, goes on from its checkpoints."""
    if Found(folder, member).result_as_asked is not None and RunDirectory(folder / member.name).holder() is None:
        thin(folder / member.name, keep)


def check_members(plan: Plan, retry_failed: bool) -> None:
    """Raises UserError for what members would refuse each by itself, tuning runs first."""
    for folder, members in ((plan.folder / TUNING_FOLDER, plan.tuning_runs), (plan.folder, plan.members)):
        for member in members:
            Found(folder, member).check(retry_failed)


def warn_of_tuning_seed(members: Sequence[Member], chosen: tuning.Tuning) -> None:
    """Says that a seed that has tuned is compared too, as where a tuned sweep has grown."""
    if any(member.config.train.seed == chosen.seed for member in members):
        print(f"warning: seed {chosen.seed} chose the tuned values and is also compared; its results are optimistic", file=sys.stderr)


def warn_of_schedules(members: Sequence[Member], folder: pathlib.Path) -> None:
    """Says before they are trained that members do not compare of which some are lengthened, now or earlier, and others begin."""
    if not any(member.config.train.schedule_ends for member in members):
        return
    found = [Found(folder, member) for member in members]
    lengthened, beginning = sum(one.is_lengthened for one in found), sum(one.begins for one in found)
    if lengthened and beginning:
        print(
            f"warning: {counted(lengthened, 'member')} lengthened and {counted(beginning, 'member')} not begun: the learning rate, which "
            "is scheduled over the whole length (train.schedule), takes another course, and their figures do not compare; a new --workdir "
            "trains all of them alike",
            file=sys.stderr,
        )


def _missing(members: Sequence[Member], folder: pathlib.Path, options: SweepOptions) -> list[Member]:
    return [member for member in members if not Found(folder, member).is_done(options.retry_failed)]


def _check_data(members: Sequence[Member]) -> None:
    """Raises UserError for a mistake in data that all members share: it is said once, and not by each of them as it begins."""
    if len({corpus_key(member.config) for member in members}) == 1:
        with shown("sweep: reading the data"):
            corpus_of(members[0].config)


def _train(members: Sequence[Member], folder: pathlib.Path, options: SweepOptions, largest: Collection[str] = ()) -> list[Outcome]:
    """Trains the members that are not done and thins those that have finished, but for one whose table is still to be cut."""
    missing = _missing(members, folder, options)
    # By the whole sweep and not by what is missing: a process's share of the cores settles how its sums are rounded.
    jobs = min(options.jobs or most_at_a_time(), len(members))

    def thin_finished(name: str) -> None:
        if name not in largest_runs(members, folder):
            thin(folder / name, options.keep)

    with SweepView(len(members), [member.name for member in missing], thin_finished) as view:
        outcomes = execute(missing, folder, options.executor, jobs, options.max_failures, view, largest)
    RunDirectory(folder).check_held()
    left = len(missing) - len(outcomes)
    if is_full(outcomes):
        print("sweep: stopped, since the disk is full: make room and give the command again, which completes the sweep", file=sys.stderr)
    elif left and enough(outcomes, options.max_failures):
        failed = sum(outcome.status == "failed" for outcome in outcomes)
        print(f"sweep: stopped after {counted(failed, 'failure')} (--max_failures); {counted(left, 'member')} not begun", file=sys.stderr)
    return outcomes


def _tune(plan: Plan, options: SweepOptions, command: str | None) -> tuning.Tuning:
    """Makes the tuning runs that are missing and returns what is chosen."""
    runs, tune = plan.tuning_runs, plan.design.tune
    if runs:
        folder = plan.folder / TUNING_FOLDER
        folder.mkdir(exist_ok=True)
        print(f"sweep: {len(runs)} runs with seed {runs[0].config.train.seed} choose {' and '.join(tune)} first", file=sys.stderr)
        Plan(folder, plan.config, tuning.every_run(plan.members, tune, plan.tuning), Design()).write(command)
        with RunDirectory(folder).locked():
            _train(runs, folder, dataclasses.replace(options, keep="none"))
        for run in runs:
            _thin_done(folder, run, "none")
    chosen = tuning.choose(plan.folder, runs, tune, plan.tuning)
    warn_of_tuning_seed(plan.members, chosen)
    return chosen
