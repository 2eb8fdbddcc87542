"""A run directory, opened for use: the best parameters, the vocabularies and the compiled programs."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import Any, Literal

import jax

from seq2seq_jax.config import Config
from seq2seq_jax.data.corpus import load_split
from seq2seq_jax.data.examples import PairSplit, TextSplit
from seq2seq_jax.data.vocabulary import Vocabulary
from seq2seq_jax.errors import UserError
from seq2seq_jax.length import has_checkpoint
from seq2seq_jax.model.build import Params, abstract_params
from seq2seq_jax.train.checkpoints import Checkpoints, DamagedCheckpoint
from seq2seq_jax.train.devices import platform
from seq2seq_jax.train.evaluation import Evaluator, make_evaluator
from seq2seq_jax.train.programs import Scoring, initial_state, scoring
from seq2seq_jax.train.run_directory import RunDirectory
from seq2seq_jax.train.signals import undisturbed
from seq2seq_jax.train.state import TrainState


class TrainedRun:
    """A run's best parameters and what is needed to use them."""

    def __init__(self, workdir: str | os.PathLike[str]):
        """Reads a run directory. Raises UserError where there is no trained run."""
        self.directory = RunDirectory(pathlib.Path(workdir))
        record = self.directory.begun()
        self.config, self.data_sha256, self.output_limit = record.config, record.data_sha256, record.output_limit
        self.vocabularies: dict[str, Vocabulary] = self.directory.vocabularies(self.config.model.kind)
        sizes = {side: len(vocabulary) for side, vocabulary in self.vocabularies.items()}
        platform()  # first, since it says what is wrong where no device starts
        self.programs: Scoring = scoring(self.config, sizes, self.output_limit, record.batch_shapes)
        with undisturbed():  # Orbax would take an interrupt for a checkpoint that is not whole
            params = _best_params(self.directory, self.config, sizes, self.programs)
        self.params: Params = jax.device_put(params)  # once, not at every batch
        # The shapes of training again: what was compiled for it is on disk, and a score is the same to the last digit.
        self.evaluator: Evaluator = make_evaluator(self.config, self.programs, self.vocabularies, record.batch_shapes)

    def split(self, name: Literal["dev", "test"], file: str | None = None, notes: list[str] | None = None) -> PairSplit | TextSplit:
        """Reads a split of the run's data again, or ``file`` in its place, as ``corpus.load_split`` does."""
        return load_split(self.config, name, file, vocabularies=self.vocabularies, recorded=self.data_sha256, notes=notes)


def _best_params(directory: RunDirectory, config: Config, sizes: dict[str, int], compiled: Scoring) -> Params:
    """Returns the parameters of the run's best step so far; of a finished run of that which its result names, whatever came later."""
    # As training makes it, but for its values: only the shapes are looked at.
    like = jax.eval_shape(lambda params: initial_state(config, compiled.structure, params), abstract_params(config.model, sizes))
    checkpoints, where = Checkpoints(directory.checkpoints), f"--workdir={directory.path}"
    result = directory.finished()
    try:
        if result is not None:
            if not has_checkpoint(directory.path, result["best_step"]):
                raise UserError(
                    f"{where}: the run has finished and its best checkpoint is not there: it was removed, or not kept "
                    "(--keep=last or none); expected a run with its best checkpoint"
                )
            return checkpoints.load(result["best_step"], like)[0].evaluated
        state, progress = _newest(checkpoints, like, where)
        best = progress["best_step"]
        return (state if best in (None, int(state.step)) else checkpoints.load(best, like)[0]).evaluated
    except DamagedCheckpoint as error:
        raise UserError(f"{where}: the best checkpoint is damaged ({error}); the command that trained it makes it again") from error


def _newest(checkpoints: Checkpoints, like: TrainState, where: str) -> tuple[TrainState, dict[str, Any]]:
    """Returns the newest checkpoint that can be read, and says of damaged ones. Raises UserError where there is none."""
    damaged: list[str] = []
    newest = checkpoints.load_newest(like, damaged.append)
    if newest is None:
        again = f"{damaged[0]}; the command that trained it makes it again" if damaged else None
        raise UserError(f"{where}: {again or 'there is no checkpoint yet; train the run first'}")
    for note in damaged:
        print(f"{where.removeprefix('--workdir=')}: {note}", file=sys.stderr)
    return newest
