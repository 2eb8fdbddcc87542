"""What a sweep would train and what that would need, printed and not done."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from seq2seq_jax.sweep.design import Design
from seq2seq_jax.sweep.forecast import forecast
from seq2seq_jax.sweep.grid import Member
from seq2seq_jax.sweep.sweep import is_done, tuning_runs
from seq2seq_jax.sweep.tables import print_plan
from seq2seq_jax.train.run_directory import RunDirectory


def print_dry_run(members: Sequence[Member], wanted: Design, workdir: str, retry_failed: bool) -> None:
    """Prints what a sweep would train and what that would need."""
    states, forecasts, basis = {}, {}, ""
    for prefix, some in (("tuning/", tuning_runs(members, wanted, workdir)), ("", members)):
        if some:
            folder = pathlib.Path(workdir) / prefix
            found, basis = forecast(some, folder)
            forecasts |= {prefix + name: value for name, value in found.items()}
            states |= {prefix + member.name: _state(folder, member, retry_failed) for member in some}
    print_plan(states, forecasts, basis)


def _state(folder: pathlib.Path, member: Member, retry_failed: bool) -> str:
    if not is_done(folder, member, retry_failed):
        return "to train"
    result = RunDirectory(folder / member.name).result()
    return "failed" if result is not None and result["status"] == "failed" else "done"
