"""The size of word vectors estimated from a run's text: what ``launch.py embeddings pip_loss`` prints and a sweep leaves for compare.

Read next: ``size_estimate.py``, where the estimate is made.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from seq2seq_jax.config import Config
from seq2seq_jax.data.corpus import Corpus, check_recorded, load_corpus
from seq2seq_jax.data.examples import TextSplit
from seq2seq_jax.data.windows import unit_counts, units_of
from seq2seq_jax.embeddings.size_estimate import SizeEstimate, estimate_size
from seq2seq_jax.errors import UserError
from seq2seq_jax.records import CONFIG_FILE, read_config
from seq2seq_jax.show.progress import shown
from seq2seq_jax.show.terminal import print_json, print_table

NO_ESTIMATE = "no singular value of the co-occurrences rises above the noise; a longer text has less of it"
NO_INFORMATION = "no two symbols are neighbours so much more often than chance that the negatives leave some; fewer leave more"


def estimated_size(config: Config, corpus: Corpus) -> SizeEstimate:
    """Estimates the best size of the vectors of a skip-gram's training text, with its window and negatives."""
    vocabulary, split = corpus.vocabularies["target"], corpus.train
    assert isinstance(split, TextSplit)  # what a skip-gram reads
    assert vocabulary.counts is not None
    counts = unit_counts(vocabulary.counts, vocabulary.line_break)
    rank = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")
    units, lines = units_of(split.ids, counts, vocabulary.line_break)
    return estimate_size(rank[units], lines, config.data.window, config.model.negatives)


def as_json(estimate: SizeEstimate) -> dict[str, Any]:
    """Returns what a file or a program is told of an estimate; ``reason`` says why there is none."""
    losses = [{"embedding_dim": size, "pip_loss": float(loss)} for size, loss in enumerate(estimate.losses)]
    figures = {"symbols": estimate.units, "noise": estimate.noise, "losses": losses}
    return {"embedding_dim": estimate.size, "reason": _reason(estimate), **figures}


def _reason(estimate: SizeEstimate) -> str | None:
    """Returns why there is no estimate, None where there is one. Without any information there is no noise either."""
    if estimate.size is not None:
        return None
    return NO_ESTIMATE if estimate.noise else NO_INFORMATION


def run(options: Mapping[str, Any]) -> None:
    """Prints the size of least expected PIP loss for the text of a run of word vectors. Raises UserError for another one."""
    workdir = options["workdir"]
    file = pathlib.Path(workdir) / CONFIG_FILE
    if not file.exists():
        raise UserError(f"--workdir={workdir}: there is no run here; expected a run of word vectors, or a member of a sweep of them")
    record = read_config(file)
    config = record.config
    if config.model.kind != "skip_gram":
        raise UserError(f"--workdir={workdir}: expected a run of word vectors (model.kind=skip_gram), this is a {config.model.kind}")
    corpus = load_corpus(config)
    check_recorded(record.data_sha256, corpus.sha256, corpus.paths)
    with shown("embeddings: counting neighbours and taking singular values"):
        estimate = estimated_size(config, corpus)
    if options["format"] == "json":
        print_json(as_json(estimate))
        return
    if estimate.size is None:
        print(f"There is no estimate: {_reason(estimate)}.")
        return
    listed = sorted({size for power in range(20) if (size := 2**power) < len(estimate.losses)} | {estimate.size, len(estimate.losses) - 1})
    print_table(("size", "expected PIP loss"), [[f"{size:,}", f"{estimate.losses[size]:.1f}"] for size in listed], 0)
    print(f"Least at {estimate.size}, judged by the {estimate.units:,} most frequent symbols.")
