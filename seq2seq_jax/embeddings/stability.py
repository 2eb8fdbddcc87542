"""How far the neighbourhoods of a table depend on the seed: the share of nearest neighbours that two seeds have in common.

References: Antoniak & Mimno 2018, "Evaluating the stability of embedding-based word similarities".
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from seq2seq_jax.config import SEED, in_order, setting_key
from seq2seq_jax.embeddings.neighbours import neighbour_sets
from seq2seq_jax.embeddings.tables import TrainedTable, read_tables
from seq2seq_jax.errors import UserError
from seq2seq_jax.length import length_of, of_other_length, standing
from seq2seq_jax.records import CONFIG_FILE, EMBEDDING_FILE, RESULT_FILE, SWEEP_FILE, read_config, read_result, read_sweep_record
from seq2seq_jax.show.terminal import print_json, print_sentence, print_table

MOST_QUERIES = 1000  # rows whose neighbours are compared, the most read ones


@dataclasses.dataclass(frozen=True)
class Stability:
    """The neighbourhoods of one table over the seeds of one size.

    Attributes:
      setting: what the sweep varies besides the seed.
      side: of the table.
      seeds: that were compared, each with each.
      k: neighbours of a row.
      rows: whose neighbours are compared.
      overlap: mean share of neighbours that two seeds have in common, 0 to 1.
      deviation: standard deviation of this share over the pairs of seeds; None where there is one.
      chance: share that neighbours drawn at random have in common on average.
    """

    setting: dict[str, Any]
    side: str
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
        print_json({"groups": [_as_json(result) for result in found], "left_out": left_out})
        return
    rows = [
        [
            ", ".join(f"{name.split('.')[-1]}={value}" for name, value in result.setting.items()) or "-",
            result.side,
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
        print_sentence(f"Left out, trained for other steps or epochs than the sweep asks for now: {', '.join(left_out)}.")


def _as_json(result: Stability) -> dict[str, Any]:
    return {
        "setting": result.setting,
        "table": result.side,
        "seeds": result.seeds,
        "k": result.k,
        "rows": result.rows,
        "overlap": result.overlap,
        "deviation": result.deviation,
        "chance": result.chance,
    }


def stability(workdir: str, k: int, side: str | None = None) -> tuple[list[Stability], list[str]]:
    """Compares the neighbours over the seeds of each setting of a sweep, the smallest size first.

    Returns also the names of runs that are left out: those that compare leaves out for their length.

    Raises UserError where no setting has tables of two seeds.
    """
    groups: dict[str, list[tuple[dict[str, Any], list[TrainedTable]]]] = {}
    runs, left_out = _finished(pathlib.Path(workdir))
    for path, varied in runs:
        setting = {name: value for name, value in varied.items() if name != SEED}
        groups.setdefault(setting_key(setting), []).append((varied, read_tables(path)))
    found = [result for group in groups.values() if len(group) > 1 for result in _compare(group, k, side)]
    if not found:
        raise UserError(f"--workdir={workdir}: no size has finished tables of two seeds; expected a sweep's directory")
    return sorted(found, key=lambda result: list(map(in_order, result.setting.values()))), left_out


def _finished(root: pathlib.Path) -> tuple[list[tuple[pathlib.Path, dict[str, Any]]], list[str]]:
    """Returns the finished runs of a sweep that have a table, each with the values that tell it from the others.

    Those are left out, and named, that have another length than the sweep asks for now, unless all have. Without sweep.json every
    run in the directory counts.
    """
    record = read_sweep_record(root / SWEEP_FILE) if (root / SWEEP_FILE).is_file() else None
    entries = {entry["name"]: entry for entry in (record["members"] if record else ())}
    runs, standings = {}, {}
    for path in sorted(path.parent for path in root.glob(f"*/{EMBEDDING_FILE}")):
        result = read_result(path / RESULT_FILE)
        if result is None or result["status"] != "finished":
            continue
        varied, planned = result["varied"], entries.get(path.name, {}).get("varied", {})
        if not isinstance(varied, dict) or SEED not in varied or (record and path.name not in entries):
            continue
        if any(varied.get(field, value) != value for field, value in planned.items()):  # a copy of another member's directory
            continue
        runs[path.name] = (path, varied)
        made = read_config(path / CONFIG_FILE).length if (path / CONFIG_FILE).exists() else None
        standings[path.name] = standing(path, result, made, length_of(record, entries.get(path.name)))
    left_out = list(of_other_length(standings))
    return [run for name, run in runs.items() if name not in left_out], left_out


def _compare(group: Sequence[tuple[dict[str, Any], list[TrainedTable]]], k: int, side: str | None) -> list[Stability]:
    """Compares the tables of one setting, each side by itself."""
    seeds = [varied[SEED] for varied, _ in group]
    setting = {name: value for name, value in group[0][0].items() if name != SEED}
    found = []
    for first in group[0][1]:
        if side in (None, first.side):
            tables = [table for _, of_run in group for table in of_run if table.side == first.side]
            if any(table.symbols != first.symbols for table in tables):
                raise UserError(f"--workdir: the {first.side} vocabularies of {setting} differ; expected one sweep on one set of data")
            shares, nearest, rows, candidates = _overlaps(tables, k)
            chance = nearest / (candidates - 1)
            deviation = float(shares.std(ddof=1)) if len(shares) > 1 else None
            found.append(Stability(setting, first.side, seeds, nearest, rows, float(shares.mean()), deviation, chance))
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
