"""How long what is left of a sweep takes, for its live view and for status."""

from __future__ import annotations

import statistics
from collections.abc import Iterable


def time_left(members: Iterable[tuple[float, float | None]], at_work: int) -> float | None:
    """Returns the seconds until all members have ended, ``at_work`` of them at a time; None where some have not and no pace is known.

    Args:
      members: of each the share that is done, 0 to 1, and the seconds that the whole takes, None where they are not known: it is taken
        to need the median of the others.
      at_work: members that are trained now.
    """
    members = list(members)
    known = [whole for _, whole in members if whole is not None]
    to_do = [(1 - share, whole) for share, whole in members if share < 1]
    if to_do and not known:
        return None
    return sum(rest * (statistics.median(known) if whole is None else whole) for rest, whole in to_do) / max(1, at_work)
