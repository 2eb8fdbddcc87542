"""Using finished runs: a run directory in, translations, samples or scores out. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from seq2seq_jax.config import UserError
from seq2seq_jax.data.corpus import load_split
from seq2seq_jax.data.readers import normalize
from seq2seq_jax.data.vocabulary import BOS
from seq2seq_jax.decode.sampling import sample
from seq2seq_jax.model.keys import named
from seq2seq_jax.train.state import root_key
from seq2seq_jax.train.trained_run import TrainedRun
from seq2seq_jax.train.translation import open_translators, translations

SAMPLE_CHUNK = 32  # symbols drawn for one visit of the host


def evaluate(workdir: str, split: Literal["dev", "test"], file: str | None = None) -> dict[str, Any]:
    """Scores a run's best checkpoint on a split of its data, or on ``file``. Returns the metrics."""
    run = TrainedRun(workdir)
    recorded = None if file else run.record["data_sha256"]
    data = load_split(run.config, split, file, vocabularies=run.vocabularies, recorded=recorded)
    metrics = run.evaluator.evaluate(run.params, data).metrics
    return {"workdir": str(run.directory.path), "split": None if file else split, "data": file, **metrics}


def translate(workdirs: Sequence[str], sources: Sequence[str]) -> list[str]:
    """Translates each line with the run's best checkpoint, greedily; several together. Raises UserError as ``open_translators`` does."""
    return [best.text for best, *_ in translations(open_translators(workdirs), sources)]


def sample_text(
    workdir: str, prompt: str, length: int, temperature: float, seed: int, top_k: int | None = None, top_p: float | None = None
) -> Iterator[str]:
    """Continues ``prompt`` by ``length`` units and yields the text piece by piece as it is drawn.

    Raises UserError for a run that is no language model, and for a prompt with symbols that it has never seen.
    """
    run = TrainedRun(workdir)
    if run.config.model.kind != "language_model":
        raise UserError(f"--workdir={workdir}: expected a language model, this run is a {run.config.model.kind}")
    vocabulary = run.vocabularies["target"]
    prompt = normalize(prompt, run.config.data.normalize_nfc)
    unknown = sorted(set(vocabulary.unknown(prompt)))
    if unknown:
        raise UserError(f"--prompt: the model has never seen {', '.join(map(repr, unknown))}; expected symbols of its training text")
    model = nnx.merge(run.programs.structure, run.params)
    prompt_ids = jnp.array([[BOS, *vocabulary.encode(prompt)]])
    carry = model.start(1)
    if prompt_ids.shape[1] > 1:
        carry, _ = jax.jit(lambda carry, ids: model.decode(carry, ids))(carry, prompt_ids[:, :-1])

    @jax.jit
    def draw(carry: Any, ids: jax.Array, key: jax.Array):
        return sample(model.step, carry, ids, key, SAMPLE_CHUNK, temperature, top_k, top_p)

    last, drawn, text = prompt_ids[:, -1], [], ""
    key = named(root_key(seed), "sample")
    for chunk in range(-(-length // SAMPLE_CHUNK)):
        carry, ids = draw(carry, last, jax.random.fold_in(key, chunk))
        last = ids[:, -1]
        drawn.extend(jax.device_get(ids)[0].tolist())
        longer = vocabulary.decode(drawn[:length])
        if len(drawn) < length:
            longer = longer.rstrip("\ufffd")  # perhaps the beginning of a character that the next chunk completes
        yield longer[len(text) :]
        text = longer
