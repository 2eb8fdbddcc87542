"""What a sweep leaves in the run of its largest size: what a smaller size would do, without training one.

``truncated.json``: dev scored with the trained table cut to its first directions. ``pip_loss.json``: the size of word vectors that
their text alone suggests.

References: Eckart & Young 1936: the first k singular directions are the nearest table of rank k.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Float

from seq2seq_jax.config import setting_key
from seq2seq_jax.embeddings.pip_loss import as_json, estimated_size
from seq2seq_jax.errors import Interrupted, error_line
from seq2seq_jax.inference.trained_run import TrainedRun
from seq2seq_jax.json_files import readable_object, write_json
from seq2seq_jax.kinds import metric_of
from seq2seq_jax.length import has_checkpoint
from seq2seq_jax.model.build import Params, embedding_tables, table_names
from seq2seq_jax.records import PIP_LOSS_FILE, TRUNCATED_FILE
from seq2seq_jax.show.progress import shown
from seq2seq_jax.sweep.members import Member
from seq2seq_jax.sweep.outcomes import STOPPED
from seq2seq_jax.sweep.shared_corpus import corpus_of
from seq2seq_jax.train.run_directory import RunDirectory
from seq2seq_jax.train.signals import stop_signals

# By name of a table its singular value decomposition: left vectors, singular values, right vectors.
Decomposed = dict[str, tuple[Float[np.ndarray, "V rank"], Float[np.ndarray, " rank"], Float[np.ndarray, "rank D"]]]


def study_largest(members: Sequence[Member], folder: pathlib.Path) -> None:
    """Writes both files of the runs of ``largest_runs``. A failure is reported and changes no answer.

    Raises Interrupted when a signal came.
    """
    for study in STUDIES:
        try:
            with shown(f"sweep: {STUDYING}"):
                study(members, folder)
        except Interrupted:
            raise
        except Exception as error:
            print(f"warning: the table of the largest size is not studied: {error_line(error)}", file=sys.stderr)


def largest_runs(members: Sequence[Member], folder: pathlib.Path) -> list[str]:
    """Returns ``largest_of`` those that have finished: the runs in which compare looks for these files."""
    return largest_of([member for member in members if RunDirectory(folder / member.name).finished() is not None])


def largest_of(members: Sequence[Member]) -> list[str]:
    """Returns for each setting the first seed of the largest learned size."""
    by_setting: dict[str, list[Member]] = {}
    for member in members:
        if member.table == "learned":
            by_setting.setdefault(setting_key(member.setting), []).append(member)
    largest = [min(some, key=lambda member: (-member.config.model.embedding_dim, member.config.train.seed)) for some in by_setting.values()]
    return [member.name for member in largest]


def cut_tables(members: Sequence[Member], folder: pathlib.Path) -> None:
    """Writes ``truncated.json`` into the largest runs that have none, where their best checkpoint is still there.

    Raises Interrupted when a signal came.
    """
    for name in largest_runs(members, folder):
        run = RunDirectory(folder / name)
        result = run.finished()
        assert result is not None  # largest_runs() has seen it
        best = result["best_step"]
        is_current = readable_object(run.path / TRUNCATED_FILE).get("best_step") == best
        if result["dev"] is not None and has_checkpoint(run.path, best) and not is_current:
            with stop_signals() as stop:
                _cut(run, best, lambda: stop.requested)


def estimate_sizes(members: Sequence[Member], folder: pathlib.Path) -> None:
    """Writes ``pip_loss.json`` into the largest runs of word vectors that have none."""
    for name in largest_runs(members, folder):
        path = folder / name / PIP_LOSS_FILE
        config = next(member.config for member in members if member.name == name)
        if config.model.kind == "skip_gram" and not path.exists():
            write_json(path, as_json(estimated_size(config, corpus_of(config))))


STUDIES = (cut_tables, estimate_sizes)
STUDYING = "studying the table of the largest size"


def _cut(run: RunDirectory, best_step: int, stopped: Callable[[], bool]) -> None:
    """Scores dev with the tables of a run's best checkpoint cut to 1, 2, 4, ... directions, and whole."""

    def watch(how_far: str) -> None:
        del how_far
        if stopped():
            raise Interrupted(STOPPED)

    trained = TrainedRun(str(run.path))
    dev = trained.split("dev")
    name = metric_of(trained.config).name
    most = max(min(table.shape) for table in embedding_tables(trained.params).values())
    parts, points = decomposed(trained.params), []
    for count in [*(2**power for power in range(most.bit_length()) if 2**power < most), most]:
        value = trained.evaluator.evaluate(jax.device_put(truncated(trained.params, parts, count)), dev, watch).metrics[name]
        points.append({"directions": count, "value": value})
    write_json(run.path / TRUNCATED_FILE, {"best_step": best_step, "points": points})


def decomposed(params: Params) -> Decomposed:
    """Returns the singular value decomposition of every table, by its name in the parameters."""
    tables = {name: np.asarray(params[name]["table"], np.float64) for name in table_names(params)}
    return {name: np.linalg.svd(table, full_matrices=False) for name, table in tables.items()}


def truncated(params: Params, parts: Decomposed, count: int) -> Params:
    """Returns the parameters with every table cut to its first ``count`` singular directions; its shape stays."""
    tables = {name: (left[:, :count] * singular[:count]) @ right[:count] for name, (left, singular, right) in parts.items()}
    return {**params, **{name: {"table": table.astype(np.float32)} for name, table in tables.items()}}
