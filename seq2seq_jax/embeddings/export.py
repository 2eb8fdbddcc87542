"""A table written for other tools, every row with its symbol: the forms of ``data/vectors.py``, TensorBoard's projector, and ``.npz``.

Numbers are written with as many digits as bring the same 32-bit float back.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from seq2seq_jax.data.spelling import spellings
from seq2seq_jax.embeddings.tables import open_table
from seq2seq_jax.files import writing


def run(options: Mapping[str, Any]) -> None:
    """Writes a table in the form that is asked for, and prints where."""
    table, output = open_table(options), options["output"]
    path, rows = pathlib.Path(output), (table.symbols, table.vectors.astype(np.float32))
    counts = None if table.counts is None else table.counts.tolist()
    writers = {
        "word2vec": lambda: write_word2vec(path, *rows, binary=False),
        "word2vec-binary": lambda: write_word2vec(path, *rows, binary=True),
        "projector": lambda: write_projector(path, *rows, counts),
        "npz": lambda: write_npz(path, *rows, counts),
    }
    with writing("--output", output):
        writers[options["format"]]()
    print(output)


def write_word2vec(path: pathlib.Path, symbols: Sequence[str], table: Float[np.ndarray, "V D"], binary: bool) -> None:
    """Writes a vocabulary's table in word2vec's form, text or binary."""
    names = spellings(symbols)
    with open(path, "wb") as file:
        file.write(b"%d %d\n" % table.shape)
        for name, row in zip(names, np.asarray(table, "<f4"), strict=True):
            file.write(name.encode() + b" ")
            file.write(row.tobytes() + b"\n" if binary else b" ".join(str(value).encode() for value in row) + b"\n")


def write_projector(folder: pathlib.Path, symbols: Sequence[str], table: Float[np.ndarray, "V D"], counts: Sequence[int] | None) -> None:
    """Writes ``vectors.tsv``, ``metadata.tsv`` and the file by which ``tensorboard --logdir=FOLDER`` finds them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["\t".join(map(str, row)) for row in np.asarray(table, np.float32)]
    names = spellings(symbols)
    labelled = names if counts is None else ["symbol\tcount", *(f"{name}\t{count}" for name, count in zip(names, counts, strict=True))]
    config = 'embeddings {\n  tensor_path: "vectors.tsv"\n  metadata_path: "metadata.tsv"\n}\n'
    for name, text in (("vectors.tsv", _lines(rows)), ("metadata.tsv", _lines(labelled)), ("projector_config.pbtxt", config)):
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def write_npz(path: pathlib.Path, symbols: Sequence[str], table: Float[np.ndarray, "V D"], counts: Sequence[int] | None) -> None:
    """Writes ``table``, ``symbols`` (one JSON text, unescaped) and, where they are known, ``counts``."""
    arrays: dict[str, Any] = {"table": np.asarray(table, np.float32), "symbols": np.array(json.dumps(list(symbols), ensure_ascii=False))}
    if counts is not None:
        arrays["counts"] = np.asarray(counts)
    with open(path, "wb") as file:  # np.savez would add .npz to another name
        np.savez(file, **arrays)


def _lines(rows: Sequence[str]) -> str:
    return "".join(f"{row}\n" for row in rows)
