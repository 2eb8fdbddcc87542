"""The command that goes on from an undecided answer: that of the whole sweep, with more seeds or, where these are no use, anew.

Knows the flags of ``launch.py sweep`` and how a command line is written.
Read next: ``comparison.py``.
"""

from __future__ import annotations

import json
import os
import pathlib
import shlex
from collections.abc import Sequence
from typing import Any

from seq2seq_jax.compare import run_files
from seq2seq_jax.compare.grid import Grid
from seq2seq_jax.compare.recommend import Recommendation
from seq2seq_jax.compare.results import Cause, Sweep
from seq2seq_jax.compare.schema import TuningSummary
from seq2seq_jax.config import AXIS_FLAGS, SEED, SIZE
from seq2seq_jax.json_files import readable_object
from seq2seq_jax.records import CONFIG_FILE

SHORT_FLAGS = {f"--{flag}": path for flag, path in AXIS_FLAGS.items()}  # --axis names the same fields
STEPS, EPOCHS, LEARNING_RATE = "train.steps", "train.epochs", "train.learning_rate"
OWN_FLAGS = [f"--config.{path}" for path in (*AXIS_FLAGS.values(), STEPS, EPOCHS, LEARNING_RATE)]
REPLACED = ("--axis", "--tolerance", "--workdir", *SHORT_FLAGS, *OWN_FLAGS)
FIRST_SEEDS = 3  # asked for, at least, where no two sizes have two seeds in common or all is trained anew


def next_command(
    sweep: Sweep, grid: Grid, recommendation: Recommendation, tolerance: float | None, tuning: TuningSummary | None
) -> str | None:
    """Returns the command that makes an undecided answer surer; None where no such command exists.

    It names every value of every axis, since the last call of the sweep may have given only those that it added. Only an axis with a
    comma in its values is not named: no flag can hold one, so they are those of the experiment file. Its tolerance is the one that
    ``compare`` was given, or none: with another it would answer another question.

    Args:
      sweep: what was compared, with the command that launched it.
      grid: the runs of one setting.
      recommendation: the answer so far.
      tolerance: as typed for this comparison; None: the metric's own.
      tuning: which sizes of the setting were tuned (``fairness.tuning_of``); None in a sweep without tuning.
    """
    if any(failure.cause is Cause.STUCK for size in grid.sizes for failure in size.failures):
        return None
    if grid.learned.sum() == 1 and not _can_grow(sweep) and recommendation.chosen is not None:
        return None  # no number of seeds decides for a size that stands alone
    flags = _axis_flags(sweep, grid) | {_axis_flag(SEED): _seeds_flag(_seeds_to_ask_for(sweep, grid, recommendation))}
    if _needs_retry(grid, tuning):
        flags["--retry_failed"] = None
    if tolerance is not None:
        flags["--tolerance"] = str(tolerance)
    if grid.lengthened and not grid.lacks_runs:  # what it adds would not compare with them
        flags["--workdir"] = _beside(sweep)
    return _sweep_command(sweep, flags)


def longer_command(sweep: Sweep, grid: Grid, factor: int, tolerance: float | None) -> str | None:
    """Returns the command that trains all members anew, ``factor`` times as long; None where they have no one length."""
    for path in (EPOCHS, STEPS):
        value = _shared_number(sweep, grid, path)
        if value is not None:
            return _command_anew(sweep, grid, path, str(round(factor * value)), tolerance)
    return None


def slower_command(sweep: Sweep, grid: Grid, factor: float, tolerance: float | None) -> str | None:
    """Returns the command that trains all members anew at a learning rate of ``factor`` times theirs; None where they have several."""
    value = _shared_number(sweep, grid, LEARNING_RATE)
    return None if value is None else _command_anew(sweep, grid, LEARNING_RATE, f"{factor * value:.2g}", tolerance)


def _command_anew(sweep: Sweep, grid: Grid, path: str, value: str, tolerance: float | None) -> str:
    now = seeds_asked_for(grid)
    seeds = _grown(now, max(len(now), FIRST_SEEDS), _tuned_with(sweep))
    flags = _axis_flags(sweep, grid) | {_axis_flag(SEED): _seeds_flag(seeds), f"--config.{path}": value}
    if tolerance is not None:
        flags["--tolerance"] = str(tolerance)
    return _sweep_command(sweep, flags | {"--workdir": _beside(sweep)})


def _shared_number(sweep: Sweep, grid: Grid, path: str) -> float | None:
    """Returns what all members have in a field that is neither swept nor tuned; None where that is no number, or not one and the same."""
    failed = [pathlib.Path(sweep.workdir) / failure.name / CONFIG_FILE for size in grid.sizes for failure in size.failures]
    found = [run.fields for size in grid.sizes for run in size.runs] + [run_files.fields_in(readable_object(file)) for file in failed]
    values = [fields.get(path) for fields in found if fields]  # of those that were begun
    alike = bool(values) and values.count(values[0]) == len(values) and path not in {**sweep.axes, **sweep.tuned}
    return values[0] if alike and run_files.is_number(values[0]) else None


def _axis_flags(sweep: Sweep, grid: Grid) -> dict[str, str | None]:
    """Returns the flags that name the values of every axis but the seed's; a size that stands alone gets others beside it."""
    typable = {path: values for path, values in sweep.axes.items() if path != SEED and not any("," in str(value) for value in values)}
    flags: dict[str, str | None] = {_axis_flag(path): _typed(values) for path, values in typable.items()}
    if grid.learned.sum() == 1 and _can_grow(sweep):  # baselines do not count
        flags[_axis_flag(SIZE)] = _typed(_sizes_beside(sweep, grid.sizes[0].embedding_dim))  # learned tables come first
    return flags


def _can_grow(sweep: Sweep) -> bool:
    """Returns whether other sizes can be asked for."""
    return SIZE in sweep.axes and not sweep.fixed_size


def _beside(sweep: Sweep) -> str:
    """Returns a workdir beside that of the sweep."""
    place = pathlib.Path(sweep.workdir)
    return f"{place if place.name not in ('', '..') else place.resolve()}_anew"


def _sizes_beside(sweep: Sweep, size: int) -> list[int]:
    """Returns a size that stands alone, with a smaller and a larger one."""
    smallest = size if sweep.budget == "parameters" else max(1, size // 4)  # that budget is the smallest size's
    return sorted({smallest, size, 4 * size})


def _seeds_to_ask_for(sweep: Sweep, grid: Grid, recommendation: Recommendation) -> list[int]:
    """Returns the seeds asked for so far and the further ones that would decide; where no number would, twice as many.

    Runs that are missing and may change the answer come first: with them the seeds stay as they are. So they do where no two sizes
    have two seeds in common for want of such runs, and where the runs were lengthened, with which new seeds do not compare.
    """
    now = seeds_asked_for(grid)
    if grid.lengthened and grid.lacks_runs:
        return now
    if recommendation.excess_bound is None:
        runs_missing = len(now) > 1 and grid.lacks_runs
        number = len(now) if runs_missing else FIRST_SEEDS
    elif recommendation.seeds_needed is not None:
        number = recommendation.seeds_needed
    else:
        number = len(now) if recommendation.may_change else 2 * len(now)
    return _grown(now, max(number, len(now)), _tuned_with(sweep))


def _tuned_with(sweep: Sweep) -> list[int]:
    """Returns the seed that tuned the sweep, which is not compared, or none."""
    return [] if sweep.tuning is None else [int(sweep.tuning["seed"])]


def _needs_retry(grid: Grid, tuning: TuningSummary | None) -> bool:
    """Says whether a member has failed, or never began because the tuning of its size failed: the sweep retries neither unasked."""
    if any(failure.needs_retry for size in grid.sizes for failure in size.failures):
        return True
    chosen = None if tuning is None else [(row["embedding_dim"], row["table"]) for row in tuning["chosen"]]
    return chosen is not None and any(not size.runs and (size.embedding_dim, size.table) not in chosen for size in grid.sizes)


def seeds_asked_for(grid: Grid) -> list[int]:
    """Returns the seeds of all members, finished or not."""
    unfinished = {failure.member.seed for size in grid.sizes for failure in size.failures if failure.member is not None}
    return sorted({int(seed) for seed in grid.seeds} | unfinished)


def _axis_flag(path: str) -> str:
    return next((flag for flag, own in SHORT_FLAGS.items() if own == path), f"--axis={path}")


def _typed(values: Sequence[Any]) -> str:
    """Returns the values of a field as a flag takes them: ``4,16,64``, ``true``, ``null``."""
    return ",".join(value if isinstance(value, str) else json.dumps(value) for value in values)


def _grown(seeds: list[int], number: int, without: Sequence[int]) -> list[int]:
    """Adds the smallest unused seeds until there are ``number``. Seeds in ``without``, such as the one that tuned, are not used."""
    unused = (seed for seed in range(number + len(seeds) + len(without)) if seed not in (*seeds, *without))
    return sorted(seeds + [next(unused) for _ in range(number - len(seeds))])


def _sweep_command(sweep: Sweep, flags: dict[str, str | None]) -> str:
    """Returns the command that launched the sweep with ``flags`` in place of its own; a value of None is a flag without a value.

    A recorded --tolerance is always removed: where ``flags`` has none, the comparison used the metric's. A sweep that was moved is
    named by where it is now. Where the command was given in another directory, which is still there, it goes there first.
    """
    elsewhere = _elsewhere(sweep)
    if elsewhere and (workdir := flags.get("--workdir")):
        flags = flags | {"--workdir": os.path.abspath(workdir)}
    if sweep.command:
        words = [_here(sweep, word, elsewhere) for word in _joined([_two_dashes(word) for word in shlex.split(sweep.command)])]
    else:
        words = ["launch.py", "sweep", "--config=EXPERIMENT", f"--workdir={sweep.workdir}"]
    axes = [path for flag, path in SHORT_FLAGS.items() if flag in flags]
    same = [f"--{flag}{path}=" for path in axes for flag in ("axis=", "config.")]  # a field that is swept has no value of its own
    replaced = tuple([f"{name}=" for name in ("--tolerance", *flags)] + same)
    kept = [word for word in words if not (word in flags or word.startswith(replaced))]
    command = shlex.join(kept + [name if value is None else f"{name}={value}" for name, value in flags.items()])
    return f"cd {shlex.quote(elsewhere)} && {command}" if elsewhere else command


def _elsewhere(sweep: Sweep) -> str | None:
    """Returns the directory in which the command was given, where it is there and another one than the current."""
    place = sweep.directory
    return None if place is None or not os.path.isdir(place) or os.path.samefile(place, ".") else place


def _here(sweep: Sweep, word: str, elsewhere: str | None) -> str:
    """Returns a word of the command; in place of a workdir that the sweep was moved away from, where it is now."""
    flag, _, recorded = word.partition("=")
    moved = flag == "--workdir" and pathlib.Path(elsewhere or "", recorded).resolve() != pathlib.Path(sweep.workdir).resolve()
    return f"--workdir={os.path.abspath(sweep.workdir) if elsewhere else sweep.workdir}" if moved else word


def _two_dashes(word: str) -> str:
    """Returns a flag that may be replaced with two dashes where it was typed with one, ``-seeds=0,1``, which means the same."""
    return f"-{word}" if f"-{word.partition('=')[0]}" in REPLACED else word


def _joined(words: Sequence[str]) -> list[str]:
    """Joins a flag that may be replaced with its value where they were typed as two words: ``--seeds 0,1`` to ``--seeds=0,1``."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in REPLACED:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _seeds_flag(seeds: list[int]) -> str:
    """Returns seeds as the flag takes them: ``0..4``, which includes 4, or ``0,2,3``."""
    if seeds == list(range(seeds[0], seeds[-1] + 1)) and len(seeds) > 1:
        return f"{seeds[0]}..{seeds[-1]}"
    return ",".join(map(str, seeds))
