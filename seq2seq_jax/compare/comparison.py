"""The comparison of one sweep, or of several pooled, setting by setting.

Read next: ``answer.py`` for what is in it, ``table.py`` and ``report.py``, which show it.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
from typing import Any, NamedTuple

import numpy as np

from seq2seq_jax.compare import conditions, pooling, reason
from seq2seq_jax.compare.answer import answer_object, without_nan
from seq2seq_jax.compare.fairness import hidden_dims_of, tuning_of
from seq2seq_jax.compare.grid import Grid, make_grid
from seq2seq_jax.compare.next_command import longer_command, next_command, seeds_asked_for, slower_command
from seq2seq_jax.compare.reason import Words
from seq2seq_jax.compare.recommend import Recommendation, recommend
from seq2seq_jax.compare.results import Failure, FinishedRun, Sweep
from seq2seq_jax.compare.schema import SettingComparison, TuningSummary
from seq2seq_jax.config import setting_key
from seq2seq_jax.errors import UserError


class SettingRuns(NamedTuple):
    """One setting of the further swept fields, by its values: its finished runs, and its members without a result."""

    setting: dict[str, Any]
    runs: list[FinishedRun]
    failures: list[Failure]


def compare_sweeps(sweeps: list[Sweep], tolerance: float | None = None) -> list[SettingComparison]:
    """Returns the comparison of sweeps for each setting of the further fields that they vary, ready for JSON; without any, one.

    Args:
      sweeps: one, or at least three to be pooled.
      tolerance: difference too small to matter, in the metric's unit (pooled: relative); None: the metric's own.

    Raises UserError where the tolerance is no amount, two runs are in one place, or the sweeps cannot be pooled.
    """
    if tolerance is not None and not (math.isfinite(tolerance) and tolerance >= 0):
        raise UserError(f"--tolerance={tolerance}: expected a number of at least 0, in the metric's unit")
    with np.errstate(over="ignore", invalid="ignore"):  # the square of a huge figure: what rests on it is not known
        if len(sweeps) > 1:
            parts = _pool_settings(sweeps, tolerance)
        else:
            parts = [_compare_setting(sweeps[0], part, tolerance) for part in settings_of(sweeps[0])]
    return [without_nan(part) for part in parts]


def settings_of(sweep: Sweep) -> list[SettingRuns]:
    """Splits a sweep by the further fields that it varies, in the order of their first member."""
    found: dict[str, SettingRuns] = {}
    placeless = [failure for failure in sweep.failures if failure.member is None]
    for item in [*sweep.runs, *sweep.failures]:
        if item.member is not None:
            setting = item.member.setting
            part = found.setdefault(setting_key(setting), SettingRuns(setting, [], []))
            if isinstance(item, FinishedRun):
                part.runs.append(item)
            else:
                part.failures.append(item)
    parts = list(found.values()) or [SettingRuns({}, [], [])]
    parts[0].failures.extend(placeless)
    return parts


def _compare_setting(sweep: Sweep, part: SettingRuns, tolerance: float | None) -> SettingComparison:
    """Returns the comparison of runs that differ in size and seed only."""
    setting = part.setting
    grid = make_grid(part.runs, part.failures)
    recommendation = recommend(grid, tolerance)
    tuning = tuning_of(sweep, grid, setting)
    going_on, command = _going_on(sweep, grid, recommendation, tolerance, tuning)
    cautions = [
        *conditions.side_warning(grid, setting),
        *conditions.scored_warning(sweep, grid),
        *conditions.warnings_of_data_set(sweep, grid),
        *reason.warnings(grid, recommendation),
        *conditions.dev_set_warning(grid, recommendation),
        *conditions.unrecorded_command_warning(sweep, command),
    ]
    nothing = reason.unlearned(grid)
    first = [*conditions.other_dev_data(sweep), *conditions.other_schedules(part.runs), *nothing]
    answer = [*first, *reason.verdict_sentences(grid, recommendation)]
    words = Words(answer, cautions, going_on, command, has_learned=not nothing)
    return answer_object(grid, recommendation, words, setting, part.failures, tuning, hidden_dims_of(sweep, grid))


def _going_on(
    sweep: Sweep, grid: Grid, recommendation: Recommendation, tolerance: float | None, tuning: TuningSummary | None
) -> tuple[list[str], str | None]:
    """Returns the sentences that say how to go on, and the command in them, which trains anew where seeds are of no use.

    Only an answer that is decided, by sizes that have learned something, has none.
    """
    unlearned = reason.unlearned(grid) and not grid.lacks_runs and sweep.unreached is None
    if recommendation.decided and not unlearned:
        return [], None
    if any(size.diverged for size in grid.sizes if size.table == "learned"):
        command = slower_command(sweep, grid, 1 / 3, tolerance)
        return reason.anew("at a third of the learning rate", command), command
    if unlearned:
        no_use = conditions.mostly_out_of_reach(grid) or conditions.mostly_overfitting(grid)
        command = None if no_use else longer_command(sweep, grid, 4, tolerance)
        return reason.anew("four times as long", command), command
    command = next_command(sweep, grid, recommendation, tolerance, tuning)
    return reason.after_lengthening(grid, command, reason.going_on(recommendation, command, asked=len(seeds_asked_for(grid)))), command


def _pool_settings(sweeps: list[Sweep], tolerance: float | None) -> list[SettingComparison]:
    """Pools the sweeps setting by setting, for the settings that all of them have."""
    pooling.check_results(sweeps)
    by_sweep = [{setting_key(part.setting): part for part in settings_of(sweep)} for sweep in sweeps]
    common = [name for name in by_sweep[0] if all(name in parts for parts in by_sweep)]
    if not common:
        raise UserError("--workdir: the sweeps vary different fields; expected settings in common")
    left_out = list({name: part.setting for parts in by_sweep for name, part in parts.items() if name not in common}.values())
    return [_compare_pooled(sweeps, [parts[name] for parts in by_sweep], left_out, tolerance) for name in common]


def _compare_pooled(
    sweeps: list[Sweep], parts: list[SettingRuns], left_out: list[dict[str, Any]], tolerance: float | None
) -> SettingComparison:
    grids = [make_grid(part.runs, part.failures) for part in parts]
    pooled = pooling.pool([sweep.workdir for sweep in sweeps], grids)
    recommendation = recommend(pooled, tolerance)
    failures = [
        dataclasses.replace(failure, name=str(pathlib.Path(sweep.workdir) / failure.name))
        for sweep, part in zip(sweeps, parts, strict=True)
        for failure in part.failures
    ]
    words = pooling.words(pooled, grids, sweeps, recommendation, left_out)
    return answer_object(pooled, recommendation, words, parts[0].setting, failures, tuning=None)
