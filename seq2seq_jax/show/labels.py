"""Amounts as people read them: counts, durations, memory."""

from __future__ import annotations

MISSING = "-"


def counted(count: int, thing: str) -> str:
    """Returns ``1 run`` or ``3 runs``."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def count_label(number: float | None) -> str:
    """Returns a count in at most five characters: 812345 becomes ``812k``."""
    if number is None:
        return MISSING
    rounded = float(f"{number:.3g}")
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rounded >= size:
            return f"{rounded / size:.3g}{suffix}"
    return f"{rounded:.3g}"


def seconds_label(seconds: float | None) -> str:
    """Returns a duration: ``61 s``, ``12 min``, ``3.4 h``, ``12 days``."""
    if seconds is None:
        return MISSING
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.3g} min"
    return f"{seconds / 3600:.3g} h" if seconds < 360_000 else f"{seconds / 86_400:,.0f} days"


def bytes_label(count: float) -> str:
    """Returns an amount of memory: ``12.3 MiB``."""
    for size, unit in ((2**30, "GiB"), (2**20, "MiB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 2**10:.1f} KiB"
