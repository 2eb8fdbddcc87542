"""What makes sizes comparable beside equal fields: tuning of each size, and hidden sizes that keep a budget of parameters.

Read next: ``comparison.py``; how a sweep carries it out: ``sweep/design.py``.
"""

from __future__ import annotations

from typing import Any

from seq2seq_jax.compare.grid import Grid
from seq2seq_jax.compare.results import Sweep
from seq2seq_jax.compare.schema import ChosenRow, HiddenDimRow, TuningSummary
from seq2seq_jax.config import SIZE, TABLE, setting_of


def tuning_of(sweep: Sweep, grid: Grid, setting: dict[str, Any]) -> TuningSummary | None:
    """Returns what tuning chose for each size of a setting, and what all tuning of the sweep cost; None in a sweep without tuning.

    A frozen baseline whose place a larger one has taken is no size any more.
    """
    if sweep.tuning is None:
        return None
    chosen: list[ChosenRow] = []
    for entry in sweep.tuning["chosen"]:
        varied = entry["varied"]
        size, table = varied.get(SIZE), varied.get(TABLE, "learned")
        if setting_of(varied) == setting and (size, table) in ((column.embedding_dim, column.table) for column in grid.sizes):
            chosen.append({"embedding_dim": size, "table": table, "values": entry["values"]})
    return {
        "seed": sweep.tuning["seed"],
        "runs": sweep.tuning["runs"],
        "train_seconds": sweep.tuning["train_seconds"],
        "chosen": chosen,
        "tried": sweep.tuned,
    }


def hidden_dims_of(sweep: Sweep, grid: Grid) -> list[HiddenDimRow]:
    """Returns the hidden size of each size, where a budget of parameters makes them differ; else nothing."""
    rows: list[HiddenDimRow] = []
    for size in grid.sizes:
        if size.runs and size.runs[0].member.name in sweep.hidden_dims:
            hidden, encoder = sweep.hidden_dims[size.runs[0].member.name]
            rows.append({"embedding_dim": size.embedding_dim, "table": size.table, "hidden_dim": hidden, "encoder_hidden_dim": encoder})
    return rows
