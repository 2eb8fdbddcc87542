"""``translate``: finished runs in, one or several together; out their best few outputs, scores, and where the attention looked."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from seq2seq_jax.arrays import Array, Lengths
from seq2seq_jax.config import LENGTH_PENALTY
from seq2seq_jax.data.batches import PairBatch
from seq2seq_jax.data.coverage import unknown_units
from seq2seq_jax.data.examples import PairSplit
from seq2seq_jax.data.readers import decoded, normalize, split_lines
from seq2seq_jax.data.spelling import texts_of
from seq2seq_jax.data.vocabulary import PAD
from seq2seq_jax.decode.beam import Hypotheses
from seq2seq_jax.decode.translators import mean_attention, translate_by_beam
from seq2seq_jax.errors import UserError
from seq2seq_jax.inference.attention_file import Attended
from seq2seq_jax.inference.trained_run import TrainedRun
from seq2seq_jax.model.build import Params
from seq2seq_jax.show.progress import shown
from seq2seq_jax.train.evaluation import TranslatorEvaluator

ROWS = 256  # hypotheses decoded together


@dataclasses.dataclass(frozen=True)
class Translation:
    """One output of a source.

    Attributes:
      text: the output.
      score: log-probability of the output, nats, over the length penalty (Wu et al. 2016, eq. 14), by which outputs of a source are ranked.
      attended: where it was asked for; only of the best output.
    """

    text: str
    score: float
    attended: Attended | None = None


def read_sources(stream: BinaryIO) -> list[str]:
    """Reads sources to their end, one a line; a missing last line end adds none. Raises UserError where they are not UTF-8."""
    if stream.isatty():
        print("translate: type the sources, one a line; Ctrl-D ends them", file=sys.stderr)
    return split_lines(decoded(stream.read(), "standard input"))


def unknown_sources(run: TrainedRun, sources: Sequence[str]) -> list[str]:
    """Returns the sentence that says how many sources have a unit that is not in the vocabulary, where there are any."""
    read = [normalize(source, run.config.data.normalize_nfc) for source in sources]
    return unknown_units("standard input", PairSplit(read, [[] for _ in read]), run.vocabularies, run.config.data.normalize_nfc)[1]


def open_translators(workdirs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[TrainedRun]:
    """Opens runs to translate with; several are an ensemble. Raises UserError for no translator, or unequal vocabularies."""
    if isinstance(workdirs, str | os.PathLike):
        workdirs = [workdirs]
    runs = [TrainedRun(workdir) for workdir in workdirs]
    _check_together(runs)
    return runs


def translations(
    runs: Sequence[TrainedRun],
    sources: Sequence[str],
    beam_size: int = 1,
    n_best: int = 1,
    length_penalty: float = LENGTH_PENALTY,
    attention: bool = False,
) -> list[list[Translation]]:
    """Returns the best outputs of each source, best first; for an empty source there is nothing to translate, and its output is empty.

    Args:
      runs: from ``open_translators``; several are an ensemble, which averages their probabilities.
      sources: one text each.
      beam_size: hypotheses kept at every step, at least ``n_best``; 1 is greedy.
      n_best: outputs returned for each source; fewer where there are no more.
      length_penalty: strength of the length normalisation; 0 ranks by log-probability.
      attention: whether to add where the attention looked, the mean over the runs that have one.

    Raises:
      UserError: attention is asked for where there is none.
    """
    beam_size = max(beam_size, n_best)
    if attention and all(run.config.model.attention == "none" for run in runs):
        raise UserError(f"--attention: the model of --workdir={runs[0].directory.path} has none (model.attention=none)")
    decode, attend = _compiled(runs, beam_size, length_penalty)
    params = [run.params for run in runs]
    outputs = [[Translation("", 0.0)] for _ in sources]
    rows = max(1, min(len(sources), ROWS // beam_size))
    evaluator = runs[0].evaluator
    assert isinstance(evaluator, TranslatorEvaluator)  # so are all runs
    batches = list(evaluator.source_batches(sources, rows))
    with shown("decoding", sum(int((indices >= 0).sum()) for indices, _ in batches)) as done:
        for indices, batch in batches:
            decoded = decode(params, batch.source, batch.source_lengths)
            weights = attend(params, batch.source, batch.source_lengths, decoded.ids[:, 0]) if attention else None
            decoded, weights = jax.device_get((decoded, weights))
            filled = np.flatnonzero(indices >= 0).tolist()
            for row in filled:
                attended = None if weights is None else _attended(runs[0], batch, decoded.ids, weights, row)
                outputs[indices[row]] = _listed(runs[0], decoded, row, n_best, attended)
            done(len(filled))
    return outputs


def _compiled(runs: Sequence[TrainedRun], beam_size: int, length_penalty: float) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Returns what decodes sources, and what says where the attention looks for outputs; both take the parameters of the runs first."""
    limit, structures = max(run.output_limit for run in runs), [run.programs.structure for run in runs]

    def decode(params: list[Params], source: Int[Array, "B S"], lengths: Lengths) -> Hypotheses:
        return translate_by_beam(list(map(nnx.merge, structures, params)), source, lengths, limit, beam_size, length_penalty)

    def attend(
        params: list[Params], source: Int[Array, "B S"], lengths: Lengths, target: Int[Array, "B T"]
    ) -> Float[Array, "B T S"] | None:
        return mean_attention(list(map(nnx.merge, structures, params)), source, lengths, target)

    return jax.jit(decode), jax.jit(attend)


def _check_together(runs: Sequence[TrainedRun]) -> None:
    """Raises UserError where the runs cannot decode together."""
    first = runs[0]
    for run in runs:
        if run.config.model.kind != "translator":
            raise UserError(f"--workdir={run.directory.path}: expected a translator, this run is a {run.config.model.kind}")
        if not _read_alike(run, first):
            raise UserError(
                f"--workdir={run.directory.path}: its vocabularies are not those of --workdir={first.directory.path}; "
                "expected runs trained on the same data with the same units"
            )


def _read_alike(run: TrainedRun, other: TrainedRun) -> bool:
    """Returns whether two translators turn text into the same ids, and ids into the same text."""
    if run.config.data.normalize_nfc != other.config.data.normalize_nfc:
        return False
    return all(vocabulary.reads_like(other.vocabularies[side]) for side, vocabulary in run.vocabularies.items())


def _listed(run: TrainedRun, decoded: Hypotheses, row: int, n_best: int, attended: Attended | None) -> list[Translation]:
    """Returns the outputs of a row that exist; the first one with its attention."""
    listed = []
    for k in range(n_best):
        if np.isfinite(decoded.scores[row, k]):
            text = run.vocabularies["target"].decode_line(decoded.ids[row, k])
            listed.append(Translation(text, float(decoded.scores[row, k]), attended if k == 0 else None))
    return listed


def _attended(run: TrainedRun, batch: PairBatch, ids: Int[np.ndarray, "B K T"], weights: Float[np.ndarray, "B T S"], row: int) -> Attended:
    """Returns the attention of a row's best output, without padding."""
    source, output = batch.source[row, : batch.source_lengths[row]], ids[row, 0][ids[row, 0] != PAD]
    read, written = texts_of(run.vocabularies["source"], source), texts_of(run.vocabularies["target"], output)
    return Attended(read, written, weights[row, : len(output), : len(source)])
