"""Several sweeps as one: which size serves languages or data sets like these, each of which counts the same.

Within a data set a size's figure is its mean over seeds, divided by that data set's mean over the learned sizes. Data sets then
stand in place of seeds: the same intervals, excess bound and verdict, over data sets.
Read next: ``comparison.py``.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from seq2seq_jax.compare import conditions, reason, statistics
from seq2seq_jax.compare.grid import Grid, Size
from seq2seq_jax.compare.labels import RELATIVE, setting_label
from seq2seq_jax.compare.reading import HARMLESS, differing_fields, fields_of
from seq2seq_jax.compare.reason import Words
from seq2seq_jax.compare.recommend import Recommendation
from seq2seq_jax.compare.results import Sweep
from seq2seq_jax.config import HIDDEN_DIMS, SEED, SIZE, TABLE, setting_key
from seq2seq_jax.errors import UserError
from seq2seq_jax.kinds import Metric

ONEHOT = "onehot"
FEWEST = 3  # data sets that an interval over data sets needs


def pool(names: Sequence[str], grids: Sequence[Grid]) -> Grid:
    """Returns the grid ``[data sets, sizes]`` of relative figures, over the sizes that every data set was asked for.

    A size of which one has no result stays, with NaN there: it lacks runs, as one whose seeds have failed does. Each data set is divided
    by its mean over the learned sizes of which all have results.

    Raises UserError where there are fewer than three, their metrics differ, they have no size in common, or a mean is not above 0.
    """
    _check(names, grids)
    keys = [_key(size) for size in grids[0].sizes if all(_key(size) in map(_key, grid.sizes) for grid in grids)]
    values = np.array([_means(grid, keys) for grid in grids])
    everywhere = np.array([table == "learned" for table, _ in keys], dtype=bool) & ~np.isnan(values).any(0)
    if not everywhere.any():
        raise UserError("--workdir: no size has results in every sweep; expected sizes in common")
    scales = values[:, everywhere].mean(1)
    for name, scale in zip(names, scales, strict=True):
        if scale <= 0:
            raise UserError(f"--workdir={name}: its mean over sizes is {scale:.3g}; expected one above 0, to divide by")
    metric = Metric(grids[0].metric.name, RELATIVE, grids[0].metric.lower_is_better, None)
    return Grid(metric, list(names), [_merged(key, grids) for key in keys], values / scales[:, None], pooled=True)


def check_results(sweeps: Sequence[Sweep]) -> None:
    """Raises UserError, naming it, where a sweep has no result of a size: it has no mean to divide by."""
    for sweep in sweeps:
        if not any(run.member.table == "learned" for run in sweep.runs):
            raise UserError(f"--workdir={sweep.workdir}: none of its sizes has a result; expected sweeps with results, to be pooled")


def _check(names: Sequence[str], grids: Sequence[Grid]) -> None:
    different = len({pathlib.Path(name).resolve() for name in names})
    if different < max(FEWEST, len(names)):
        plural = "s" if different > 1 else ""
        raise UserError(f"--workdir: {different} different sweep{plural}; expected one, or at least {FEWEST} different ones to pool")
    for name, grid in zip(names, grids, strict=True):
        if grid.metric.name != grids[0].metric.name:
            raise UserError(f"--workdir={name}: metric {grid.metric.name}, but {names[0]} has {grids[0].metric.name}; expected the same")


def _key(size: Size) -> tuple[str, int]:
    return size.table, size.embedding_dim


def _learned_first(key: tuple[str, int]) -> tuple[bool, str, int]:
    return key[0] != "learned", *key


def _means(grid: Grid, keys: Sequence[tuple[str, int]]) -> list[float]:
    """Returns the mean over seeds of each of these sizes, NaN where there is no result.

    That of a size that lacks seeds is by its differences to the sizes that have them all, where there are any.
    """
    complete = grid.eligible & ~np.isnan(grid.values).any(0)
    means = statistics.adjusted_means(grid.values, complete) if complete.any() else statistics.means(grid.values)
    of_key = dict(zip(map(_key, grid.sizes), means, strict=True))
    return [of_key[key] for key in keys]


def _merged(key: tuple[str, int], grids: Sequence[Grid]) -> Size:
    same = [size for grid in grids for size in grid.sizes if _key(size) == key]
    return Size(key[1], key[0], [run for size in same for run in size.runs], [failure for size in same for failure in size.failures])


def _not_alike(sweeps: Sequence[Sweep]) -> list[str]:
    """Warns of sweeps that pooling takes for what they are not: of data sets of their own, and made in the same way."""
    said, seen = [], {}
    for sweep in sweeps:
        data = sweep.runs[0].data_sha256 if sweep.runs else {}
        if data:
            seen.setdefault((data.get("train"), data.get("dev")), []).append(sweep.workdir)
    for workdirs in seen.values():
        if len(workdirs) > 1:
            said.append(
                f"{' and '.join(workdirs)} are of the same data and count as {len(workdirs)} data sets: this is less sure than it looks."
            )
    made = {setting_key({"budget": sweep.budget, "tune": sweep.tuned}) for sweep in sweeps}
    if len(made) > 1:
        said.append("The sweeps were made in different ways: with other budgets, or with other tuning or none.")
    fields = _different_fields(sweeps)
    return said + ([f"The sweeps were made in different ways: with other values of {', '.join(fields)}."] if fields else [])


def _different_fields(sweeps: Sequence[Sweep]) -> list[str]:
    """Returns the fields, with their values, in which the sweeps differ besides their data and what is swept, tuned or made to fit.

    Of each sweep one run is read: its others differ from it in just these.
    """
    free = {SIZE, SEED, TABLE, "data.name", "train.metric", *HARMLESS}  # that the metrics are the same is checked by their names
    for sweep in sweeps:
        free |= {*sweep.axes, *sweep.tuned}
        free |= {*HIDDEN_DIMS} if sweep.budget == "parameters" else set()
    found = [fields_of(sweep.runs[0]) for sweep in sweeps]
    vectors = [{"model.pretrained": each["model.pretrained"] and "a file"} for each in found if "model.pretrained" in each]
    return differing_fields(found, free) + differing_fields(vectors, ())  # which file depends on the data


def _of_one(sweep: Sweep, grid: Grid) -> list[str]:
    """Returns the warnings that hold for one data set."""
    runs = [run for size in grid.sizes for run in size.runs]
    return [
        *conditions.other_schedules(runs),
        *reason.unlearned(grid),
        *conditions.warnings_of_data_set(sweep, grid),
    ]


def words(
    pooled: Grid, grids: Sequence[Grid], sweeps: Sequence[Sweep], recommendation: Recommendation, settings: Sequence[dict[str, Any]]
) -> Words:
    """Returns the sentences of a pooled answer. ``settings`` are those that some data sets lack: nothing is pooled for them."""
    unlike = [f"{sweep.workdir}: {text}" for sweep, grid in zip(sweeps, grids, strict=True) for text in _of_one(sweep, grid)]
    cautions = _not_alike(sweeps) + unlike + reason.warnings(pooled, recommendation)
    left_out = {_key(size): size.label for grid in grids for size in grid.sizes if _key(size) not in map(_key, pooled.sizes)}
    if left_out and all(any(size.table == ONEHOT for size in grid.sizes) for grid in grids):
        left_out = {key: label for key, label in left_out.items() if key[0] != ONEHOT}
        cautions.append(f"Left out: the baseline {ONEHOT}, whose size is that of each data set's vocabulary.")
    if left_out:
        sizes = ", ".join(left_out[key] for key in sorted(left_out, key=_learned_first))
        cautions.append(f"Left out, since it was not tried in every data set: size {sizes}.")
    if settings:
        cautions.append(f"Left out, since not every data set has it: {'; '.join(map(setting_label, settings))}.")
    cautions.append("Figures and tolerance are shares of each data set's mean over sizes.")
    cautions.append(f"All of this is conditional on these {len(grids)} data sets.")
    nothing = ["No size has learned the task of any data set yet. Train longer."] if all(map(reason.unlearned, grids)) else []
    return Words(
        [*nothing, *reason.verdict_sentences(pooled, recommendation)],
        cautions,
        reason.going_on(recommendation, None, len(pooled.seeds), "data set"),
        None,
        has_learned=not nothing,
    )
