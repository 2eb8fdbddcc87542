"""What a finished run leaves behind for people and for tools without JAX: result, tables, example outputs, scores."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import FORMAT_VERSION, Config
from seq2seq_jax.data.corpus import PairSplit, TextSplit
from seq2seq_jax.data.vocabulary import Vocabulary
from seq2seq_jax.model.build import Params, embedding_tables
from seq2seq_jax.train.evaluation import Evaluation
from seq2seq_jax.train.run_directory import versions, write_atomically
from seq2seq_jax.train.state import parameter_counts

SAMPLES = 20  # dev examples written out


def result_of(
    status: str,
    config: Config,
    varied: Mapping[str, Any],
    error: str | None = None,
    params: Params | None = None,
    dev: Mapping[str, Any] | None = None,
    test: Mapping[str, Any] | None = None,
    best_step: int | None = None,
    steps: int | None = None,
    train_seconds: float | None = None,
    tokens_per_second: float | None = None,
    decoded_examples_per_second: float | None = None,
) -> dict[str, Any]:
    """Returns the content of result.json: all that a comparison needs of a run; null where a failed run has no value."""
    metric = config_lib.metric_of(config)
    return {
        "format": FORMAT_VERSION,
        "status": status,
        "error": error,
        "varied": dict(varied),
        "metric": {"name": metric.name, "unit": metric.unit, "lower_is_better": metric.lower_is_better, "tolerance": metric.tolerance},
        "dev": dev,
        "test": test,
        "best_step": best_step,
        "steps": steps,
        "train_seconds": train_seconds,
        "tokens_per_second": tokens_per_second,
        "decoded_examples_per_second": decoded_examples_per_second,
        "parameters": None if params is None else parameter_counts(params),
        "config_sha256": config_lib.config_sha256(config),
        "versions": versions(),
        "device": jax.devices()[0].platform,
    }


def write_embeddings(folder: pathlib.Path, params: Params, vocabularies: Mapping[str, Vocabulary]) -> None:
    """Writes embedding.npz: each side's table [V, D] and, as one JSON text, the symbols of its rows; no table where it is one-hot."""
    arrays: dict[str, Any] = {}
    for side, table in embedding_tables(params).items():
        arrays[f"{side}_table"] = np.asarray(table)
        arrays[f"{side}_symbols"] = np.array(json.dumps(vocabularies[side].symbols, ensure_ascii=False))
    np.savez(folder / "embedding.npz", **arrays)


def write_outputs(folder: pathlib.Path, split: PairSplit | TextSplit, evaluation: Evaluation) -> None:
    """Writes samples.jsonl, examples spread evenly over dev, and dev_scores.npz, the metric of every example of dev."""
    if isinstance(split, PairSplit):
        places = np.unique(np.linspace(0, len(split.sources) - 1, SAMPLES).astype(int))
        rows = [{"source": split.sources[i], "references": split.targets[i], "output": evaluation.outputs[i]} for i in places]
        write_atomically(folder / "samples.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    if evaluation.scores is not None:
        np.savez(folder / "dev_scores.npz", amounts=evaluation.scores[0], sizes=evaluation.scores[1])
