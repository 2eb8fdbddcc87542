"""This package's side: the real training step of a run, on made-up batches of a given shape."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from seq2seq_jax.config import Config, ModelConfig, TrainConfig
from seq2seq_jax.data.batches import PairBatch, TextBatch
from seq2seq_jax.data.vocabulary import EOS, PAD
from seq2seq_jax.model.build import Params, initial_params, structure
from seq2seq_jax.train.devices import choose_devices
from seq2seq_jax.train.programs import compile_step, initial_state, network_of
from seq2seq_jax.train.step import Batch

SPECIALS = 4  # rows at the start of every vocabulary that stand for no symbol of a text
LEARNING_RATE, CLIP_NORM = 1e-3, 1.0


class Training:
    """A model in training: each call makes one update and waits for its end."""

    def __init__(self, model: ModelConfig, sizes: dict[str, int], batch: Batch):
        """Draws the parameters and prepares the step, compiled as a run compiles it."""
        rows = len(batch[0])
        on_gpu = jax.default_backend() == "gpu"
        places = 1 if on_gpu else None  # one GPU, as PyTorch's side has
        train = TrainConfig(steps=1000, batch_size=rows, learning_rate=LEARNING_RATE, clip_norm=CLIP_NORM, devices=places)
        config = Config(model=model, train=train)
        graph = structure(model, sizes)
        self.initial: Params = jax.device_get(initial_params(model, sizes, jax.random.key(0)))
        params = jax.tree.map(jax.numpy.array, self.initial)
        # Of a text (rows, units), of pairs (units of the source, of the target), as training's batches give them.
        shape = (rows, batch.inputs.shape[1]) if isinstance(batch, TextBatch) else (batch.source.shape[1], batch.target.shape[1])
        devices = choose_devices(config, sizes["target"], [shape])
        self._step = compile_step(config, network_of(config, sizes, [shape]), 1000, devices)
        self._state = devices.place(initial_state(config, graph, params))
        split = devices.split_batch(batch)
        self._batch = jax.device_put(split) if on_gpu else split  # where PyTorch's lies too

    def __call__(self) -> None:
        """Makes one update."""
        self._state = jax.block_until_ready(self._step(self._state, self._batch))

    def losses(self, updates: int) -> list[float]:
        """Makes updates and returns the mean loss before each of them, nats."""
        found, before = [], np.zeros(2)
        for _ in range(updates):
            self()
            window = jax.device_get(self._state.window.loss)
            after = np.array([window.nats, window.count])
            found.append(float(np.divide(*(after - before))))
            before = after
        return found


def language_model(vocabulary: int, embedding_dim: int, hidden_dim: int, layers: int, rows: int, length: int) -> Training:
    """Returns a language model in training on one segment."""
    config = ModelConfig(kind="language_model", embedding_dim=embedding_dim, hidden_dim=hidden_dim, decoder_layers=layers)
    return Training(config, {"target": vocabulary}, text_batch(vocabulary, rows, length))


def text_batch(vocabulary: int, rows: int, length: int) -> TextBatch:
    """Returns a segment of random units in the middle of a text."""
    units = np.random.default_rng(0).integers(SPECIALS, vocabulary, (rows, length + 1)).astype(np.int32)
    return TextBatch(units[:, :-1], units[:, 1:], np.ones((rows, length), np.float32), np.zeros(rows, bool))


def translator(config: ModelConfig, sizes: dict[str, int], rows: int, lengths: tuple[int, int]) -> tuple[Training, PairBatch]:
    """Returns a translator in training on one batch, and the batch."""
    batch = pair_batch(sizes, rows, lengths)
    return Training(config, sizes, batch), batch


def pair_batch(sizes: dict[str, int], rows: int, lengths: tuple[int, int]) -> PairBatch:
    """Returns random pairs of lengths from the first to the second of ``lengths``, EOS included."""
    draws = np.random.default_rng(0)

    def side(vocabulary: int) -> tuple[Any, Any]:
        found = draws.integers(lengths[0], lengths[1] + 1, rows).astype(np.int32)
        found[0] = lengths[1]
        places = np.arange(lengths[1])
        ids = draws.integers(SPECIALS, vocabulary, (rows, lengths[1]))
        ids = np.where(places < found[:, None] - 1, ids, np.where(places == found[:, None] - 1, EOS, PAD))
        return ids.astype(np.int32), found

    return PairBatch(*side(sizes["source"]), *side(sizes["target"]))
