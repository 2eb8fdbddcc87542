"""How far the neighbourhoods of a table depend on the seed: the share of nearest neighbours that two seeds have in common.

References: Antoniak & Mimno 2018, "Evaluating the stability of embedding-based word similarities".
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from seq2seq_jax.compare.reading import read_sweep
from seq2seq_jax.config import SIZE, TABLE, in_order, setting_key
from seq2seq_jax.embeddings.neighbours import neighbour_sets
from seq2seq_jax.embeddings.tables import TrainedTable, read_tables
from seq2seq_jax.errors import UserError
from seq2seq_jax.records import EMBEDDING_FILE
from seq2seq_jax.show.terminal import print_json, print_sentence, print_table

MOST_QUERIES = 1000  # rows whose neighbours are compared, the most read ones


@dataclasses.dataclass(frozen=True)
class Stability:
    """The neighbourhoods of one table over the seeds of one size, by the keys of ``--format=json``.

    Attributes:
      setting: what the sweep varies besides the seed.
      table: ``source`` or ``target``.
      seeds: that were compared, each with each.
      k: neighbours of a row.
      rows: whose neighbours are compared.
      overlap: mean share of neighbours that two seeds have in common, 0 to 1.
      deviation: standard deviation of this share over the pairs of seeds; None where there is one.
      chance: share that neighbours drawn at random have in common on average.
    """

    setting: dict[str, Any]
    table: str
    seeds: list[int]
    k: int
    rows: int
    overlap: float
    deviation: float | None
    chance: float


def run(options: Mapping[str, Any]) -> None:
    """Prints for each size of a sweep the share of nearest neighbours that two seeds have in common."""
    found, left_out = stability(options["workdir"], options["k"], options["table"])
    if options["format"] == "json":
        print_json({"groups": [dataclasses.asdict(result) for result in found], "left_out": left_out})
        return
    rows = [
        [
            ", ".join(f"{name.split('.')[-1]}={value}" for name, value in result.setting.items()),
            result.table,
            str(len(result.seeds)),
            str(result.k),
            f"{result.overlap:.3f}" + ("" if result.deviation is None else f" ± {result.deviation:.3f}"),
            f"{result.chance:.3f}",
        ]
        for result in found
    ]
    print("Share of nearest neighbours that two seeds have in common, mean over pairs:")
    print_table(("setting", "table", "seeds", "nearest", "in common", "by chance"), rows, left=2)
    if left_out:
        why = "without a table or trained for other steps or epochs than the sweep asks for now"
        print_sentence(f"Left out, {why}: {', '.join(left_out)}.")


def stability(workdir: str, k: int, side: str | None = None) -> tuple[list[Stability], list[str]]:
    """Compares the neighbours over the seeds of each setting of a sweep, the smallest size first.

    Returns also the names of runs that are left out: without a table, or as compare leaves them out for their length.

    Raises UserError where no setting has tables of two seeds.
    """
    sweep = read_sweep(workdir)
    left_out = [failure.name for failure in sweep.failures if failure.has_finished]
    settings: dict[str, dict[str, Any]] = {}
    tables: dict[str, dict[int, list[TrainedTable]]] = {}
    for run in sweep.runs:
        member = run.member
        if member.table == "onehot":
            continue
        if not (run.directory / EMBEDDING_FILE).is_file():
            left_out.append(member.name)
            continue
        setting = {SIZE: member.size, **({} if member.table == "learned" else {TABLE: member.table}), **member.setting}
        key = setting_key(setting)
        settings[key] = setting
        tables.setdefault(key, {})[member.seed] = read_tables(run.directory)
    several = [key for key, by_seed in tables.items() if len(by_seed) > 1]
    found = [result for key in several for result in _compare(settings[key], tables[key], k, side)]
    if not found:
        why = "".join(f"; {failure.name}: {failure.error}" for failure in sweep.failures[:1])
        raise UserError(f"--workdir={workdir}: no size has tables of two seeds with results to compare; expected a sweep's directory{why}")
    return sorted(found, key=lambda result: list(map(in_order, result.setting.values()))), left_out


def _compare(setting: dict[str, Any], tables_of: Mapping[int, list[TrainedTable]], k: int, side: str | None) -> list[Stability]:
    """Compares the tables of one setting, given by seed, each side by itself."""
    found = []
    for first in next(iter(tables_of.values())):
        if side in (None, first.side):
            tables = [table for of_run in tables_of.values() for table in of_run if table.side == first.side]
            if any(table.symbols != first.symbols for table in tables):
                raise UserError(f"--workdir: the {first.side} vocabularies of {setting} differ; expected one sweep on one set of data")
            shares, nearest, rows, candidates = _overlaps(tables, k)
            chance = nearest / (candidates - 1)
            deviation = float(shares.std(ddof=1)) if len(shares) > 1 else None
            found.append(Stability(setting, first.side, list(tables_of), nearest, rows, float(shares.mean()), deviation, chance))
    return found


def _overlaps(tables: Sequence[TrainedTable], k: int) -> tuple[Float[np.ndarray, " _"], int, int, int]:
    """Returns the share of common neighbours of each pair of tables, the neighbours and rows taken, and the rows that were candidates.

    Only rows that all seeds have trained count. At most half of the other rows are taken as neighbours: all of them would always be the
    same ones.
    """
    rows = np.flatnonzero(np.logical_and.reduce([table.studied for table in tables]))
    if len(rows) < 3:
        raise UserError(f"--workdir: the {tables[0].side} table has {len(rows)} trained symbols; expected at least 3 to have neighbours")
    k = min(k, (len(rows) - 1) // 2)
    counts = tables[0].counts
    order = np.arange(len(rows)) if counts is None else np.argsort(-counts[rows], kind="stable")
    queries = order[:MOST_QUERIES]
    sets = [np.sort(neighbour_sets(table.vectors[rows], queries, k), axis=1) for table in tables]
    shares = [
        np.mean([len(np.intersect1d(a, b, assume_unique=True)) for a, b in zip(one, other, strict=True)]) / k
        for one, other in itertools.combinations(sets, 2)
    ]
    return np.array(shares), k, len(queries), len(rows)
