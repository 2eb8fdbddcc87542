"""What a finished run leaves behind for people and for tools without JAX: result, tables, example outputs, scores."""

from __future__ import annotations

import io
import json
import pathlib
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import FORMAT_VERSION, Config
from seq2seq_jax.data.corpus import Corpus, lookup_counts
from seq2seq_jax.data.examples import PairSplit, TextSplit
from seq2seq_jax.errors import error_line, is_explained
from seq2seq_jax.files import write_atomically
from seq2seq_jax.json_files import write_json
from seq2seq_jax.kinds import metric_of
from seq2seq_jax.length import Length, length_made
from seq2seq_jax.model.build import Params, embedding_tables
from seq2seq_jax.records import DEV_SCORES_FILE, EMBEDDING_FILE, SAMPLES_FILE
from seq2seq_jax.train.evaluation import Evaluation
from seq2seq_jax.train.pretrained import Pretrained
from seq2seq_jax.train.run_directory import RunDirectory, versions

SAMPLES = 20  # dev examples written out


class Figures(NamedTuple):
    """What result.json says of a finished run, key by key; of another run all of them are null."""

    dev: Mapping[str, Any] | None = None
    test: Mapping[str, Any] | None = None
    best_step: int | None = None
    steps: int | None = None
    train_seconds: float | None = None
    trained_together: int | None = None
    tokens_per_second: float | None = None
    decoded_examples_per_second: float | None = None
    parameters: Mapping[str, int] | None = None
    pretrained: Mapping[str, Any] | None = None
    length: Mapping[str, int | None] | None = None
    rescheduled_at: Sequence[int] | None = None
    run_sha256: str | None = None


NOTHING = Figures()


def result_of(
    status: str, config: Config, varied: Mapping[str, Any], error: str | None = None, figures: Figures = NOTHING
) -> dict[str, Any]:
    """Returns the content of result.json: all that a comparison needs of a run."""
    return {
        "format": FORMAT_VERSION,
        "status": status,
        "error": error,
        "varied": dict(varied),
        "metric": metric_of(config).to_json(),
        **figures._asdict(),
        "config_sha256": config_lib.config_sha256(config),
        "versions": versions(),
        # Whoever writes down a failure may not be who trained: it would open devices for it, or find none.
        "device": None if status == "failed" else jax.devices()[0].platform,
    }


def explain(directory: RunDirectory, error: Exception) -> str:
    """Returns an error as one line; where that does not say enough, traceback.txt does, which it writes if there is a place for it."""
    line, file = error_line(error), directory.traceback_file
    try:
        if is_explained(error):
            file.unlink(missing_ok=True)
            return line
        directory.path.mkdir(exist_ok=True)
        write_atomically(file, "".join(traceback.format_exception(error)).encode("utf-8", "backslashreplace"))
    except OSError:
        return line
    return f"{line} (in {file.name}: where it came from)"


def write_failure(directory: RunDirectory, config: Config, varied: Mapping[str, Any], error: str, length: Length) -> None:
    """Writes that a run failed, and why. What has finished stays: at this length as it is, at another with a note of this failure."""
    finished = directory.finished()
    if finished is None:
        write_json(directory.result_file, result_of("failed", config, varied, error=error))
    elif length_made(finished)[:2] not in ((None, None), length[:2]):
        failed = {"steps": length.steps, "epochs": length.epochs, "error": error}
        write_json(directory.result_file, finished | {"failed_longer": failed})


def write_embeddings(
    folder: pathlib.Path, params: Params, initial: Mapping[str, Float[np.ndarray, "V D"]], corpus: Corpus, pretrained: Pretrained | None
) -> None:
    """Writes embedding.npz, what there is to know of each side's table; nothing where it is one-hot.

    Args:
      folder: the run directory.
      params: the best ones.
      initial: the tables before the first update, by side.
      corpus: what was trained on.
      pretrained: the vectors that a table began with.
    """
    arrays: dict[str, Any] = {}
    counts = lookup_counts(corpus)
    for side, table in embedding_tables(params).items():
        vocabulary = corpus.vocabularies[side]
        arrays[f"{side}_table"] = np.asarray(table)
        arrays[f"{side}_symbols"] = np.array(json.dumps(vocabulary.symbols, ensure_ascii=False))
        arrays[f"{side}_unit"] = np.array(vocabulary.unit)
        arrays[f"{side}_counts"] = counts[side]
        arrays[f"{side}_moved"] = np.linalg.norm(np.asarray(table, np.float64) - initial[side], axis=1)
        if pretrained is not None and side in pretrained.sides:
            arrays[f"{side}_given"] = pretrained.mask(len(vocabulary))
    write_arrays(folder / EMBEDDING_FILE, arrays)


def write_outputs(folder: pathlib.Path, split: PairSplit | TextSplit, evaluation: Evaluation) -> None:
    """Writes samples.jsonl, examples spread evenly over dev, and dev_scores.npz, the metric of every example of dev."""
    if isinstance(split, PairSplit):
        places = np.unique(np.linspace(0, len(split.sources) - 1, SAMPLES).astype(int))
        rows = [{"source": split.sources[i], "references": split.targets[i], "output": evaluation.outputs[i]} for i in places]
        write_atomically(folder / SAMPLES_FILE, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    if evaluation.scores is not None:
        write_arrays(folder / DEV_SCORES_FILE, evaluation.scores._asdict())


def write_arrays(path: pathlib.Path, arrays: dict[str, Any]) -> None:
    """Replaces an npz archive in one move: a longer training rewrites the files of a run whose result is in use."""
    archive = io.BytesIO()
    np.savez(archive, **arrays)
    write_atomically(path, archive.getvalue())
