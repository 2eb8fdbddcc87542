"""What quality costs: parameters, training time, time to the best step, decoding speed, and quality at equal training time.

Small tables may win early and lose late, so a budget shorter than the whole training can have another best size.
Read next: ``answer.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from seq2seq_jax.compare.grid import Grid, Size
from seq2seq_jax.compare.results import FinishedRun
from seq2seq_jax.compare.run_files import is_number
from seq2seq_jax.compare.schema import Cost, EqualTimeRow, ReachedRow
from seq2seq_jax.compare.statistics import ROUNDING

TIME_SHARES = (0.25, 0.5, 1.0)  # of the shortest run's training time
TIMER_NOISE = 0.1  # of the time: runs that differ by less in it have had the same
Evaluations = list[tuple[float, float]]  # (training seconds so far, loss), in order


def cost_of(size: Size) -> Cost:
    """Returns what one size costs, as medians over its runs; None where it is not known."""
    parameters = [run.result["parameters"] for run in size.runs]
    embedding, total = (_median([each.get(name) for each in parameters]) for name in ("embedding", "total"))
    return {
        "parameters": {"embedding": embedding, "total": total} if parameters else None,
        "train_seconds_median": _median([run.result["train_seconds"] for run in size.runs]),
        "best_step_seconds_median": _median([_seconds_to_best(run) for run in size.runs]),
        "tokens_per_second_median": _median([run.result.get("tokens_per_second") for run in size.runs]),
        "decoded_examples_per_second_median": _median([run.result.get("decoded_examples_per_second") for run in size.runs]),
    }


def _median(values: list[Any]) -> float | int | None:
    known = [value for value in values if is_number(value)]
    if not known:
        return None
    middle = float(np.median(known))
    return int(middle) if middle == int(middle) and all(isinstance(value, int) for value in known) else middle


def _seconds_to_best(run: FinishedRun) -> float | None:
    best = run.result["best_step"]
    return next((record["elapsed_seconds"] for record in run.dev_history if record["step"] == best), None)


def pareto_front(losses: Float[np.ndarray, " sizes"], costs: Float[np.ndarray, " sizes"]) -> Bool[np.ndarray, " sizes"]:
    """Says of each size whether no other is at least as good at no more cost, and better in one of the two. NaN is never on the front."""
    no_worse = (losses[:, None] <= losses + ROUNDING) & (costs[:, None] <= costs)
    better = (losses[:, None] < losses - ROUNDING) | (costs[:, None] < costs)
    return ~(no_worse & better).any(0) & ~np.isnan(losses) & ~np.isnan(costs)


def trained_together(grid: Grid) -> int:
    """Returns how many members, at most, were trained together. Above 1, times are equal shares and must not be compared."""
    shared = [run.result.get("trained_together") for size in grid.sizes for run in size.runs]
    return max((number for number in shared if isinstance(number, int)), default=1)


def fronts(grid: Grid, losses: Float[np.ndarray, " sizes"], costs: list[Cost]) -> dict[str, list[int] | None]:
    """Returns the learned sizes on the Pareto fronts of quality against parameters and against time, this None where times are shares."""
    parameters = [cost["parameters"]["total"] if cost["parameters"] else None for cost in costs]
    found: dict[str, list[int] | None] = {}
    for name, values in (("parameters", parameters), ("train_seconds", [cost["train_seconds_median"] for cost in costs])):
        array = np.array([np.nan if value is None else value for value in values], dtype=float)
        front = pareto_front(np.where(grid.learned, losses, np.nan), array)
        found[name] = [size.embedding_dim for size, on_it in zip(grid.sizes, front, strict=True) if on_it]
    return found if trained_together(grid) == 1 else found | {"train_seconds": None}


def at_equal_time(grid: Grid) -> list[EqualTimeRow] | None:
    """Returns the mean over seeds of the best value reached within shares of the shortest run's training time.

    An evaluation counts that comes up to a tenth later: a machine's times of the same work differ by as much, and where evaluations are
    few each decides. Empty where a run has no history, None where members were trained together. A size has a mean once all of its runs
    have been evaluated, and there is a best one once every complete size has a mean.
    """
    if trained_together(grid) > 1:
        return None
    sign = 1.0 if grid.metric.lower_is_better else -1.0
    sizes = [size for size in grid.sizes if size.runs]
    histories = {size.label: [_evaluations(run, sign) for run in size.runs] for size in sizes}
    ends = [history[-1][0] for several in histories.values() for history in several if history]
    if not sizes or len(ends) < sum(len(size.runs) for size in sizes):
        return []
    rows: list[EqualTimeRow] = []
    for share in TIME_SHARES:
        seconds = share * min(ends)
        means = {label: np.mean([_best_within(history, seconds) for history in several]) for label, several in histories.items()}
        complete = {size.embedding_dim: means[size.label] for size in sizes if size.table == "learned" and not size.failures}
        known = bool(complete) and np.isfinite(list(complete.values())).all()
        best = next(dim for dim, mean in complete.items() if mean <= min(complete.values()) + ROUNDING) if known else None
        reached: list[ReachedRow] = [
            {"embedding_dim": size.embedding_dim, "table": size.table, "mean": sign * float(means[size.label])} for size in sizes
        ]
        rows.append({"train_seconds": seconds, "share_of_shortest": share, "best": best, "sizes": reached})
    return rows


def _evaluations(run: FinishedRun, sign: float) -> Evaluations:
    name = run.result["metric"]["name"]
    return [(record["elapsed_seconds"], sign * record[name]) for record in run.dev_history if name in record]


def _best_within(history: Evaluations, seconds: float) -> float:
    return min((loss for elapsed, loss in history if elapsed <= (1 + TIMER_NOISE) * seconds), default=float("nan"))
