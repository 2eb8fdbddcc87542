"""Using finished runs: a run directory in, samples or scores out. Nothing is written. Translations: ``translation.py``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Key

from seq2seq_jax.data.corpus import PairSplit, load_split, unknown_units
from seq2seq_jax.data.readers import normalize
from seq2seq_jax.data.vocabulary import BOS
from seq2seq_jax.decode.beam import LENGTH_PENALTY
from seq2seq_jax.decode.sampling import sample
from seq2seq_jax.errors import UserError
from seq2seq_jax.evaluate.metrics import PER_CORPUS, translation_metrics
from seq2seq_jax.model.keys import named
from seq2seq_jax.show.symbols import visible
from seq2seq_jax.train.state import root_key
from seq2seq_jax.train.trained_run import TrainedRun
from seq2seq_jax.train.translation import open_translators, translations

SAMPLE_CHUNK = 32  # symbols drawn for one visit of the host


def evaluate(
    workdirs: Sequence[str],
    split: Literal["dev", "test"],
    file: str | None = None,
    beam_size: int = 1,
    length_penalty: float = LENGTH_PENALTY,
) -> dict[str, Any]:
    """Scores best checkpoints on a split of their data, or on ``file``. Returns the metrics; of ``file`` also its ``unknown_units``.

    Args:
      workdirs: one run, or several translators that decode together, for which there is no loss.
      split: of the first run's data.
      file: what is scored instead, in the form of the data.
      beam_size: hypotheses kept at every step; 1 is greedy.
      length_penalty: strength of the beam's length normalisation.

    Raises:
      UserError: there is no such run or split, or several runs or a beam are asked for where nothing is decoded.
    """
    together = len(workdirs) > 1 or beam_size > 1
    runs = open_translators(workdirs) if together else [TrainedRun(workdirs[0])]
    run = runs[0]
    recorded = None if file else run.record["data_sha256"]
    data = load_split(run.config, split, file, vocabularies=run.vocabularies, recorded=recorded)
    if together:
        assert isinstance(data, PairSplit)  # they are translators
        outputs = [best.text for best, *_ in translations(runs, data.sources, beam_size, length_penalty=length_penalty)]
        metrics = translation_metrics(outputs, data.targets, run.config.data.target_unit)
    else:
        evaluation = run.evaluator.evaluate(run.params, data)
        outputs, metrics = evaluation.outputs, evaluation.metrics
    if isinstance(data, PairSplit):  # of a corpus, which training computes only where one of them chooses: they take a second
        metrics |= translation_metrics(outputs, data.targets, run.config.data.target_unit, PER_CORPUS)
    if file is not None:
        metrics["unknown_units"], remarks = unknown_units(file, data, run.vocabularies)
        for remark in remarks:
            print(f"evaluate: {remark}", file=sys.stderr)
    where = [str(each.directory.path) for each in runs]
    return {"workdir": where[0] if len(where) == 1 else where, "split": None if file else split, "data": file, **metrics}


def sample_texts(
    workdir: str,
    prompt: str,
    length: int,
    temperature: float,
    seed: int,
    top_k: int | None = None,
    top_p: float | None = None,
    number: int = 1,
) -> list[Iterator[str]]:
    """Continues ``prompt`` by ``length`` units, ``number`` times; returns the texts, prompt included, piece by piece as they are drawn.

    The prompt is spelled as the model reads it: words one blank apart, say. A text does not depend on how many are drawn.
    Raises UserError for a run that is no language model, and for a prompt with symbols that it has never seen.
    """
    run = TrainedRun(workdir)
    if run.config.model.kind != "language_model":
        raise UserError(f"--workdir={workdir}: expected a language model, this run is a {run.config.model.kind}")
    model, vocabulary = nnx.merge(run.programs.structure, run.params), run.vocabularies["target"]
    known = _known_units(run, prompt)
    prompt_ids = jnp.array([[BOS, *known]])
    carry = model.start(1)
    if prompt_ids.shape[1] > 1:
        carry, _ = jax.jit(lambda carry, ids: model.decode(carry, ids))(carry, prompt_ids[:, :-1])

    @jax.jit
    def draw(carry: Any, ids: jax.Array, key: jax.Array):
        return sample(model.step, carry, ids, key, SAMPLE_CHUNK, temperature, top_k, top_p)

    def pieces(key: Key[Array, ""]) -> Iterator[str]:
        """Draws one text; its pieces follow from all of it so far, since a unit may be spelled differently beside another."""
        state, last, drawn, text = carry, prompt_ids[:, -1], list[int](), vocabulary.decode(known)
        yield text
        for chunk in range(-(-length // SAMPLE_CHUNK)):
            state, ids = draw(state, last, jax.random.fold_in(key, chunk))
            last = ids[:, -1]
            drawn.extend(jax.device_get(ids)[0].tolist())
            longer = vocabulary.decode([*known, *drawn[:length]])
            if len(drawn) < length:
                longer = longer.rstrip("\ufffd")  # perhaps the beginning of a character that the next chunk completes
            yield longer[len(text) :]
            text = longer

    key = named(root_key(seed), "sample")
    return [pieces(jax.random.fold_in(key, place)) for place in range(number)]


def _known_units(run: TrainedRun, prompt: str) -> list[int]:
    """Returns the ids of a prompt. Raises UserError, naming them, where it has symbols that the model has never seen."""
    vocabulary, prompt = run.vocabularies["target"], normalize(prompt, run.config.data.normalize_nfc)
    unknown = sorted(set(vocabulary.unknown(prompt)))
    if unknown:
        shown = ", ".join(f"'{visible(unit)}'" for unit in unknown)
        raise UserError(f"--prompt: the model has never seen {shown}; expected symbols of its training text")
    return list(vocabulary.encode(prompt))
