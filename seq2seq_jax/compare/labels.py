"""Figures and findings of the comparison as text, for the terminal and for the report.

Knows the comparison's JSON and no layout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from seq2seq_jax.compare.schema import ChosenRow, HiddenDimRow, Interval, SettingComparison, SizeRow
from seq2seq_jax.kinds import METRICS
from seq2seq_jax.show.labels import MISSING, count_label, counted, seconds_label

HUGE = 1e6  # from here on figures, as of a run that has diverged, are shown with three digits
RELATIVE = "relative to the data set"  # unit of pooled figures
PARETO = {"parameters": "by parameters", "train_seconds": "by training time"}


def size_name(embedding_dim: int | None, table: str) -> str:
    """Returns a size as readers see it: ``16``, or with the kind of a table that is not learned, ``frozen 16``."""
    return str(embedding_dim) if table == "learned" else f"{table} {embedding_dim}"


def decimals_for(tolerance: float) -> int:
    """Returns how many decimals of a metric show a tenth of the tolerance."""
    return 4 if not 0 < tolerance < math.inf else min(6, max(0, 1 - math.floor(math.log10(tolerance))))


def spelled(metric_name: str, unit: str = "") -> str:
    """Returns the name of a metric in words, ``relative`` before it where its unit is that of pooled figures."""
    known = METRICS.get(metric_name)
    words = known.label if known is not None and known.label else metric_name.replace("_", " ")
    return f"{'relative ' if unit == RELATIVE else ''}{words}"


def setting_label(setting: dict[str, Any]) -> str:
    """Returns the further swept fields as text, such as ``model.hidden_dim=128``."""
    return ", ".join(f"{path}={value}" for path, value in setting.items()) or "as configured"


def decimals_of(part: SettingComparison) -> int:
    """Returns how many decimals of the metric are worth showing at the tolerance of the comparison."""
    return decimals_for(part["recommendation"]["tolerance"] or 0.0)


def with_interval(middle: float | None, interval: Interval, decimals: int, sign: str = "") -> str:
    """Returns ``0.310 ± 0.012``, or ``0.310`` where there is no interval."""
    if middle is None:
        return MISSING
    text = _fixed(round(middle, decimals) + 0.0, decimals, sign)  # never -0.000
    return text if interval is None else f"{text} {half_width(interval, decimals)}"


def half_width(interval: Interval, decimals: int) -> str:
    """Returns half the width of an interval: ``± 0.012``."""
    return MISSING if interval is None else f"± {_fixed((interval[1] - interval[0]) / 2, decimals)}"


def _fixed(figure: float, decimals: int, sign: str = "") -> str:
    return f"{figure:{sign}.3g}" if abs(figure) >= HUGE else f"{figure:{sign}.{decimals}f}"


def p_label(p_value: float | None) -> str:
    """Returns a p value to three decimals: ``.050``, ``<.001``."""
    if p_value is None:
        return MISSING
    return "<.001" if p_value < 0.001 else f"{p_value:.3f}"[1:] if p_value < 0.9995 else "1"


def size_label(row: SizeRow | ChosenRow | HiddenDimRow) -> str:
    """Returns the name of a row's size."""
    return size_name(row["embedding_dim"], row["table"])


def role(part: SettingComparison, row: SizeRow) -> str:
    """Returns what the size is in the answer: ``take`` where it is recommended, else ``best`` where it is that, else nothing."""
    roles = {part["best"]["embedding_dim"]: "best", part["recommendation"]["embedding_dim"]: "take"}
    return roles.get(row["embedding_dim"], "") if row["table"] == "learned" else ""


def over(part: SettingComparison) -> str:
    """Returns what the intervals are over: seeds, or data sets where several sweeps are pooled."""
    return "data sets" if "data_sets" in part["recommendation"] else "seeds"


def sentence_on_test(part: SettingComparison) -> str | None:
    """Says what the recommended size reaches on test; None where that is not known."""
    test = part["recommendation"]["test"]
    if not test:
        return None
    figure, name = with_interval(test["mean"], test["ci95"], decimals_of(part)), spelled(part["metric"]["name"])
    return f"On test, size {part['recommendation']['embedding_dim']}: {name} {figure} over {counted(test['runs'], 'run')}."


def settings_lines(parts: Sequence[SettingComparison]) -> list[str]:
    """Says which size each of several settings takes, what it reaches and how sure that is; nothing where there is but one."""
    return list(map(_taken, parts)) if len(parts) > 1 else []


def _taken(part: SettingComparison) -> str:
    recommendation, label = part["recommendation"], setting_label(part["setting"])
    size = recommendation["embedding_dim"]
    mean = next((row["mean"] for row in part["sizes"] if (row["embedding_dim"], row["table"]) == (size, "learned")), None)
    return f"{label}: no size" if mean is None else f"{label}: size {size}, {mean:.{decimals_of(part)}f}, {recommendation['verdict']}"


def correlation_sentence(part: SettingComparison) -> str | None:
    """Says how far sizes vary alike over seeds; None where that is not known, as of two seeds, which say nearly nothing of it."""
    correlation, in_common = part["seed_correlation"], part["noise_floor"]["seeds"]
    if correlation is None or in_common < 3:
        return None
    shown = round(correlation, 2) + 0.0  # never -0.00
    scatter = round(100 * (math.sqrt(1 - shown) - 1))  # the variance of a paired difference is that of an unpaired one times 1 - r
    less = f"{abs(scatter)} % {'less' if scatter < 0 else 'more'} than" if scatter else "as much as"
    return f"Correlation of sizes over seeds: {shown:.2f}, so differences by seed scatter {less} those of unrelated runs."


def cost_lines(part: SettingComparison) -> list[str]:
    """Says which sizes are worth their cost, which win at a part of the training time, and what rules of thumb would have said."""
    lines = []
    fronts = [f"{label} {', '.join(map(str, front))}" for name, label in PARETO.items() if (front := part["pareto"][name])]
    if fronts:
        lines.append(f"Pareto front (no other size is as good for less, or better for no more): {'; '.join(fronts)}.")
    shares = [
        f"size {row['best']} after {seconds_label(row['train_seconds'])}" for row in part["at_equal_time"] or () if row["best"] is not None
    ]
    if shares and len(part["sizes"]) > 1:
        lines.append(f"Best at equal training time: {', '.join(shares)}.")
    speeds = [
        f"{count_label(row['decoded_examples_per_second_median'])} at size {size_label(row)}"
        for row in part["sizes"]
        if row["decoded_examples_per_second_median"] is not None
    ]
    if speeds:
        lines.append(f"Examples decoded greedily in a second: {', '.join(speeds)}.")
    if part["trained_together"] > 1:
        shared = f"Up to {part['trained_together']} members were trained together: their times are equal shares"
        lines.append(f"{shared}, so nothing is said of quality by training time.")
    for table in dict.fromkeys(row["table"] for row in part["rules_of_thumb"]):
        rules = [row for row in part["rules_of_thumb"] if row["table"] == table]
        said = ", ".join(f"{row['rule']} {row['embedding_dim']:.3g}" for row in rules)
        lines.append(f"Rules of thumb for the {table} table, {rules[0]['vocabulary']} symbols: {said}.")
    return lines


def design_lines(part: SettingComparison) -> list[str]:
    """Says what else differs between the sizes: hidden sizes that keep a budget, and what tuning has chosen, and at what cost."""
    at = ", ".join(f"{_hidden_label(row)} at size {size_label(row)}" for row in part["hidden_dims"])
    return ([f"Hidden size, for equally many parameters: {at}."] if at else []) + _tuning_lines(part)


def _hidden_label(row: HiddenDimRow) -> str:
    own = "" if row["encoder_hidden_dim"] is None else f" (encoder {row['encoder_hidden_dim']})"
    return f"{row['hidden_dim']}{own}"


def _tuning_lines(part: SettingComparison) -> list[str]:
    tuning = part["tuning"]
    if tuning is None:
        return []
    lines = []
    for path in dict.fromkeys(path for row in tuning["chosen"] for path in row["values"]):
        values = [row["values"][path] for row in tuning["chosen"]]
        said = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
        at = [f"{value} at size {size_label(row)}" for value, row in zip(said, tuning["chosen"], strict=True)]
        edge = _edge_label(values, tuning["tried"].get(path, []))
        lines.append(f"Chosen {path}: {', '.join(at) if len(set(said)) > 1 else f'{said[0]} at every size'}{edge}.")
    compared = {seed for row in part["sizes"] for seed in row["seeds"]}
    apart = "which is compared too" if tuning["seed"] in compared else "which is not compared"
    cost = f"{counted(tuning['runs'], 'run')}, {seconds_label(tuning['train_seconds'])} of training"
    return [*lines, f"Tuning took {cost}, with seed {tuning['seed']}, {apart}."]


def _edge_label(chosen: Sequence[Any], tried: Sequence[Any]) -> str:
    """Says which chosen values are the last of those tried, beyond which a better one may lie."""
    if len(tried) < 2 or not all(isinstance(value, int | float) and not isinstance(value, bool) for value in tried):
        return ""
    ends = (("largest", "larger", max(tried)), ("smallest", "smaller", min(tried)))
    met = [end for end in ends if end[2] in chosen and end[2] > 0]  # nothing that is tuned goes below 0
    return "".join(f"; {value:g} is the {last} tried, and a {beyond} one may be better" for last, beyond, value in met)


def noise_lines(part: SettingComparison) -> list[str]:
    """Says how far runs scatter over seeds alone, and which differences that hides."""
    floor, decimals, unpaired = part["noise_floor"], decimals_of(part) + 1, f"no two sizes have two {over(part)} in common"
    if floor["standard_deviation"] is None:
        return [f"Noise floor: not known, since no size has two {over(part)}."]
    deviation = f"Noise floor: over {over(part)} alone, the standard deviation of a size is {floor['standard_deviation']:.{decimals}f}"
    double = floor["standard_deviation_of_differences"]
    if double is None or floor["detectable_difference"] is None:
        why = unpaired if floor["standard_deviation"] else "the runs of a size are all alike, which may be chance"
        return [f"{deviation}; of differences none is known, since {why}."]
    further = [
        f"{row['seeds']} {over(part)} {row['detectable_difference']:.{decimals}f}"
        for row in floor["by_seeds"]
        if row["seeds"] > floor["seeds"]
    ]
    detected = f"{floor['seeds']} {over(part)} {floor['detectable_difference']:.{decimals}f}"
    return [
        f"{deviation}, of two sizes' difference {double:.{decimals}f}.",
        f"Smallest difference that is detected (5 % level, power 0.8): with {', '.join([detected, *further])}.",
    ]
