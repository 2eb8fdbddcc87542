"""Members of a sweep as a table: what is planned, with forecasts. Knows layout only, and no JAX."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from seq2seq_jax.show.labels import MISSING, bytes_label, seconds_label
from seq2seq_jax.show.terminal import print_table


def print_plan(states: Mapping[str, str], forecasts: Mapping[str, Any], basis: str) -> None:
    """Prints the members with their forecasts, what these rest on, and warns of those that will not fit; warnings go to stderr.

    Args:
      states: ``done``, ``failed`` (not tried again) or ``to train``, by member.
      forecasts: likewise.
      basis: a sentence.
    """
    rows = []
    for name, state in states.items():
        found = forecasts[name]
        counts = [f"{found.parameters[kind]:,}" for kind in ("embedding", "total")]
        memory = f"{bytes_label(found.bytes)}{'' if found.fits else ' !'}"
        rows.append([name, state, *counts, memory, seconds_label(found.seconds) if state == "to train" else MISSING])
    print_table(("member", "state", "table", "parameters", "memory", "time"), rows, left=2)
    left = sum(forecasts[name].seconds for name, state in states.items() if state == "to train")
    print(f"{len(states)} members, {seconds_label(left)} of training left, one after the other. Forecast: {basis}.")
    for name, found in forecasts.items():
        if not found.fits and states[name] == "to train":
            print(f"warning: {name} needs {bytes_label(found.bytes)} for an update and will not fit into memory", file=sys.stderr)
