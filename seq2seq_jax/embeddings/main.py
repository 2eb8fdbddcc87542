"""What ``launch.py embeddings`` does but for ``trace``: answers a question about a run's tables and prints it. No JAX.

Read next: ``tables.py`` for what is read; each question has a file of its own.
"""

from __future__ import annotations

import json
import os
import pathlib
import textwrap
from collections.abc import Sequence
from typing import Any, Literal

# One thread: the matrices are small, and on a busy machine OpenBLAS's threads wait for each other for seconds.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from seq2seq_jax.data import vectors
from seq2seq_jax.embeddings.neighbours import Neighbour, analogy, neighbours
from seq2seq_jax.embeddings.norms import bands, known_counts
from seq2seq_jax.embeddings.spectrum import CARRIED, directions, effective_rank, squared_singular_values
from seq2seq_jax.embeddings.stability import Stability, stability
from seq2seq_jax.embeddings.tables import Table, choose, read_tables
from seq2seq_jax.errors import UserError
from seq2seq_jax.evaluate.word_vectors import rank_correlation

Format = Literal["table", "json"]
Side = Literal["source", "target"]
MOST_VALUES = 16  # singular values that are printed; JSON has all
EXAMPLES = 8  # symbols named beside a band
WIDTH = 80  # of sentences, columns


def open_table(workdir: str, side: Side | None) -> Table:
    """Returns a run's table of a side, by default the source's or the only one. Raises UserError."""
    return choose(read_tables(pathlib.Path(workdir)), side, workdir)


def open_trained(workdir: str, side: Side | None) -> Table:
    """Returns a run's table of a side, as ``open_table``. Raises UserError also where it has no row to look at."""
    table = open_table(workdir, side)
    if not table.studied.any():
        raise UserError(f"--workdir={workdir}: no row of the {table.side} table was trained; expected a table to look at")
    return table


def show_neighbours(workdir: str, symbol: str, k: int, side: Side | None, format: Format) -> None:
    """Prints the rows nearest to a symbol's."""
    table = open_table(workdir, side)
    row = table.row_of(symbol, "--symbol")
    _show_rows(table, {"symbol": table.symbols[row]}, neighbours(table, row, k), f"Nearest to {table.label(row)}", format)


def show_analogy(workdir: str, a: str, b: str, c: str, k: int, side: Side | None, format: Format) -> None:
    """Prints what is to c as b is to a."""
    table = open_table(workdir, side)
    first, second, third = (table.row_of(typed, flag) for typed, flag in ((a, "--a"), (b, "--b"), (c, "--c")))
    asked = {"a": table.symbols[first], "b": table.symbols[second], "c": table.symbols[third]}
    title = f"{table.label(first)} is to {table.label(second)} as {table.label(third)} is to"
    _show_rows(table, asked, analogy(table, first, second, third, k), title, format)


def _show_rows(table: Table, asked: dict[str, Any], found: Sequence[Neighbour], title: str, format: Format) -> None:
    counts = table.counts
    read = [None if counts is None else int(counts[near.row]) for near in found]
    if format == "json":
        rows = [{"symbol": table.symbols[near.row], "cosine": near.cosine, "count": count} for near, count in zip(found, read, strict=True)]
        return _print_json({"table": table.side, **asked, "neighbours": rows})
    rows = [
        [table.label(near.row), f"{near.cosine:.3f}", "-" if count is None else f"{count:,}"]
        for near, count in zip(found, read, strict=True)
    ]
    print(f"{title} ({_described(table)}):")
    return _print_rows(("symbol", "cosine", "reads an epoch"), rows, left=1)


def show_spectrum(workdir: str, side: Side | None, format: Format) -> None:
    """Prints the singular values of a table, and how many directions it uses beside a table drawn at random."""
    table = open_trained(workdir, side)
    rows = table.vectors[table.studied]
    squares = squared_singular_values(rows)
    drawn = np.random.default_rng(0).normal(size=rows.shape)
    of = {"table": (effective_rank(rows), directions(rows)), "random": (effective_rank(drawn), directions(drawn))}
    if format == "json":
        figures = {name: {"effective_rank": rank, "directions": count} for name, (rank, count) in of.items()}
        shape = {"table": table.side, "rows": len(rows), "columns": rows.shape[1], "carried": CARRIED}
        return _print_json(
            {**shape, "singular_values": np.sqrt(squares).tolist(), "learned": figures["table"], "random": figures["random"]}
        )
    shares = squares / max(squares.sum(), np.finfo(float).tiny)
    shown = [
        [str(place + 1), f"{np.sqrt(square):.3g}", f"{share:.1%}", f"{total:.1%}", "█" * round(40 * share / shares[0])]
        for place, (square, share, total) in enumerate(zip(squares, shares, np.cumsum(shares), strict=True))
    ]
    which = "trained rows" if table.moved is not None and table.moved.any() else "rows without the specials"
    print(f"Singular values of the {_described(table)}, {len(rows)} {which}:")
    _print_rows(("direction", "value", "share", "together", ""), shown[:MOST_VALUES], left=0, last_left=True)
    if len(shown) > MOST_VALUES:
        print(f"and {len(shown) - MOST_VALUES} smaller ones")
    (rank, count), (rank_drawn, count_drawn) = of["table"], of["random"]
    return _say(
        f"{count} of {len(shown)} directions carry {CARRIED:.0%} of the sum of squares; effective rank {rank:.1f}. "
        f"A table of this shape drawn at random: {count_drawn} directions, effective rank {rank_drawn:.1f}."
    )


def show_norms(workdir: str, side: Side | None, format: Format) -> None:
    """Prints how long rows are and how far they moved against how often they are read, and which never moved."""
    table = open_table(workdir, side)
    counts, moved = known_counts(table)
    norms = np.linalg.norm(table.vectors, axis=1)
    read = counts > 0
    correlations = {name: rank_correlation(counts[read], values[read]) for name, values in (("norm", norms), ("moved", moved))}
    still = np.flatnonzero(moved == 0).tolist()
    if format == "json":
        rows = [
            {"symbol": symbol, "count": int(count), "norm": float(norm), "moved": float(distance)}
            for symbol, count, norm, distance in zip(table.symbols, counts, norms, moved, strict=True)
        ]
        never = [table.symbols[row] for row in still]
        return _print_json({"table": table.side, "rank_correlation": correlations, "never_updated": never, "rows": rows})
    shown = [
        [
            "never" if band.high == 0 else f"{band.low:,} to {band.high:,}",
            f"{len(band.rows):,}",
            f"{band.norm:.2f} ± {band.norm_deviation:.2f}",
            f"{band.moved:.2f}",
            " ".join(map(table.label, band.rows[:EXAMPLES])) + (" …" if len(band.rows) > EXAMPLES else ""),
        ]
        for band in bands(table)
    ]
    print(f"Rows of the {_described(table)} by how often an epoch reads them:")
    _print_rows(("reads", "rows", "norm", "moved", "symbols"), shown, left=0, last_left=True)
    written = {name: "not defined" if value is None else f"{value:+.2f}" for name, value in correlations.items()}
    _say(f"Rank correlation of reads with the norm {written['norm']}, with the distance moved {written['moved']} (rows that are read).")
    named = ", ".join(map(table.label, still[:EXAMPLES])) + (" …" if len(still) > EXAMPLES else "")
    _say(f"{len(still)} of {len(norms)} rows were never updated: {named}." if still else f"Every one of the {len(norms)} rows was updated.")
    return None


def show_stability(workdir: str, k: int, side: Side | None, format: Format) -> None:
    """Prints for each size of a sweep the share of nearest neighbours that two seeds have in common."""
    found = stability(workdir, k, side)
    if format == "json":
        return _print_json({"groups": [_as_json(result) for result in found]})
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
    return _print_rows(("setting", "table", "seeds", "nearest", "in common", "by chance"), rows, left=2)


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


def draw_map(workdir: str, side: Side | None, figure: str) -> None:
    """Writes the map of a table as SVG and prints where."""
    table = open_trained(workdir, side)
    from seq2seq_jax.embeddings.map import symbol_map  # Matplotlib is not needed for the other questions

    path = pathlib.Path(figure)
    write_file(lambda: path.write_text(symbol_map(table).svg(), encoding="utf-8"), "--figure", figure)
    print(figure)


def export(workdir: str, side: Side | None, format: str, output: str) -> None:
    """Writes a table in a form that other tools read, every row with its symbol, and prints where."""
    table = open_table(workdir, side)
    path, rows = pathlib.Path(output), (table.symbols, table.vectors.astype(np.float32))
    counts = None if table.counts is None else table.counts.tolist()
    writers = {
        "word2vec": lambda: vectors.write_word2vec(path, *rows, binary=False),
        "word2vec-binary": lambda: vectors.write_word2vec(path, *rows, binary=True),
        "projector": lambda: vectors.write_projector(path, *rows, counts),
        "npz": lambda: vectors.write_npz(path, *rows, counts),
    }
    write_file(writers[format], "--output", output)
    print(output)


def write_file(write: Any, flag: str, path: str) -> None:
    """Calls ``write``. Raises UserError, naming the ``flag``, where the file cannot be written."""
    try:
        write()
    except OSError as error:
        raise UserError(f"{flag}={path}: cannot be written: {error.strerror}; expected a place for a file") from None


def _described(table: Table) -> str:
    return f"{table.side} table of {len(table.symbols):,} rows and {table.vectors.shape[1]} columns"


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def _print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int, last_left: bool = False) -> None:
    from seq2seq_jax.show.terminal import print_table  # rich is not needed for JSON

    print_table(columns, rows, left, last_left=last_left)


def _say(text: str) -> None:
    print(textwrap.fill(text, WIDTH))
