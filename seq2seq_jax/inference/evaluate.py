"""``evaluate``: finished runs in, scores out. Nothing is written."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Literal

from seq2seq_jax.config import LENGTH_PENALTY
from seq2seq_jax.data.coverage import unknown_units
from seq2seq_jax.data.examples import PairSplit
from seq2seq_jax.evaluate.metrics import PER_CORPUS, translation_metrics
from seq2seq_jax.inference.trained_run import TrainedRun
from seq2seq_jax.inference.translate import open_translators, translations
from seq2seq_jax.show.progress import shown


def evaluate(
    workdirs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    split: Literal["dev", "test"] = "dev",
    file: str | None = None,
    beam_size: int = 1,
    length_penalty: float = LENGTH_PENALTY,
) -> dict[str, Any]:
    """Scores best checkpoints on a split of their data, or on ``file``. Returns the metrics; of ``file`` also its ``unknown_units``.

    Args:
      workdirs: one run, or several translators that decode together. These, and a beam wider than 1, give no loss.
      split: of the first run's data.
      file: what is scored instead, in the form of data.train; None: the split.
      beam_size: hypotheses kept at every step; 1 is greedy.
      length_penalty: strength of the beam's length normalisation.

    Raises:
      UserError: there is no such run or split, or several runs or a beam are asked for where nothing is decoded.
    """
    if isinstance(workdirs, str | os.PathLike):
        workdirs = [workdirs]
    together = len(workdirs) > 1 or beam_size > 1
    runs = open_translators(workdirs) if together else [TrainedRun(workdirs[0])]
    run = runs[0]
    notes: list[str] = []
    data = run.split(split, file, notes)
    if together:
        assert isinstance(data, PairSplit)  # they are translators
        outputs = [best.text for best, *_ in translations(runs, data.sources, beam_size, 1, length_penalty)]
        metrics = translation_metrics(outputs, data.targets, run.config.data.target_unit)
    else:
        with shown(f"evaluate: scoring {file or split}"):
            evaluation = run.evaluator.evaluate(run.params, data)
        outputs, metrics = evaluation.outputs, evaluation.metrics
    if isinstance(data, PairSplit):  # of a corpus, which training computes only where one of them chooses: they take a second
        left = [name for name in PER_CORPUS if name not in metrics]
        metrics |= translation_metrics(outputs, data.targets, run.config.data.target_unit, left)
    if file is not None:
        metrics["unknown_units"], remarks = unknown_units(file, data, run.vocabularies, run.config.data.normalize_nfc)
        for remark in notes + remarks:
            print(f"evaluate: {remark}", file=sys.stderr)
    where = [str(each.directory.path) for each in runs]
    return {"workdir": where[0] if len(where) == 1 else where, "split": None if file else split, "data": file, **metrics}
