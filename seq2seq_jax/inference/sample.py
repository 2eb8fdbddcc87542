"""``sample``: a finished language model in, texts out, piece by piece."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Int, Key

from seq2seq_jax.arrays import Ids
from seq2seq_jax.data.readers import normalize
from seq2seq_jax.data.vocabulary import BOS
from seq2seq_jax.decode.sampling import sample
from seq2seq_jax.errors import UserError
from seq2seq_jax.inference.trained_run import TrainedRun
from seq2seq_jax.model.build import Params
from seq2seq_jax.model.keys import named
from seq2seq_jax.show.symbols import visible
from seq2seq_jax.train.state import root_key

SAMPLE_CHUNK = 32  # symbols drawn for one visit of the host
CONTEXT = 64  # symbols before these that may settle how they are spelled


def sample_texts(
    workdir: str | os.PathLike[str],
    prompt: str = "",
    length: int = 500,
    temperature: float = 1.0,
    seed: int = 0,
    top_k: int | None = None,
    top_p: float | None = None,
    number: int = 1,
) -> list[Iterator[str]]:
    """Continues ``prompt`` by ``length`` units, ``number`` times; returns the texts, prompt included, piece by piece as they are drawn.

    The prompt is spelled as the model reads it: words one blank apart, say. A text does not depend on how many are drawn.
    Raises UserError for a run that is no language model, and for a prompt with symbols that its vocabulary has not.
    """
    run = TrainedRun(workdir)
    if run.config.model.kind != "language_model":
        raise UserError(f"--workdir={workdir}: expected a language model, this run is a {run.config.model.kind}")
    vocabulary, known = run.vocabularies["target"], _known_units(run, prompt)
    line_break = vocabulary.row_of("\n") if run.config.data.lines else None
    start_unit = [BOS if line_break is None else line_break]  # where lines begin; BOS is read once an epoch, at the first
    read, draw = _compiled(run, temperature, top_k, top_p)
    prompt_ids = jnp.array([[*start_unit, *known]])
    start = read(run.params, prompt_ids[:, :-1])

    def pieces(key: Key[Array, ""]) -> Iterator[str]:
        """Draws one text. What is new in it is what its end, spelled anew, has more: a unit may be spelled differently beside another."""
        state, last, end, said = start, prompt_ids[:, -1], list(known), vocabulary.decode(known)
        yield said
        for chunk in range(-(-length // SAMPLE_CHUNK)):
            state, ids = draw(run.params, state, last, jax.random.fold_in(key, chunk))
            last = ids[:, -1]
            end += jax.device_get(ids)[0].tolist()[: length - chunk * SAMPLE_CHUNK]
            text = vocabulary.decode(end)
            whole = text.rstrip("\ufffd") if (chunk + 1) * SAMPLE_CHUNK < length else text  # the next chunk may complete a character
            yield whole[len(said) :]
            if whole == text:
                end = end[-CONTEXT:]
                whole = vocabulary.decode(end)
            said = whole

    key = named(root_key(seed), "sample")
    return [pieces(jax.random.fold_in(key, place)) for place in range(number)]


def _compiled(run: TrainedRun, temperature: float, top_k: int | None, top_p: float | None) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Returns what reads the symbols of a prompt, and what draws the next ones; both take the parameters of a run first."""
    merge = functools.partial(nnx.merge, run.programs.structure)

    def read(params: Params, ids: Ids) -> Any:
        model = merge(params)
        return model.decode(model.start(1), ids)[0] if ids.shape[1] else model.start(1)

    def draw(params: Params, state: Any, ids: Int[Array, " B"], key: Key[Array, ""]) -> tuple[Any, Ids]:
        return sample(merge(params).step, state, ids, key, SAMPLE_CHUNK, temperature, top_k, top_p)

    return jax.jit(read), jax.jit(draw)


def _known_units(run: TrainedRun, prompt: str) -> list[int]:
    """Returns the ids of a prompt. Raises UserError, naming them, where it has symbols that are not in the vocabulary."""
    vocabulary = run.vocabularies["target"]
    prompt = vocabulary.in_known_form(normalize(prompt, run.config.data.normalize_nfc))
    unknown = sorted(set(vocabulary.unknown(prompt)))
    if unknown:
        shown = ", ".join(f"'{visible(unit)}'" for unit in unknown)
        raise UserError(f"--prompt: {shown}: not in the vocabulary; expected symbols of the training text (data.min_count drops rare ones)")
    return list(vocabulary.encode(prompt))
