"""The sentences that carry a recommendation: what was chosen and why, what to beware of, and how to go on.

Knows the words; the figures in them come from the neighbouring files.
Read next: ``next_command.py`` for the command that goes on.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from seq2seq_jax.compare import statistics
from seq2seq_jax.compare.conditions import mostly_out_of_reach, mostly_overfitting
from seq2seq_jax.compare.grid import Grid
from seq2seq_jax.compare.labels import RELATIVE, decimals_for, spelled
from seq2seq_jax.compare.recommend import Recommendation, comparable_losses
from seq2seq_jax.compare.results import FinishedRun
from seq2seq_jax.kinds import LOSS, Metric

FEWEST = 3  # evaluations of a run after which its course says something
END = 0.99  # of the steps: the last evaluation may fall on a boundary just before them


@dataclasses.dataclass(frozen=True)
class Words:
    """The sentences of an answer.

    Attributes:
      answer: what to take and how sure that is.
      warnings: what to beware of.
      going_on: how to make it surer, ending with the command.
      command: that command by itself; None where there is none.
      has_learned: whether some size is better than what needs no learning.
    """

    answer: list[str]
    warnings: list[str]
    going_on: list[str]
    command: str | None
    has_learned: bool


def verdict_sentences(grid: Grid, recommendation: Recommendation) -> list[str]:
    """Says which size was chosen and how sure that is, and which size would have been if its runs had not failed."""
    if not any(size.runs for size in grid.sizes):
        return ["No size can be recommended: no member has finished."]
    if not grid.learned.any():
        return ["No size can be recommended: only baselines were tried."]
    if recommendation.best is None or recommendation.chosen is None:
        return ["No size can be recommended: each has a failed or missing run.", *_had_it_not_failed(grid, recommendation)]
    sentences = [_choice(grid, recommendation)]
    if recommendation.decided:
        sentences.append(f"Decided: {_bound(grid, recommendation)}.")
    elif recommendation.excess_bound is not None:
        bound = _rounded_up(recommendation.excess_bound, recommendation.tolerance)
        sentences.append(
            f"Undecided: it may be worse than the truly best size by up to {bound} (95 % confidence), more than the tolerance."
        )
    elif grid.learned.sum() == 1:
        sentences.append(f"Undecided: a single size was {grid.tried}, and there is nothing to compare it with.")
    else:
        rows = "data sets" if grid.pooled else "seeds"
        sentences.append(f"Undecided: fewer than two {rows} in common with another size, so chance cannot be told from effect.")
    return sentences + _had_it_not_failed(grid, recommendation)


def _choice(grid: Grid, recommendation: Recommendation) -> str:
    """Says which size to take and why: it is the best, or within the tolerance of the best, and no smaller size is."""
    chosen, best, tolerance = recommendation.chosen, recommendation.best, recommendation.tolerance
    assert chosen is not None
    assert best is not None
    means, decimals = statistics.means(grid.values), decimals_for(tolerance)
    smallest = chosen == 0
    for_now = "" if recommendation.decided else " for now"
    its_mean = f"its mean {spelled(grid.metric.name, grid.metric.unit)} of {means[chosen]:.{decimals}f}"
    label = grid.sizes[chosen].label
    take = f"The rule takes size {label} all the same" if unlearned(grid) else f"Take embedding size {label}{for_now}"
    take = f"{take}: {its_mean} is"
    unfinished_better = _incomplete_within(grid, best, -statistics.ROUNDING).any()
    the_best = "the best of the sizes that have all their runs" if unfinished_better else "the best"
    unfinished_smaller = _incomplete_within(grid, best, tolerance + statistics.ROUNDING)[:chosen].any()
    no_smaller = "no smaller size that has all its runs" if unfinished_smaller else "no smaller size"
    if chosen != best:
        near = f"{take} within {tolerance:.3g} of {the_best}, {means[best]:.{decimals}f} at size {grid.sizes[best].label}"
        return f"{near}." if smallest else f"{near}, and {no_smaller} is."
    ties = grid.eligible & (np.abs(means - means[best]) <= statistics.ROUNDING)
    equal = [grid.sizes[column].label for column in np.flatnonzero(ties) if column != best]
    as_good = f", as is that of size {', '.join(equal)}" if equal else ""
    return f"{take} {the_best}{as_good}." if smallest else f"{take} {the_best}{as_good}, and {no_smaller} is within {tolerance:.3g} of it."


def _incomplete_within(grid: Grid, best: int, margin: float) -> Bool[np.ndarray, " sizes"]:
    """Returns which learned sizes that lack runs are not known to be worse than the ``best`` one by more than the margin."""
    losses = comparable_losses(grid)
    return grid.learned & ~grid.eligible & ~(losses > losses[best] + margin)


def _rounded_up(bound: float, tolerance: float) -> str:
    """Returns an upper bound as text that is no smaller than it, and not above the tolerance where it is not."""
    decimals = decimals_for(tolerance)
    up = np.ceil(bound * 10**decimals - statistics.ROUNDING) / 10**decimals
    return f"{tolerance:.3g}" if bound <= tolerance + statistics.ROUNDING < up else f"{up:.{decimals}f}"


def _bound(grid: Grid, recommendation: Recommendation) -> str:
    assert recommendation.excess_bound is not None  # it is decided
    if recommendation.excess_bound <= statistics.ROUNDING:
        ahead = recommendation.chosen == recommendation.best and recommendation.excess_bound < -statistics.ROUNDING
        standing = "the best" if ahead else "no worse than any other"
        return f"it is {standing} of the sizes {grid.tried} (95 % confidence)"
    bound = _rounded_up(recommendation.excess_bound, recommendation.tolerance)
    return f"it is worse than the truly best size by at most {bound} (95 % confidence), within the tolerance"


def _had_it_not_failed(grid: Grid, recommendation: Recommendation) -> list[str]:
    sentences = []
    had = "had none of its runs failed or been missing."
    if recommendation.incomplete_chosen is not None:
        sentences.append(f"Size {grid.sizes[recommendation.incomplete_chosen].label} would have been recommended, {had}")
    if recommendation.incomplete_best is not None and recommendation.incomplete_best != recommendation.incomplete_chosen:
        sentences.append(f"Size {grid.sizes[recommendation.incomplete_best].label} would have been the best, {had}")
    unknown = [size.label for size in grid.sizes if size.table == "learned" and not size.has_finished]
    if unknown:
        sentences.append(f"Nothing is known of size {', '.join(unknown)}: no run of it finished.")
    return sentences


def warnings(grid: Grid, recommendation: Recommendation) -> list[str]:
    """Says what the answer depends on: the metric, the edges of the grid, the training budget and the baselines."""
    if recommendation.best is None or recommendation.chosen is None:
        return []
    found = [
        *_still_improving_warning(grid),
        *_best_at_first_warning(grid),
        *_baselines_warning(grid),
        *_seeds_warning(grid),
    ]
    if grid.learned.sum() == 1:
        return found
    spread = _spread_warning(grid, sorted({recommendation.chosen, recommendation.best}))
    spread += _differences_warning(grid, recommendation.chosen)
    return [*spread, *_tolerance_warning(grid, recommendation), *_edge_warnings(grid, recommendation), *found]


def _spread_warning(grid: Grid, judged: Sequence[int]) -> list[str]:
    """Warns where nothing varies: the metric over all runs, or over the seeds of a size that the answer rests on (``judged``)."""
    several = sum(bool(size.runs) for size in grid.sizes) > 1
    if several and np.nanmax(grid.values) - np.nanmin(grid.values) <= statistics.ROUNDING:
        faultless = all(run.value == grid.metric.best for size in grid.sizes for run in size.runs)
        longer = "Use other data" if mostly_out_of_reach(grid) else "Use more data" if mostly_overfitting(grid) else "Train longer"
        advice = "Use another metric, or harder data." if faultless else f"{longer}, or use another metric."
        return [f"All runs have the same value: this metric tells no size from another. {advice}"]
    if grid.pooled:
        return []
    sizes = [grid.sizes[column] for column in judged]
    same = [size.label for size in sizes if len(size.runs) > 1 and len({run.value for run in size.runs}) == 1]
    plural = "s" if len(same) > 1 else ""
    return [f"All seeds of size{plural} {' and '.join(same)} have the same value: intervals over seeds are too narrow."] if same else []


def _differences_warning(grid: Grid, chosen: int) -> list[str]:
    """Warns where a difference that the verdict rests on is the same at every seed, as errors counted over few examples may be."""
    if grid.pooled or len({run.value for run in grid.sizes[chosen].runs}) == 1:  # of which another warning tells
        return []
    pairs = statistics.paired_differences(grid.losses)
    same = (pairs.count[chosen] > 1) & (pairs.deviation[chosen] <= statistics.ROUNDING) & grid.learned
    others = " and ".join(size.label for column, size in enumerate(grid.sizes) if same[column] and column != chosen)
    sentence = f"Size {grid.sizes[chosen].label} differs from size {others} by the same at every seed: that interval is too narrow."
    return [sentence] if others else []


def _seeds_warning(grid: Grid) -> list[str]:
    """Warns where whole sizes have different seeds, as in runs from several places: the smallest mean need not be the best size's."""
    seeds = {frozenset(run.member.seed for run in size.runs) for size, whole in zip(grid.sizes, grid.eligible, strict=True) if whole}
    if grid.pooled or len(seeds) < 2:
        return []
    return ["Sizes have different seeds: means are not over the same ones, while differences are over those that two sizes have in common."]


def _tolerance_warning(grid: Grid, recommendation: Recommendation) -> list[str]:
    """Warns where a tolerance covers all differences, so that the smallest size is taken: 5 % of a loss, or one typed in per cent."""
    of_unit = {"fraction": "more than any two fractions differ by", RELATIVE: "as much as a data set's mean, or more"}
    if recommendation.tolerance >= 1 and grid.metric.unit in of_unit:
        return [f"The tolerance, {recommendation.tolerance:.3g}, is {of_unit[grid.metric.unit]}: one per cent is --tolerance=0.01."]
    means = statistics.means(grid.losses[:, grid.eligible])
    spread, tolerance = float(np.max(means) - np.min(means)), recommendation.tolerance
    if grid.pooled or not recommendation.relative or len(means) < 2 or not spread <= tolerance < math.inf:
        return []
    digits = decimals_for(min(spread, tolerance))
    return [
        f"No two sizes differ by more than {spread:.{digits}f}, and the tolerance, 5 % of the best mean, is {tolerance:.{digits}f}: "
        "with --tolerance say which difference matters."
    ]


def unlearned(grid: Grid) -> list[str]:
    """Says first of all where even the best size is within the metric's tolerance of what needs no learning: what follows means little."""
    untrained, tolerance = grid.untrained, grid.metric.tolerance or 0.0
    means = statistics.means(grid.losses[:, grid.learned])
    if grid.pooled or untrained is None or np.isnan(means).all():
        return []
    best = np.nanmin(means)
    if best < (untrained if grid.metric.lower_is_better else -untrained) - tolerance - statistics.ROUNDING:
        return []
    decimals, name = decimals_for(tolerance), spelled(grid.metric.name)
    needs = f"{untrained:g} needs no learning"
    if grid.metric.untrained is None:
        needs = f"how often each unit occurs in training gives {untrained:.{decimals}f} by itself"
    if mostly_out_of_reach(grid):
        advice = "For most of dev no output can be right: see below."
    elif mostly_overfitting(grid):
        advice = (
            "The loss on dev has risen again in training, which learns its data by heart: more data help, and longer training does not."
        )
    else:
        advice = "Train longer."
    return [f"No size has learned the task yet: the best mean {name} is {abs(best):.{decimals}f}, and {needs}. {advice}"]


def _edge_warnings(grid: Grid, recommendation: Recommendation) -> list[str]:
    """Warns where the answer lies at an edge of what was tried."""
    learned = np.flatnonzero(grid.learned)
    largest = [f"The best size is the largest that was {grid.tried}: larger sizes were not {grid.tried}."]
    smallest = [f"The recommended size is the smallest that was {grid.tried}: smaller sizes were not {grid.tried}."]
    return (largest if recommendation.best == learned[-1] else []) + (smallest if recommendation.chosen == learned[0] else [])


def _still_improving_warning(grid: Grid) -> list[str]:
    runs = [run for size in grid.sizes for run in size.runs]
    improving = sum(still_improving(run, grid.metric) for run in runs)
    scored_once = sum(len(run.dev_history) == 1 for run in runs)
    holds = "the answer holds for this training budget."
    found = [f"{improving} of {len(runs)} runs were still improving at the end: {holds}"] if improving > len(runs) / 2 else []
    unknown = f"{scored_once} of {len(runs)} runs were evaluated once, so it is not known whether they were still improving: {holds}"
    return [*found, unknown] if scored_once > len(runs) / 2 else found


def _best_at_first_warning(grid: Grid) -> list[str]:
    """Warns of runs that only got worse, as those do whose learning rate is too high."""
    runs = [run for size in grid.sizes for run in size.runs]
    steps = [[record["step"] for record in run.dev_history] for run in runs]
    first = [run for run, own in zip(runs, steps, strict=True) if len(own) >= FEWEST and run.result["best_step"] == own[0]]
    worse = [run for run in first if _got_worse(run, grid.metric)]
    if not worse:
        return []
    whose = f"{len(worse)} of {len(runs)} runs were" if len(worse) > 1 else f"{worse[0].directory.name} was"
    return [f"{whose} best at the first evaluation and got no better after it, diverging or overfitting: look at the learning rate."]


def _got_worse(run: FinishedRun, metric: Metric) -> bool:
    """Says whether metric or loss got worse on dev: a metric of counts may stay where it was while there is still much to learn."""
    values, losses = ([record[name] for record in run.dev_history if name in record] for name in (metric.name, LOSS))
    change = (values[-1] - values[0]) * (1 if metric.lower_is_better else -1) if values else 0.0
    return change > (metric.tolerance or 0.0) or not losses or losses[-1] >= losses[0]


def _baselines_warning(grid: Grid) -> list[str]:
    losses = comparable_losses(grid)
    as_good = losses <= np.nanmin(losses[grid.learned]) + statistics.ROUNDING
    better = [size.label for column, size in enumerate(grid.sizes) if size.table != "learned" and as_good[column]]
    subject = f"baselines {' and '.join(better)} are" if len(better) > 1 else f"baseline {' '.join(better)} is"
    return [f"The {subject} at least as good as every learned table."] if better else []


def still_improving(run: FinishedRun, metric: Metric) -> bool:
    """Says whether the last evaluation was the best one; where its history is kept, better than all before by the metric itself."""
    if run.result["best_step"] < END * run.result["steps"] or run.value == metric.best:
        return False
    history = [(1 if metric.lower_is_better else -1) * record[metric.name] for record in run.dev_history if metric.name in record]
    return not history or (len(history) > 1 and history[-1] < min(history[:-1]) - statistics.ROUNDING)


def anew(how: str, command: str | None) -> list[str]:
    """Says what trains all members anew, where more seeds of what they are would be no use; nothing where there is no such command."""
    return [f"To train all of them anew {how}, in another workdir: {command}"] if command else []


def after_lengthening(grid: Grid, command: str | None, going_on: list[str]) -> list[str]:
    """Returns what ``going_on`` says, with why the command does not simply add seeds where the runs were lengthened."""
    if not grid.lengthened or command is None:
        return going_on
    why = "Lengthened runs do not compare with new ones, so the command"
    if grid.lacks_runs:
        return [f"{why} makes the missing runs only: {command}"]
    return [f"{why} trains all of them anew, in another workdir.", *going_on]


def going_on(recommendation: Recommendation, command: str | None, asked: int, thing: str = "seed") -> list[str]:
    """Says what would decide the answer, ending with the command.

    Args:
      recommendation: the answer so far.
      command: what to type; None where no command decides it.
      asked: how many seeds were asked for, finished or not.
      thing: what a row of the grid is, ``seed`` or ``data set``.
    """
    if recommendation.decided:
        return []
    end = f": {command}" if command else "."
    if recommendation.seeds_needed is not None and recommendation.more_seeds_needed is not None:
        more = max(0, recommendation.seeds_needed - asked)
        further = [f"{more} more {thing}{'' if more == 1 else 's'}"] if more else []
        missing = ["the missing runs"] if more < recommendation.more_seeds_needed else []  # some size has fewer seeds than were asked for
        decide = "decides" if further and more == 1 and not missing else "decide"
        return [f"If differences and spread stay as they are, {' and '.join(missing + further)} {decide} it{end}"]
    if recommendation.excess_bound is not None:
        never = f"No number of {thing}s up to {statistics.MOST_SEEDS} would decide it with these differences"
        change = ", which the missing runs may change" if recommendation.may_change else ""
        purpose = "; to make them" if recommendation.may_change else "; to go on nevertheless"
        return [never + change + (purpose + end if command else end)]
    return [f"To go on{end}"] if command else []
