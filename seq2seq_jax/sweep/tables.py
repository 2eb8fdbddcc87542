"""Members of a sweep as a table: what is planned, with forecasts. Knows layout only, and no JAX."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from seq2seq_jax.show.terminal import MISSING, print_table


def print_plan(states: Mapping[str, str], forecasts: Mapping[str, Any], basis: str) -> None:
    """Prints the members with their forecasts, what these rest on, and warns of those that will not fit; warnings go to stderr.

    Args:
      states: ``done`` or ``to train``, by member.
      forecasts: likewise.
      basis: a sentence.
    """
    rows = []
    for name, state in states.items():
        found = forecasts[name]
        counts = [f"{found.parameters[kind]:,}" for kind in ("embedding", "total")]
        memory = f"{bytes_label(found.bytes)}{'' if found.fits else ' !'}"
        rows.append([name, state, *counts, memory, MISSING if state == "done" else seconds_label(found.seconds)])
    print_table(("member", "state", "table", "parameters", "memory", "time"), rows, left=2)
    left = sum(forecasts[name].seconds for name, state in states.items() if state != "done")
    print(f"{len(states)} members, {seconds_label(left)} of training left, one after the other. Forecast: {basis}.")
    for name, found in forecasts.items():
        if not found.fits and states[name] != "done":
            print(f"warning: {name} needs {bytes_label(found.bytes)} for an update and will not fit into memory", file=sys.stderr)


def bytes_label(count: float) -> str:
    """Returns an amount of memory: ``12.3 MiB``."""
    for size, unit in ((2**30, "GiB"), (2**20, "MiB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 2**10:.1f} KiB"


def seconds_label(seconds: float | None) -> str:
    """Returns a duration: ``61 s``, ``12 min``, ``3.4 h``."""
    if seconds is None:
        return MISSING
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
