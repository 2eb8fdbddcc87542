"""The pictures of the report, each from the comparison's JSON or from what lies in the run directories.

Knows what is drawn; ``show/picture.py`` knows how it becomes SVG.
Read next: ``report.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from seq2seq_jax.compare.labels import decimals_of, size_label, spelled, with_interval
from seq2seq_jax.compare.results import FinishedRun, runs_of
from seq2seq_jax.compare.schema import SettingComparison, SizeRow
from seq2seq_jax.show.labels import count_label, counted
from seq2seq_jax.show.picture import ACCENT, BAND, INK, MUTED, Picture, apart, size_colour, text_size

NAME_WIDTH = 0.08  # of a size below a picture, as a share of its axis
LINE_HEIGHT = 0.07  # of a name beside a picture, as a share of the picture
MOST_POINTS = 200  # of a curve that is drawn
MARKED_POINTS = 50  # up to which each has a marker
FEW_CURVES = 4  # that colours alone tell apart
ASIDE = 1.12  # runs stand beside their mean, not under it


def metric_label(part: SettingComparison) -> str:
    """Returns the metric's name as words, and where it was measured."""
    return f"{spelled(part['metric']['name'], part['metric']['unit'])} on {part['split']}"


class Point(NamedTuple):
    """A size whose mean is known."""

    size: int
    mean: float
    row: SizeRow


class Count(NamedTuple):
    """A size whose mean and parameters are known: those of its tables, and all."""

    size: int
    mean: float
    tables: float
    total: float


def _points(part: SettingComparison, learned: bool = True) -> list[Point]:
    """Returns the sizes with a learned table, or the baselines."""
    rows = [row for row in part["sizes"] if (row["table"] == "learned") == learned]
    return [Point(row["embedding_dim"], row["mean"], row) for row in rows if row["mean"] is not None]


def _counts(part: SettingComparison) -> list[Count]:
    counts = [(point, point.row["parameters"]) for point in _points(part)]
    return [Count(point.size, point.mean, found["embedding"] or 0, found["total"]) for point, found in counts if found and found["total"]]


def size_curve(part: SettingComparison) -> Picture:
    """Draws the metric against the size: runs, means with intervals, and the band of what is as good as the best."""
    picture, metric, decimals = Picture(f"{metric_label(part)} against embedding size"), part["metric"], decimals_of(part)
    axes, points, tolerance = picture.axes, _points(part), part["recommendation"]["tolerance"]
    best = next((point.mean for point in points if point.size == part["best"]["embedding_dim"]), None)
    if best is not None and tolerance is not None:
        edge = best + tolerance * (1 if metric["lower_is_better"] else -1)
        picture.name(axes.axhspan(best, edge, color=BAND, alpha=0.35, lw=0), f"within {tolerance:.3g} of the best mean")
    axes.plot([point.size for point in points], [point.mean for point in points], color=MUTED, lw=1.2, zorder=2)
    for point in points:
        _draw_size(picture, part, point)
    baselines = _points(part, learned=False)
    for _, mean, row in baselines:
        line = axes.axhline(mean, color=MUTED, ls=":", lw=1.4)
        picture.name(line, f"{size_label(row)}: {with_interval(mean, row['ci95'], decimals)}")
    if all(point.mean >= 0 for point in [*points, *baselines]):
        axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))  # an interval may reach below 0 where the metric cannot
    heights = _apart([point.mean for point in baselines], LINE_HEIGHT * (axes.get_ylim()[1] - axes.get_ylim()[0]))
    for point, height in zip(baselines, heights, strict=True):
        picture.write(point.row["table"], (1.02, height), xycoords=("axes fraction", "data"), ha="left", va="center", colour=MUTED)
    _size_axis(picture, [point.size for point in points], first=_named_first(part))
    axes.set_ylabel(metric_label(part))
    return picture


def _named_first(part: SettingComparison) -> list[int | None]:
    return [part["recommendation"]["embedding_dim"], part["best"]["embedding_dim"]]


def _apart(heights: list[float], gap: float) -> list[float]:
    """Moves heights up until no two are nearer than ``gap``, so that names at them can be read."""
    moved = dict.fromkeys(range(len(heights)), 0.0)
    lowest = -np.inf
    for place in sorted(moved, key=lambda place: heights[place]):
        lowest = moved[place] = max(heights[place], lowest + gap)
    return list(moved.values())


def _draw_size(picture: Picture, part: SettingComparison, point: Point) -> None:
    decimals, (dim, mean, row) = decimals_of(part), point
    colour = ACCENT if dim == part["recommendation"]["embedding_dim"] else INK
    for seed, value in zip(row["seeds"], row["values"], strict=True):
        (dot,) = picture.axes.plot([dim * ASIDE], [value], "o", color=MUTED, ms=4, alpha=0.6, mew=0, zorder=3)
        picture.name(dot, f"size {dim}, {'seed ' if isinstance(seed, int) else ''}{seed}: {value:.{decimals}f}")
    if row["ci95"]:
        picture.axes.plot([dim, dim], row["ci95"], color=colour, lw=2, zorder=4, solid_capstyle="butt")
    (dot,) = picture.axes.plot([dim], [mean], "o", color=colour, ms=8, zorder=5)
    picture.name(dot, f"size {dim}: {with_interval(mean, row['ci95'], decimals)}")


def _size_axis(picture: Picture, dims: list[int], first: Sequence[int | None]) -> None:
    """Puts sizes on a logarithmic axis that is labelled where they were tried, the ``first`` ones in any case."""
    axis = picture.axes.xaxis
    picture.axes.set_xscale("log", base=2)
    if len(dims) == 1:
        lowest = min(dims[0], picture.axes.dataLim.xmin)
        picture.axes.set_xlim(lowest / 2, dims[0] * 2)  # else the runs beside the mean stand at the far end
    picture.axes.set_xticks(dims, _size_names(dims, np.log2(dims), first))
    axis.set_minor_locator(NullLocator())
    picture.axes.set_xlabel("embedding size (columns of the table)")


def _size_names(dims: list[int], places: np.ndarray, first: Sequence[int | None]) -> list[str]:
    """Returns the sizes as text, an empty one where a name would run into another; the ``first`` ones are named before all others."""
    shares = (places - places[0]) / max(np.ptp(places), 1e-9)
    named: list[int] = []
    for index in sorted(range(len(dims)), key=lambda index: dims[index] not in first):
        if all(abs(shares[index] - shares[other]) >= NAME_WIDTH for other in named):
            named.append(index)
    return [str(dim) if index in named else "" for index, dim in enumerate(dims)]


def learning_curves(part: SettingComparison, runs: list[FinishedRun], by_seconds: bool) -> Picture | None:
    """Draws the dev metric during training, the mean over the seeds of each size, by step or training time; None without two points."""
    name, unit = part["metric"]["name"], "training time, seconds" if by_seconds else "training step"
    picture = Picture(f"{metric_label(part)} against {unit}")
    points = _points(part)
    drawn = False
    for index, point in enumerate(points):
        same = runs_of(runs, point.size)
        steps, seconds, values = _mean_history([run.dev_history for run in same], name)
        if len(steps) < 2:  # a dot is no curve
            continue
        label, at = str(point.size), seconds if by_seconds else steps
        marker = "o" if len(at) <= MARKED_POINTS else None
        look = {"ls": "--" if index % 2 and len(points) > FEW_CURVES else "-", "lw": 1.8, "marker": marker, "ms": 2.5}
        (line,) = picture.axes.plot(at, values, color=size_colour(index, len(points)), label=label, **look)
        picture.name(line, f"size {label}, mean over {counted(len(same), 'run')}")
        drawn = True
    if not drawn:
        return None
    picture.axes.set_xlabel(unit)
    picture.axes.set_ylabel(metric_label(part))
    picture.legend(title="size", loc="center left", bbox_to_anchor=(1.0, 0.5))  # beside the curves, which may be many
    return picture


def _mean_history(histories: list[list[dict[str, Any]]], name: str) -> tuple[list[int], list[float], list[float]]:
    """Returns steps, mean training seconds and mean values at the steps at which every run was evaluated; of very many, at some."""
    by_step = [{record["step"]: record for record in history if name in record} for history in histories]
    steps = _thinned(sorted(set.intersection(*map(set, by_step))) if by_step else [])
    seconds = [float(np.mean([records[step]["elapsed_seconds"] for records in by_step])) for step in steps]
    return steps, seconds, [float(np.mean([records[step][name] for records in by_step])) for step in steps]


def _thinned(steps: list[int]) -> list[int]:
    """Returns as many steps as a curve shows, evenly chosen, with the first and the last."""
    places = np.linspace(0, len(steps) - 1, min(len(steps), MOST_POINTS)).round().astype(int)
    return [steps[place] for place in places]


def pareto(part: SettingComparison) -> Picture | None:
    """Draws the metric against all parameters of the model; sizes on the front are filled and joined. None where these are not known."""
    counts, decimals = _counts(part), decimals_of(part)
    if not counts:
        return None
    picture = Picture(f"{metric_label(part)} against parameters, with the Pareto front")
    front = [count for count in counts if count.size in (part["pareto"]["parameters"] or ())]
    picture.axes.plot([count.total for count in front], [count.mean for count in front], color=ACCENT, lw=1.2, zorder=2)
    for count in counts:
        colour, fill = (ACCENT, "full") if count in front else (MUTED, "none")
        (dot,) = picture.axes.plot([count.total], [count.mean], "o", ms=8, zorder=3, color=colour, fillstyle=fill)
        where = "on the Pareto front" if count in front else "another size is as good and smaller, or better and no larger"
        picture.name(dot, f"size {count.size}: {count.total:,} parameters, {count.mean:.{decimals}f}; {where}")
    _count_axis(picture, [count.total for count in counts])
    _name_beside(picture, sorted(counts, key=lambda count: count not in front))
    picture.axes.set_xlabel("parameters of the model")
    picture.axes.set_ylabel(metric_label(part))
    return picture


def _name_beside(picture: Picture, counts: list[Count]) -> None:
    """Writes the sizes beside their points, where they do not run into one that is written before them."""
    names, points = [str(count.size) for count in counts], np.array([(count.total, count.mean) for count in counts])
    for index in apart(picture.places(points), np.array([text_size(name) for name in names])):
        picture.write(names[index], tuple(points[index].tolist()), xytext=(7, 5), textcoords="offset points")


def _count_axis(picture: Picture, counts: list[float]) -> None:
    """Puts counts on a logarithmic axis, labelled at round numbers that do not run into each other."""
    picture.axes.set_xscale("log")
    picture.axes.margins(x=0.12)
    axis, span = picture.axes.xaxis, max(counts) / min(counts)
    if span == 1:
        picture.axes.set_xlim(counts[0] / 2, counts[0] * 2)
    axis.set_major_locator(MaxNLocator(5) if span < 10 else LogLocator(subs=(1, 3) if span < 1000 else (1,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: count_label(value)))


def parameters(part: SettingComparison) -> Picture | None:
    """Draws for each size the parameters of its tables and of all the rest, one above the other; None where they are not known."""
    counts = _counts(part)
    if not counts:
        return None
    picture = Picture("parameters by size: tables and the rest")
    for index, (size, _, table, total) in enumerate(counts):
        (rest,) = picture.axes.bar([index], [total - table], color=MUTED, alpha=0.55, width=0.6, label="" if index else "the rest")
        picture.name(rest, f"size {size}: {total - table:,} parameters besides the tables")
        (top,) = picture.axes.bar([index], [table], bottom=[total - table], color=ACCENT, width=0.6, label="" if index else "tables")
        picture.name(top, f"size {size}: {table:,} parameters in the tables ({table / total:.1%})")
    picture.axes.set_xticks(range(len(counts)), _size_names([count.size for count in counts], np.arange(len(counts)), _named_first(part)))
    picture.axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: count_label(value)))
    picture.axes.grid(False, axis="x")
    picture.legend()
    picture.axes.margins(y=0.2)
    picture.axes.set_xlabel("embedding size (columns of the table)")
    picture.axes.set_ylabel("parameters")
    return picture


def truncation(part: SettingComparison) -> Picture | None:
    """Draws the metric of the largest table cut to its first directions beside the trained sizes; None where the sweep left no figures."""
    cut = part["truncated_table"]
    if not cut:
        return None
    points = _points(part)
    picture = Picture("the largest table of the first seed, cut to its first directions; beside trained sizes, means over seeds")
    dims = [row["directions"] for row in cut]
    picture.axes.plot(dims, [row["value"] for row in cut], "o--", color=MUTED, ms=5, label="largest table, first seed, cut")
    means = [point.mean for point in points]
    picture.axes.plot([point.size for point in points], means, "o-", color=ACCENT, ms=6, label="trained, mean over seeds")
    _size_axis(picture, sorted({point.size for point in points}), first=_named_first(part))
    picture.axes.set_ylabel(metric_label(part))
    picture.legend()
    return picture
