"""How files are written: whole or not at all."""

from __future__ import annotations

import dataclasses
import os
import pathlib

import numpy as np
import pytest

from seq2seq_jax.compare.comparison import compare_sweeps
from seq2seq_jax.compare.reading import read_sweep
from seq2seq_jax.compare.report import write_report
from seq2seq_jax.data.vocabulary import SPECIALS, Vocabulary
from seq2seq_jax.files import write_atomically
from seq2seq_jax.json_files import write_json
from seq2seq_jax.train.artifacts import write_arrays
from tests.sweep_fixture import write_sweep


def save_vocabulary(folder: pathlib.Path, text: str) -> None:
    Vocabulary([*SPECIALS, text], "word").save(folder, "source")


def report(folder: pathlib.Path, text: str) -> None:
    workdir = str(folder / "sweep") if (folder / "sweep").exists() else write_sweep(folder / "sweep", {4: [0.5]})
    sweep = dataclasses.replace(read_sweep(workdir), command=text)
    write_report([sweep], compare_sweeps([sweep]))


WRITERS = {
    "text": lambda folder, text: write_atomically(folder / "a.txt", text),
    "json": lambda folder, text: write_json(folder / "a.json", text),
    "arrays": lambda folder, text: write_arrays(folder / "a.npz", {"a": np.array(text)}),
    "vocabulary": save_vocabulary,
    "report": report,
}


@pytest.mark.parametrize(
    ("writer", "fails"), [(writer, fails) for writer in WRITERS for fails in ("fsync", "replace") if (writer, fails) != ("report", "fsync")]
)
def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch, writer, fails):
    """Red if a file is written in its place, without a wish that it be on disk before it gets there, or half of it stays beside it."""

    def written() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    WRITERS[writer](tmp_path, "old")
    before = written()
    assert before

    def refuse(*arguments: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, fails, refuse)
    with pytest.raises(OSError, match="No space left"):
        WRITERS[writer](tmp_path, "something else")
    assert written() == before
    monkeypatch.undo()
    WRITERS[writer](tmp_path, "something else")
    assert written() != before
