"""What an answer is conditional on: the data that runs are scored on, and what they differ in besides what is compared.

Read next: ``reason.py``, for what is said of the sizes themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seq2seq_jax.compare import statistics
from seq2seq_jax.compare.bootstrap import scored_together, standard_error
from seq2seq_jax.compare.grid import Grid
from seq2seq_jax.compare.labels import decimals_for
from seq2seq_jax.compare.recommend import Recommendation
from seq2seq_jax.compare.results import FinishedRun, Sweep
from seq2seq_jax.config import SIDES, SIZE
from seq2seq_jax.kinds import IN_TRAIN, LOSS, OUT_OF_REACH, TOO_LONG, changes_scores

RISEN = 1.1  # times its least: a loss that has risen by more than chance
SMALL_DEV_SET = 2000  # examples below which the dev set's own error is worth a sentence


def other_dev_data(sweep: Sweep) -> list[str]:
    """Says first of all where the runs are scored on different data: what follows then means little."""
    return ["The runs are scored on different dev data, so their figures do not compare."] if "dev" in sweep.unlike_data else []


def other_schedules(runs: Sequence[FinishedRun]) -> list[str]:
    """Says likewise where runs came to the same length by other learning rates: some were lengthened, which others were not."""
    if len({tuple(run.rescheduled_at) for run in runs}) < 2:
        return []
    lengthened = sum(bool(run.rescheduled_at) for run in runs)
    where = "at different steps" if lengthened == len(runs) else "and the others not"
    return [
        f"{lengthened} of {len(runs)} runs were lengthened on the way {where}, so their learning rates (train.schedule) took different "
        "courses and their figures do not compare: train all of them in a new workdir."
    ]


def warnings_of_data_set(sweep: Sweep, grid: Grid) -> list[str]:
    """Says what the runs of one data set are to be read with, compared by themselves or pooled with others'."""
    return [
        *_diverged_warning(grid),
        *_out_of_reach_warning(grid),
        *_in_train_warning(grid),
        *_too_long_warning(grid),
        *_length_warning(sweep),
        *_unlike_warning(sweep),
        *_tuned_seed_warning(sweep, grid),
    ]


def _diverged_warning(grid: Grid) -> list[str]:
    """Says what to do where a loss was not finite: the same configuration would make it so again."""
    diverged = [failure for size in grid.sizes for failure in size.diverged]
    members = "1 member has" if len(diverged) == 1 else f"{len(diverged)} members have"
    remedy = "tried again as it was, training would end so again. Lower train.learning_rate, in another workdir."
    return [f"{members} diverged: {remedy}"] if diverged else []


def _out_of_reach_warning(grid: Grid) -> list[str]:
    """Warns where no output can be right, whatever is trained."""
    count = _count_of_dev(grid, OUT_OF_REACH)
    sentence = f"For {count:,} of the dev sources no output can be right: each of their references has a unit that is not in train."
    return [sentence] if count else []


def _in_train_warning(grid: Grid) -> list[str]:
    """Warns where dev has sources, lines of a list or a whole text that were trained on."""
    count = _count_of_dev(grid, IN_TRAIN)
    return [f"{count:,} of the sources, lines or units of dev are also in train: they say little about new ones."] if count else []


def _too_long_warning(grid: Grid) -> list[str]:
    """Warns where pairs of dev are longer than any that was trained on."""
    count = _count_of_dev(grid, TOO_LONG)
    return [f"{count:,} of the dev sources, or all their references, are longer than any pair of train (data.max_length)."] if count else []


def _length_warning(sweep: Sweep) -> list[str]:
    """Warns where the answer is of a former length, since the longer training has ended nowhere yet."""
    if sweep.unreached is None:
        return []
    steps, epochs, _ = sweep.unreached
    asked = f"{steps} steps" if steps is not None else f"{epochs} epochs" if epochs is not None else "another length"
    return [f"The sweep asks for {asked} now, which no run has reached yet: this is the answer at the length before."]


def _unlike_warning(sweep: Sweep) -> list[str]:
    """Warns where runs that no sweep.json brings together differ in more than the comparison knows of."""
    unlike = [*sweep.unlike_fields, *(f"the data of {split}" for split in sweep.unlike_data)]
    if not unlike:
        return []
    return [f"The runs also differ in {', '.join(unlike)}, which is not compared here: sizes can be compared only where it is equal."]


def _tuned_seed_warning(sweep: Sweep, grid: Grid) -> list[str]:
    """Warns where a seed that has chosen the settings of the sizes is compared too: they suit it better than a seed of its own."""
    if sweep.tuning is None or sweep.tuning["seed"] not in grid.seeds:
        return []
    return [f"Seed {sweep.tuning['seed']}, which is compared, also chose the tuned values: its results are optimistic."]


def side_warning(grid: Grid, setting: dict[str, Any]) -> list[str]:
    """Warns where only the tables of one side were swept: their sizes stand in comparisons of their own and are not judged here."""
    swept = " and ".join(f"{path}={setting[path]}" for path in SIDES if setting.get(path) is not None)
    dims = [size.embedding_dim for size in grid.sizes if size.table == "learned"]
    if not swept or len(dims) != 1:
        return []
    lone = f"Size {dims[0]} is {SIZE}, of which only this value was tried"
    return [f"{lone}: what was swept is {swept}, whose values stand in comparisons of their own and are not judged against each other."]


def scored_warning(sweep: Sweep, grid: Grid) -> list[str]:
    """Warns where settings differ in what they are scored on, such as the words that have no row."""
    kind = next((run.fields.get("model.kind", "") for size in grid.sizes for run in size.runs), "")
    swept = [path for path, values in sweep.axes.items() if len(values) > 1]
    fields = " and ".join(path for path in swept if changes_scores(path, grid.metric.name, kind))
    return [f"Settings differ in {fields}, which may change what is scored: do not compare their figures."] if fields else []


def unrecorded_command_warning(sweep: Sweep, command: str | None) -> list[str]:
    """Says what the command that goes on lacks where none is recorded: sweep.json is lost, or the sweep was launched from Python."""
    if command is None or sweep.command is not None:
        return []
    return ["No command is recorded that launched the sweep: the one that goes on wants the experiment's file and all other flags."]


def dev_set_warning(grid: Grid, recommendation: Recommendation) -> list[str]:
    """Says that the answer is conditional on the dev set, and what one standard error of it is where it is small."""
    runs = [run for size in grid.sizes for run in size.runs]
    if not runs:
        return []
    examples = runs[0].result["dev"].get("examples")
    if not isinstance(examples, int) or examples < 1:
        return ["All of this is conditional on this dev set."]
    sentence = f"All of this is conditional on this dev set of {examples:,} example{'' if examples == 1 else 's'}"
    if grid.metric.proportion and 0 < recommendation.tolerance < 1 / examples - statistics.ROUNDING:
        sentence += f", of which a single one counts {1 / examples:.2g}, more than the tolerance"
    judged = recommendation.incomplete_chosen if recommendation.chosen is None else recommendation.chosen
    parts = None if judged is None else scored_together(grid, judged)
    if min(examples, parts or examples) >= SMALL_DEV_SET:
        return [sentence + "."]
    error = None if judged is None else standard_error(grid, judged, examples)
    said = "not known" if error is None else f"{error:.{decimals_for(recommendation.tolerance)}f}"
    return [f"{sentence}; one standard error of it is {said}."]


def mostly_out_of_reach(grid: Grid) -> bool:
    """Says whether for half of dev or more no output can be right, so that training longer is no use."""
    return not grid.pooled and 2 * _count_of_dev(grid, OUT_OF_REACH) >= max(1, _count_of_dev(grid, "examples"))


def mostly_overfitting(grid: Grid) -> bool:
    """Says whether in more than half of the runs the loss on dev has risen again, so that training longer is no use."""
    runs = [run for size in grid.sizes for run in size.runs]
    losses = [[record[LOSS] for record in run.dev_history if LOSS in record] for run in runs]
    return 2 * sum(bool(own) and own[-1] > RISEN * min(own) for own in losses) > len(runs)


def _count_of_dev(grid: Grid, key: str) -> int:
    """Returns the largest count of that name beside the runs' metrics of dev; 0 where there is none."""
    counts = [run.result["dev"].get(key) for size in grid.sizes for run in size.runs]
    return max((count for count in counts if isinstance(count, int) and count > 0), default=0)
