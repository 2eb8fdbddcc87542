"""A table written for other tools: every row with its symbol."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from seq2seq_jax.data import vectors
from seq2seq_jax.embeddings.tables import open_table
from seq2seq_jax.files import write_file


def run(options: Mapping[str, Any]) -> None:
    """Writes a table in the form that is asked for, and prints where."""
    table, output = open_table(options), options["output"]
    path, rows = pathlib.Path(output), (table.symbols, table.vectors.astype(np.float32))
    counts = None if table.counts is None else table.counts.tolist()
    writers = {
        "word2vec": lambda: vectors.write_word2vec(path, *rows, binary=False),
        "word2vec-binary": lambda: vectors.write_word2vec(path, *rows, binary=True),
        "projector": lambda: vectors.write_projector(path, *rows, counts),
        "npz": lambda: vectors.write_npz(path, *rows, counts),
    }
    write_file(writers[options["format"]], "--output", output)
    print(output)
