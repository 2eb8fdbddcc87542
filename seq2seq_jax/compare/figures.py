"""The pictures of the report, each from the comparison's JSON or from what lies in the run directories.

Knows what is drawn; ``show/picture.py`` knows how it becomes SVG.
Read next: ``report.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from seq2seq_jax.compare.artifacts import dev_history
from seq2seq_jax.compare.grid import spelled
from seq2seq_jax.compare.labels import count_label, decimals_of, runs_label, size_label, with_interval
from seq2seq_jax.compare.results import Run, runs_of
from seq2seq_jax.show.picture import ACCENT, BAND, INK, MUTED, Picture, size_colour

NAME_WIDTH = 0.08  # of a size below a picture, as a share of its axis
LINE_HEIGHT = 0.07  # of a name beside a picture, as a share of the picture
ASIDE = 1.12  # runs stand beside their mean, not under it


def metric_label(part: dict[str, Any]) -> str:
    """Returns the metric's name as words, and where it was measured."""
    return f"{spelled(part['metric']['name'], part['metric']['unit'])} on {part['split']}"


def _learned(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in part["sizes"] if row["table"] == "learned" and row["mean"] is not None]


def size_curve(part: dict[str, Any]) -> Picture:
    """Draws the metric against the size: runs, means with intervals, and the band of what is as good as the best."""
    picture, metric, decimals = Picture(f"{metric_label(part)} against embedding size"), part["metric"], decimals_of(part)
    axes, rows, recommendation = picture.axes, _learned(part), part["recommendation"]
    best = next((row["mean"] for row in rows if row["embedding_dim"] == part["best"]["embedding_dim"]), None)
    if best is not None:
        edge = best + recommendation["tolerance"] * (1 if metric["lower_is_better"] else -1)
        picture.name(axes.axhspan(best, edge, color=BAND, alpha=0.35, lw=0), f"within {recommendation['tolerance']:.3g} of the best mean")
    axes.plot([row["embedding_dim"] for row in rows], [row["mean"] for row in rows], color=MUTED, lw=1.2, zorder=2)
    for row in rows:
        _draw_size(picture, part, row)
    baselines = [row for row in part["sizes"] if row["table"] != "learned" and row["mean"] is not None]
    for row in baselines:
        line = axes.axhline(row["mean"], color=MUTED, ls=":", lw=1.4)
        picture.name(line, f"{size_label(row)}: {with_interval(row['mean'], row['ci95'], decimals)}")
    if all(row["mean"] >= 0 for row in [*rows, *baselines]):
        axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))  # an interval may reach below 0 where the metric cannot
    heights = _apart([row["mean"] for row in baselines], LINE_HEIGHT * (axes.get_ylim()[1] - axes.get_ylim()[0]))
    for row, height in zip(baselines, heights, strict=True):
        picture.write(row["table"], (1.02, height), xycoords=("axes fraction", "data"), ha="left", va="center", colour=MUTED)
    _size_axis(picture, [row["embedding_dim"] for row in rows])
    axes.set_ylabel(metric_label(part))
    return picture


def _apart(heights: list[float], gap: float) -> list[float]:
    """Moves heights up until no two are nearer than ``gap``, so that names at them can be read."""
    moved = dict.fromkeys(range(len(heights)), 0.0)
    lowest = -np.inf
    for place in sorted(moved, key=lambda place: heights[place]):
        lowest = moved[place] = max(heights[place], lowest + gap)
    return list(moved.values())


def _draw_size(picture: Picture, part: dict[str, Any], row: dict[str, Any]) -> None:
    decimals, dim = decimals_of(part), row["embedding_dim"]
    colour = ACCENT if dim == part["recommendation"]["embedding_dim"] else INK
    for seed, value in zip(row["seeds"], row["values"], strict=True):
        (dot,) = picture.axes.plot([dim * ASIDE], [value], "o", color=MUTED, ms=4, alpha=0.6, mew=0, zorder=3)
        picture.name(dot, f"size {dim}, {'seed ' if isinstance(seed, int) else ''}{seed}: {value:.{decimals}f}")
    if row["ci95"]:
        picture.axes.plot([dim, dim], row["ci95"], color=colour, lw=2, zorder=4, solid_capstyle="butt")
    (mean,) = picture.axes.plot([dim], [row["mean"]], "o", color=colour, ms=8, zorder=5)
    picture.name(mean, f"size {dim}: {with_interval(row['mean'], row['ci95'], decimals)}")


def _size_axis(picture: Picture, dims: list[int]) -> None:
    """Puts sizes on a logarithmic axis that is labelled where they were tried."""
    axis = picture.axes.xaxis
    picture.axes.set_xscale("log", base=2)
    if len(dims) == 1:
        picture.axes.set_xlim(dims[0] / 2, dims[0] * 2)  # else the runs beside the mean stand at the far end
    picture.axes.set_xticks(dims, _size_names(dims, np.log2(dims)))
    axis.set_minor_locator(NullLocator())
    picture.axes.set_xlabel("embedding size (columns of the table)")


def _size_names(dims: list[int], places: np.ndarray) -> list[str]:
    """Returns the sizes as text, an empty one where a name would run into the one before it."""
    names, last = [], -np.inf
    for dim, place in zip(dims, (places - places[0]) / max(np.ptp(places), 1e-9), strict=True):
        named = place - last >= NAME_WIDTH
        names.append(str(dim) if named else "")
        last = place if named else last
    return names


def learning_curves(part: dict[str, Any], runs: list[Run], by_seconds: bool) -> Picture | None:
    """Draws the dev metric during training, the mean over the seeds of each size, by step or by training time; None without history."""
    name, unit = part["metric"]["name"], "training time, seconds" if by_seconds else "training step"
    picture = Picture(f"{metric_label(part)} against {unit}")
    rows = _learned(part)
    drawn = False
    for index, row in enumerate(rows):
        same = runs_of(runs, row["embedding_dim"])
        steps, seconds, values = _mean_history([dev_history(run.directory) for run in same], name)
        if not steps:
            continue
        label, at = size_label(row), seconds if by_seconds else steps
        (line,) = picture.axes.plot(at, values, color=size_colour(index, len(rows)), lw=1.8, label=label, marker="o", ms=2.5)
        picture.name(line, f"size {label}, mean over {runs_label(len(same))}")
        drawn = True
    if not drawn:
        return None
    picture.axes.set_xlabel(unit)
    picture.axes.set_ylabel(metric_label(part))
    picture.legend(title="size", loc="center left", bbox_to_anchor=(1.0, 0.5))  # beside the curves, which may be many
    return picture


def _mean_history(histories: list[list[dict[str, Any]]], name: str) -> tuple[list[int], list[float], list[float]]:
    """Returns steps, mean training seconds and mean values at the steps at which every run was evaluated."""
    by_step = [{record["step"]: record for record in history if name in record} for history in histories]
    steps = sorted(set.intersection(*map(set, by_step))) if by_step else []
    seconds = [float(np.mean([records[step]["elapsed_seconds"] for records in by_step])) for step in steps]
    return steps, seconds, [float(np.mean([records[step][name] for records in by_step])) for step in steps]


def pareto(part: dict[str, Any]) -> Picture:
    """Draws the metric against all parameters of the model; sizes on the front are filled and joined."""
    picture, decimals = Picture(f"{metric_label(part)} against parameters, with the Pareto front"), decimals_of(part)
    rows = [row for row in _learned(part) if row["parameters"] and row["parameters"]["total"]]
    front = [row for row in rows if row["embedding_dim"] in part["pareto"]["parameters"]]
    picture.axes.plot([row["parameters"]["total"] for row in front], [row["mean"] for row in front], color=ACCENT, lw=1.2, zorder=2)
    for row in rows:
        total, on_front = row["parameters"]["total"], row in front
        colour, fill = (ACCENT, "full") if on_front else (MUTED, "none")
        (dot,) = picture.axes.plot([total], [row["mean"]], "o", ms=8, zorder=3, color=colour, fillstyle=fill)
        where = "on the Pareto front" if on_front else "another size is better and no larger"
        picture.name(dot, f"size {row['embedding_dim']}: {total:,} parameters, {row['mean']:.{decimals}f}; {where}")
        picture.write(str(row["embedding_dim"]), (total, row["mean"]), xytext=(7, 5), textcoords="offset points")
    _count_axis(picture, [row["parameters"]["total"] for row in rows])
    picture.axes.set_xlabel("parameters of the model")
    picture.axes.set_ylabel(metric_label(part))
    return picture


def _count_axis(picture: Picture, counts: list[int]) -> None:
    """Puts counts on a logarithmic axis, labelled at round numbers that do not run into each other."""
    picture.axes.set_xscale("log")
    picture.axes.margins(x=0.12)
    axis, span = picture.axes.xaxis, max(counts) / min(counts) if counts else 1.0
    if span == 1 and counts:
        picture.axes.set_xlim(counts[0] / 2, counts[0] * 2)
    axis.set_major_locator(MaxNLocator(5) if span < 10 else LogLocator(subs=(1, 3) if span < 1000 else (1,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: count_label(value)))


def parameters(part: dict[str, Any]) -> Picture:
    """Draws for each size the parameters of its tables and of all the rest, one above the other."""
    rows = [row for row in _learned(part) if row["parameters"] and row["parameters"]["total"]]
    picture = Picture("parameters by size: tables and the rest")
    for index, row in enumerate(rows):
        table, total = row["parameters"]["embedding"], row["parameters"]["total"]
        (rest,) = picture.axes.bar([index], [total - table], color=MUTED, alpha=0.55, width=0.6, label="" if index else "the rest")
        picture.name(rest, f"size {row['embedding_dim']}: {total - table:,} parameters besides the tables")
        (top,) = picture.axes.bar([index], [table], bottom=[total - table], color=ACCENT, width=0.6, label="" if index else "tables")
        picture.name(top, f"size {row['embedding_dim']}: {table:,} parameters in the tables ({table / total:.1%})")
    picture.axes.set_xticks(range(len(rows)), _size_names([row["embedding_dim"] for row in rows], np.arange(len(rows))))
    picture.axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: count_label(value)))
    picture.axes.grid(False, axis="x")
    picture.legend()
    picture.axes.margins(y=0.2)
    picture.axes.set_xlabel("embedding size (columns of the table)")
    picture.axes.set_ylabel("parameters")
    return picture


def truncation(part: dict[str, Any]) -> Picture | None:
    """Draws the metric of the largest table cut to its first directions beside the trained sizes; None where the sweep left no figures."""
    points = part["truncated_table"]
    if not points:
        return None
    picture, rows = Picture("the largest table cut to its first directions, beside trained sizes"), _learned(part)
    dims = [point["directions"] for point in points]
    picture.axes.plot(dims, [point["value"] for point in points], "o--", color=MUTED, ms=5, label="largest table, cut")
    picture.axes.plot([row["embedding_dim"] for row in rows], [row["mean"] for row in rows], "o-", color=ACCENT, ms=6, label="trained")
    _size_axis(picture, sorted({row["embedding_dim"] for row in rows}))
    picture.axes.set_ylabel(metric_label(part))
    picture.legend()
    return picture
