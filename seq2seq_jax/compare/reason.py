"""The sentences that carry a recommendation: what was chosen and why, what to beware of, and the command that goes on.

Knows the words and the commands, and none of the statistics.
Read next: ``comparison.py``.
"""

from __future__ import annotations

import math
import pathlib
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from seq2seq_jax.compare import statistics
from seq2seq_jax.compare.artifacts import dev_scores
from seq2seq_jax.compare.grid import Grid, decimals_for, spelled
from seq2seq_jax.compare.recommend import Recommendation
from seq2seq_jax.compare.results import INTERRUPTED, NOT_RUN, Run, Sweep
from seq2seq_jax.config import SEED, SIDES, SIZE

SMALL_DEV_SET = 2000  # examples below which the dev set's own error is worth a sentence
SHARES = ("word_error_rate", "exact_match")  # means of zeros and ones, whose standard error follows from the mean
END = 0.99  # of the steps: the last evaluation may fall on a boundary just before them
AXIS_FLAGS = {"--embedding_dims": SIZE, "--seeds": SEED}  # --axis names the same fields
FIRST_SEEDS = 3  # asked for where no two sizes have two seeds in common


def verdict_sentences(grid: Grid, recommendation: Recommendation) -> list[str]:
    """Says which size was chosen and how sure that is, and which size would have been if its runs had not failed."""
    if not any(size.runs for size in grid.sizes):
        return ["No size can be recommended: no member has a result yet."]
    if recommendation.best is None or recommendation.chosen is None:
        return ["No size can be recommended: each has a failed or missing run.", *_had_it_not_failed(grid, recommendation)]
    sentences = [_choice(grid, recommendation)]
    if recommendation.decided:
        sentences.append(f"Decided: {_bound(grid, recommendation)}.")
    elif recommendation.excess_bound is not None:
        bound = f"{recommendation.excess_bound:.{decimals_for(recommendation.tolerance)}f}"
        sentences.append(
            f"Undecided: it may be worse than the truly best size by up to {bound} (95 % confidence), more than the tolerance."
        )
    elif grid.learned.sum() == 1:
        sentences.append("Undecided: a single size was tried, and there is nothing to compare it with.")
    else:
        sentences.append("Undecided: fewer than two seeds in common with another size, so chance cannot be told from effect.")
    return sentences + _had_it_not_failed(grid, recommendation)


def _choice(grid: Grid, recommendation: Recommendation) -> str:
    chosen, best, tolerance = recommendation.chosen, recommendation.best, recommendation.tolerance
    assert chosen is not None
    assert best is not None
    name, means, decimals = spelled(grid.metric.name, grid.metric.unit), statistics.means(grid.values), decimals_for(tolerance)
    for_now = "" if recommendation.decided else " for now"
    take = f"Take embedding size {grid.sizes[chosen].label}{for_now}: its mean {name} of {means[chosen]:.{decimals}f} is"
    if chosen == best:
        as_good = [grid.sizes[column].label for column in np.flatnonzero(grid.learned & (means == means[best])) if column != best]
        others = f", as is that of size {', '.join(as_good)}" if as_good else ""
        smaller = "" if chosen == 0 else f", and no smaller size is within {tolerance:.3g} of it"
        return f"{take} the best{others}{smaller}."
    within = f"within {tolerance:.3g} of the best, {means[best]:.{decimals}f} at size {grid.sizes[best].label}"
    return f"{take} {within}, and no smaller size is."


def _bound(grid: Grid, recommendation: Recommendation) -> str:
    if recommendation.excess_bound is None or recommendation.excess_bound <= 0:
        ahead = recommendation.chosen == recommendation.best and recommendation.excess_bound != 0
        standing = "the best" if ahead else "no worse than any other"
        return f"it is {standing} of the sizes tried (95 % confidence)"
    bound = f"{recommendation.excess_bound:.{decimals_for(recommendation.tolerance)}f}"
    return f"it is worse than the truly best size by at most {bound} (95 % confidence), within the tolerance"


def _had_it_not_failed(grid: Grid, recommendation: Recommendation) -> list[str]:
    sentences = []
    had = "had none of its runs failed or been missing."
    if recommendation.incomplete_chosen is not None:
        sentences.append(f"Size {grid.sizes[recommendation.incomplete_chosen].label} would have been recommended, {had}")
    if recommendation.incomplete_best is not None and recommendation.incomplete_best != recommendation.incomplete_chosen:
        sentences.append(f"Size {grid.sizes[recommendation.incomplete_best].label} would have been the best, {had}")
    unknown = [size.label for size in grid.sizes if size.table == "learned" and not size.runs]
    if unknown:
        sentences.append(f"Nothing is known of size {', '.join(unknown)}: no run of it finished.")
    return sentences


def warnings(grid: Grid, recommendation: Recommendation) -> list[str]:
    """Says what the answer depends on: the edges of the grid, the training budget, the baselines and the dev set."""
    if recommendation.best is None or recommendation.chosen is None:
        return []
    learned = np.flatnonzero(grid.learned)
    said = []
    if len(learned) > 1 and np.nanmin(grid.values) == np.nanmax(grid.values):
        said.append("All runs have the same value: this metric tells no size from another. Train longer, or use another metric.")
    if len(learned) > 1 and recommendation.best == learned[-1]:
        said.append("The best size is the largest that was tried: larger sizes were not tried.")
    if len(learned) > 1 and recommendation.chosen == learned[0]:
        said.append("The recommended size is the smallest that was tried: smaller sizes were not tried.")
    runs = [run for size in grid.sizes for run in size.runs]
    improving = sum(still_improving(run) for run in runs)
    if improving > len(runs) / 2:
        said.append(f"{improving} of {len(runs)} runs were still improving at the end: the answer holds for this training budget.")
    means = statistics.means(grid.losses)
    better = [
        size.label for column, size in enumerate(grid.sizes) if size.table != "learned" and means[column] <= means[recommendation.best]
    ]
    if better:
        subject = f"baselines {' and '.join(better)} are" if len(better) > 1 else f"baseline {better[0]} is"
        said.append(f"The {subject} at least as good as every learned table.")
    return said


def side_warning(grid: Grid, setting: dict[str, Any]) -> list[str]:
    """Says what a lone size is where tables of one side were swept in its place, each in a comparison of its own."""
    swept = " and ".join(f"{path}={setting[path]}" for path in SIDES if setting.get(path) is not None)
    dims = [size.embedding_dim for size in grid.sizes if size.table == "learned"]
    if not swept or len(dims) != 1:
        return []
    lone = f"Size {dims[0]} is {SIZE}, of which only this value was tried"
    return [f"{lone}: what was swept is {swept}, whose values stand in comparisons of their own and are not judged against each other."]


def still_improving(run: Run) -> bool:
    """Says whether the last evaluation was the best one."""
    return run.result["best_step"] >= END * run.result["steps"]


def dev_set_warning(grid: Grid, recommendation: Recommendation) -> list[str]:
    """Says that the answer is conditional on the dev set, and what one standard error of it is where it is small."""
    runs = [run for size in grid.sizes for run in size.runs]
    if not runs:
        return []
    examples = runs[0].result["dev"].get("examples")
    if not isinstance(examples, int) or examples < 1:
        return ["All of this is conditional on this dev set."]
    sentence = f"All of this is conditional on this dev set of {examples:,} examples"
    if examples >= SMALL_DEV_SET:
        return [sentence + "."]
    error = _standard_error(grid, recommendation, examples)
    said = "not known" if error is None else f"{error:.{decimals_for(recommendation.tolerance)}f}"
    return [f"{sentence}; one standard error of it is {said}."]


def _standard_error(grid: Grid, recommendation: Recommendation, examples: int) -> float | None:
    """Returns the standard error of the recommended size's metric over examples: of a quotient of sums, or of a share.

    None where it is not known, as where all examples are wrong.

    References: Cochran 1977, Sampling Techniques, section 6.4 (the ratio estimator).
    """
    if recommendation.chosen is None:
        return None
    scores = dev_scores(grid.sizes[recommendation.chosen].runs[0].directory)
    if scores is not None and len(scores[0]) > 1:
        amounts, sizes = scores
        residuals = amounts - amounts.sum() / sizes.sum() * sizes
        return float(np.std(residuals, ddof=1) * math.sqrt(len(amounts)) / sizes.sum()) or None  # no scatter says nothing of it
    if grid.metric.name in SHARES:
        share = min(1.0, max(0.0, float(statistics.means(grid.values)[recommendation.chosen])))
        return math.sqrt(share * (1 - share) / examples) or None
    return None


def next_command(
    sweep: Sweep, grid: Grid, recommendation: Recommendation, tolerance: float | None, tuning: dict[str, Any] | None
) -> str | None:
    """Returns the command that makes an undecided answer surer: the whole sweep with more seeds. None where it is decided, or nothing can.

    It names every size and other value that the sweep has, since its last call may have added some to those of earlier ones, and
    of tolerances the one that was typed now, if any: with another it would answer another question. ``tuning`` says for which of the
    setting's sizes something was chosen (``cost.tuning_of``).
    """
    if recommendation.decided:
        return None
    now = seeds_asked_for(grid)
    tuned_with = [] if sweep.tuning is None else [int(sweep.tuning["seed"])]
    if recommendation.excess_bound is None:
        completes = len(now) > 1 and any(size.failures for size in grid.sizes)
        number = len(now) if completes else FIRST_SEEDS  # seeds to compare over
    else:
        number = recommendation.seeds_needed or 2 * len(now)
    seeds = grown(now, max(number, len(now)), tuned_with)
    flags: dict[str, str | None] = {_axis_flag(path): _typed(values) for path, values in sweep.axes.items() if path != SEED}
    alone = grid.learned.sum() == 1  # whatever baselines stand beside it
    if alone and SIZE not in sweep.axes and recommendation.chosen is not None:
        return None  # a sweep takes no further field, and no number of seeds decides for a size that stands alone
    if alone and SIZE in sweep.axes:
        size = grid.sizes[0].embedding_dim  # learned tables come first
        flags["--embedding_dims"] = _typed(sorted({max(1, size // 4), size, 4 * size}))
    flags["--seeds"] = seeds_flag(seeds)
    if _has_failed(grid, tuning):
        flags["--retry_failed"] = None
    if tolerance is not None:
        flags["--tolerance"] = str(tolerance)
    return sweep_command(sweep, flags)


def _has_failed(grid: Grid, tuning: dict[str, Any] | None) -> bool:
    """Says whether a member has failed, or has not begun since the tuning of its size has: the sweep tries neither again unasked."""
    if any(failure.error not in (NOT_RUN, INTERRUPTED) for size in grid.sizes for failure in size.failures):
        return True
    chosen = None if tuning is None else [(row["embedding_dim"], row["table"]) for row in tuning["chosen"]]
    return chosen is not None and any(not size.runs and (size.embedding_dim, size.table) not in chosen for size in grid.sizes)


def seeds_asked_for(grid: Grid) -> list[int]:
    """Returns the seeds of the members, finished or not."""
    unfinished = {failure.member.seed for size in grid.sizes for failure in size.failures if failure.member is not None}
    return sorted({int(seed) for seed in grid.seeds} | unfinished)


def _axis_flag(path: str) -> str:
    return next((flag for flag, own in AXIS_FLAGS.items() if own == path), f"--axis={path}")


def _typed(values: Sequence[Any]) -> str:
    """Returns values of a field as a flag takes them."""
    return ",".join("null" if value is None else str(value).lower() if isinstance(value, bool) else str(value) for value in values)


def grown(seeds: list[int], number: int, without: Sequence[int] = ()) -> list[int]:
    """Returns ``seeds`` with as many of the smallest unused ones as make ``number``; none ``without`` which the answer is fairer."""
    unused = (seed for seed in range(number + len(seeds) + len(without)) if seed not in (*seeds, *without))
    return sorted(seeds + [next(unused) for _ in range(number - len(seeds))])


def sweep_command(sweep: Sweep, flags: dict[str, str | None]) -> str:
    """Returns the command that launched the sweep, with these flags in place of what it said of them; a None is a flag without a value.

    Its tolerance goes even where there is none in place of it: that of the metric was used. A sweep that was moved is named by its
    place now.
    """
    if sweep.command:
        words = [_here(sweep, word) for word in _joined(shlex.split(sweep.command))]
    else:
        words = ["launch.py", "sweep", "--config=EXPERIMENT", f"--workdir={sweep.workdir}"]
    axes = [path for flag, path in AXIS_FLAGS.items() if flag in flags]
    replaced = tuple([f"{name}=" for name in ("--tolerance", *flags)] + [f"--axis={path}=" for path in axes])
    kept = [word for word in words if not (word in flags or word.startswith(replaced))]
    return shlex.join(kept + [name if value is None else f"{name}={value}" for name, value in flags.items()])


def _here(sweep: Sweep, word: str) -> str:
    """Returns a word of the command with the sweep's place of now where it named another."""
    flag, _, typed = word.partition("=")
    moved = flag == "--workdir" and pathlib.Path(typed).resolve() != pathlib.Path(sweep.workdir).resolve()
    return f"--workdir={sweep.workdir}" if moved else word


def _joined(words: Sequence[str]) -> list[str]:
    """Writes what may be replaced and was given in two words, flag and value, as one with ``=``."""
    found: list[str] = []
    for word in words:
        if found and found[-1] in ("--axis", "--tolerance", "--workdir", *AXIS_FLAGS):
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def seeds_flag(seeds: list[int]) -> str:
    """Returns seeds as the flag takes them: ``0..4``, which includes 4, or a list."""
    if seeds == list(range(seeds[0], seeds[-1] + 1)) and len(seeds) > 1:
        return f"{seeds[0]}..{seeds[-1]}"
    return ",".join(map(str, seeds))


def going_on(recommendation: Recommendation, command: str | None, asked: int, thing: str = "seed") -> list[str]:
    """Says what would decide the answer beside the seeds that were ``asked`` for, ending with the command."""
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
        return [f"No number of {thing}s up to {statistics.MOST_SEEDS} would decide it with these differences; to go on nevertheless{end}"]
    return [f"To go on{end}"] if command else []
