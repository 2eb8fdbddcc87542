"""Using finished runs: a run directory in, translations, samples or scores out. Nothing is written."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from seq2seq_jax.config import Config, UserError
from seq2seq_jax.data.corpus import load_split
from seq2seq_jax.data.vocabulary import BOS, Vocabulary
from seq2seq_jax.decode.sampling import sample
from seq2seq_jax.model.build import Params, initial_params
from seq2seq_jax.model.keys import named
from seq2seq_jax.train.checkpoints import Checkpoints, DamagedCheckpoint
from seq2seq_jax.train.devices import Devices
from seq2seq_jax.train.evaluation import Evaluator, start_carry
from seq2seq_jax.train.programs import Programs, programs
from seq2seq_jax.train.run_directory import RunDirectory
from seq2seq_jax.train.state import TrainState, make_optimizer, root_key

SAMPLE_CHUNK = 32  # symbols drawn for one visit of the host


class TrainedRun:
    """A run's best parameters and what is needed to use them."""

    def __init__(self, workdir: str):
        """Reads a run directory. Raises UserError where there is no trained run."""
        self.directory = RunDirectory(pathlib.Path(workdir))
        self.config: Config = self.directory.config()
        self.vocabularies: dict[str, Vocabulary] = self.directory.vocabularies()
        record = self.directory.record()
        assert record is not None  # config() saw to it
        self.record = record
        sizes = {side: len(vocabulary) for side, vocabulary in self.vocabularies.items()}
        self.programs: Programs = programs(self.config, sizes, 1, Devices(1), record["output_limit"])
        self.params: Params = _best_params(self.directory, self.config, sizes, self.programs)
        self.evaluator = Evaluator(self.config, self.programs, self.vocabularies)


def _best_params(directory: RunDirectory, config: Config, sizes: dict[str, int], compiled: Programs) -> Params:
    params = initial_params(config.model, sizes, named(root_key(0), "params"))
    carry = start_carry(compiled.structure, params, config.train.batch_size)
    like = TrainState.initial(config.train, params, make_optimizer(config.train), carry)
    checkpoints = Checkpoints(directory.checkpoints)
    try:
        newest = checkpoints.load_newest(like, lambda note: None)
        if newest is None:
            raise UserError(f"--workdir={directory.path}: there is no checkpoint yet; train the run first")
        state, progress = newest
        best = progress["best_step"]
        return state.params if best in (None, int(state.step)) else checkpoints.load(best, like)[0].params
    except DamagedCheckpoint as error:
        raise UserError(f"--workdir={directory.path}: the best checkpoint is damaged ({error}); train the run again") from error


def evaluate(workdir: str, split: Literal["dev", "test"], file: str | None = None) -> dict[str, Any]:
    """Scores a run's best checkpoint on a split of its data, or on ``file``. Returns the metrics."""
    run = TrainedRun(workdir)
    recorded = None if file else run.record["data_sha256"]
    data = load_split(run.config, split, file, vocabularies=run.vocabularies, recorded=recorded)
    metrics = run.evaluator.evaluate(run.params, data).metrics
    return {"workdir": str(run.directory.path), "split": None if file else split, "data": file, **metrics}


def translate(workdirs: Sequence[str], sources: Sequence[str]) -> list[str]:
    """Translates each line with the run's best checkpoint. Raises UserError for a run that is no translator."""
    run = TrainedRun(workdirs[0])
    if run.config.model.kind != "translator":
        raise UserError(f"--workdir={workdirs[0]}: expected a translator, this run is a {run.config.model.kind}")
    return run.evaluator.translate(run.params, sources)


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
        yield longer[len(text) :]
        text = longer
