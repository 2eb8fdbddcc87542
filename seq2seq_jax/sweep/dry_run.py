"""What a sweep would train and what that would need, printed and not done."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Mapping

from seq2seq_jax.records import TUNING_FOLDER
from seq2seq_jax.show.labels import MISSING, bytes_label, seconds_label
from seq2seq_jax.show.progress import shown
from seq2seq_jax.show.terminal import print_table
from seq2seq_jax.sweep.forecast import Forecast, forecast
from seq2seq_jax.sweep.found import Found
from seq2seq_jax.sweep.members import Member
from seq2seq_jax.sweep.plan import Plan
from seq2seq_jax.sweep.sweep import check_members, warn_of_tuning_seed

SHORT = 15  # seconds of training, about what compiling takes


def print_dry_run(plan: Plan, retry_failed: bool) -> None:
    """Prints what a sweep would train and what that would need. Raises UserError where it would refuse to."""
    check_members(plan, retry_failed)
    if plan.tuning is not None:
        warn_of_tuning_seed(plan.members, plan.tuning)
    states, forecasts, bases = {}, {}, {}
    for prefix, members in ((f"{TUNING_FOLDER}/", plan.tuning_runs), ("", plan.members)):
        if members:
            folder = plan.folder / prefix
            with shown("sweep: forecasting memory and time"):
                needs, bases[prefix or "members"] = forecast(members, folder)
            forecasts |= {prefix + name: of_member for name, of_member in needs.items()}
            states |= {prefix + member.name: _state(folder, member, retry_failed) for member in members}
    named = bases.values() if len(bases) == 1 else [f"{runs}: {basis}" for runs, basis in bases.items()]
    print_forecasts(states, forecasts, "; ".join(named))


def _state(folder: pathlib.Path, member: Member, retry_failed: bool) -> str:
    found = Found(folder, member)
    if not found.is_done(retry_failed):
        return "to train"
    return "done" if found.error is None else "failed"


def print_forecasts(states: Mapping[str, str], forecasts: Mapping[str, Forecast], basis: str) -> None:
    """Prints the members with their forecasts, what these rest on, and warns of those that will not fit; warnings go to stderr.

    Args:
      states: ``done``, ``failed`` (not tried again) or ``to train``, by member.
      forecasts: likewise.
      basis: a sentence.
    """
    rows = []
    for name, state in states.items():
        needs = forecasts[name]
        counts = [f"{needs.parameters[kind]:,}" for kind in ("embedding", "total")]
        memory = f"{bytes_label(needs.bytes)}{'' if needs.fits else ' !'}"
        rows.append([name, state, *counts, memory, seconds_label(needs.seconds) if state == "to train" else MISSING])
    print_table(("member", "state", "table", "parameters", "memory", "time"), rows, left=2)
    times = [forecasts[name].seconds for name, state in states.items() if state == "to train"]
    seconds = [time for time in times if time is not None]
    left = f", {seconds_label(sum(seconds))} of training left, one after the other" if len(seconds) == len(times) else ""
    print(f"{len(states)} members{left}. Forecast: {basis}.")
    if seconds and sum(seconds) < SHORT * len(seconds):
        print("Of runs this short the first may take longer to compile than to train, unless its programs are on disk.")
    for name, needs in forecasts.items():
        if not needs.fits and states[name] == "to train":
            print(f"warning: {name} needs {bytes_label(needs.bytes)} for an update and will not fit into memory", file=sys.stderr)
