"""How far the neighbourhoods of a table depend on the seed: the share of nearest neighbours that two seeds have in common.

References: Antoniak & Mimno 2018, "Evaluating the stability of embedding-based word similarities".
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from seq2seq_jax.config import SEED
from seq2seq_jax.embeddings.neighbours import neighbour_sets
from seq2seq_jax.embeddings.printing import print_json, print_rows
from seq2seq_jax.embeddings.tables import Table, read_tables
from seq2seq_jax.errors import UserError

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
    found = stability(options["workdir"], options["k"], options["table"])
    if options["format"] == "json":
        print_json({"groups": [_as_json(result) for result in found]})
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
    print_rows(("setting", "table", "seeds", "nearest", "in common", "by chance"), rows, left=2)


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


def stability(workdir: str, k: int, side: str | None = None) -> list[Stability]:
    """Compares the neighbours over the seeds of each setting of a sweep, the smallest size first.

    Raises UserError where no setting has tables of two seeds.
    """
    groups: dict[str, list[tuple[dict[str, Any], list[Table]]]] = {}
    for path in sorted(pathlib.Path(workdir).glob("*/embedding.npz")):
        varied = _varied(path.parent)
        if varied is not None:
            setting = {name: value for name, value in varied.items() if name != SEED}
            groups.setdefault(json.dumps(setting, sort_keys=True), []).append((varied, read_tables(path.parent)))
    found = [result for group in groups.values() if len(group) > 1 for result in _compare(group, k, side)]
    if not found:
        raise UserError(f"--workdir={workdir}: no size has finished tables of two seeds; expected a sweep's directory")
    return sorted(found, key=lambda result: [(str(type(value)), value) for value in result.setting.values()])


def _varied(directory: pathlib.Path) -> dict[str, Any] | None:
    """Returns the values that tell a finished run from the others of its sweep."""
    try:
        result = json.loads((directory / "result.json").read_text(encoding="utf-8"))
        return dict(result["varied"]) if result["status"] == "finished" and SEED in result["varied"] else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{directory / 'result.json'}: damaged ({error}); expected the result of a run") from None


def _compare(group: Sequence[tuple[dict[str, Any], list[Table]]], k: int, side: str | None) -> list[Stability]:
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


def _overlaps(tables: Sequence[Table], k: int) -> tuple[Float[np.ndarray, " _"], int, int, int]:
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
