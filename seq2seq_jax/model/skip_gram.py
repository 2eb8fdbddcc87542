"""Word vectors by prediction of neighbours: skip-gram and CBOW with negative sampling (Mikolov et al. 2013a, b).

The only parameters are two tables: the word vectors, and the vectors of the units to predict. A batch reads few of their rows,
and ``train/step.py`` moves those rows alone, so the cost of a step does not depend on the size of the vocabulary. A block's rows
are read once for all its pairs (``window.py``).

Skip-gram minimises, summed over every unit t, its contexts s and ``model.negatives`` drawn units n for each pair,
    -log sigmoid(u_t . c_s) - log sigmoid(-u_t . c_n)          (2013b, equation 4)
and CBOW the same once for each t with the mean of the vectors of its contexts against c_t. The negatives of a block are shared by its
pairs and weighted, which leaves the expected gradient as it is.

Each pair moves its rows at the full learning rate, as in word2vec; there is no mean over the batch. Where many pairs of one batch move
the same row, their sum would overshoot. So a row's gradient, a sum of (1 - p) c over pairs that the model gives the probability p,
comes with its ``curvature``, the sum of p (1 - p) |c|^2: the trace of the row's own block of the Hessian. The row moves by
rate / max(1, rate * curvature) times its gradient, which is at most a step of Newton's method. (As p goes to 0 that step grows without
bound, so the factor p counts as at least 1/2, and no score is asked to move by more than 2.) On ordinary text and at word2vec's rate
this changes little; it makes large batches, small vocabularies and much higher rates as stable as one pair after the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from seq2seq_jax.arrays import Table
from seq2seq_jax.config import ModelConfig
from seq2seq_jax.data.windows import WindowBatch
from seq2seq_jax.model.embedding import Embedding, table_width
from seq2seq_jax.model.keys import named
from seq2seq_jax.model.loss import Loss
from seq2seq_jax.model.window import block_products, window_products, window_spread, window_sums

VECTORS, CONTEXTS = "target_embedding", "context"  # names of the two tables in the parameters
ByTable = dict[str, Any]  # something of each table


class RowLoss(NamedTuple):
    """The loss of a batch, and what limits the step of each row.

    Attributes:
      loss: sums; it counts the units that have a context, and its nats are those of all their pairs.
      curvature: of each row read, by table (see the top of this file).
    """

    loss: Loss
    curvature: ByTable


class ContextTable(nnx.Module):
    """The vectors of the units to predict: an output layer, which starts at zero as in word2vec."""

    def __init__(self, vocabulary_size: int, embedding_dim: int):
        """Needs no draws."""
        self.table = nnx.Param(jnp.zeros((vocabulary_size, embedding_dim)))


class SkipGram(nnx.Module):
    """The two tables, and the loss of a batch in the rows that it reads."""

    def __init__(self, config: ModelConfig, vocabulary_size: int, key: Key[Array, ""]):
        """Draws vectors of the variance that word2vec gives them: uniform in +-0.5 / D there, normal here."""
        embedding_dim = table_width(config, "target", vocabulary_size)
        self.target_embedding = Embedding(vocabulary_size, embedding_dim, named(key, VECTORS), scale=12**-0.5 / embedding_dim)
        self.context = ContextTable(vocabulary_size, embedding_dim)
        self.cbow, self.negatives = config.cbow, config.negatives

    def start(self, rows: int) -> tuple[()]:
        """Returns what is carried from batch to batch: nothing."""
        del rows
        return ()

    def table(self, name: str) -> Table:
        """Returns a table by its name."""
        return getattr(self, name).table[...]

    def places(self, batch: WindowBatch) -> dict[str, Int[Array, "B _"]]:
        """Returns the rows of each table that a batch reads: the context table's end in the negatives."""
        centres = batch.units[:, _margin(batch) : batch.units.shape[1] - _margin(batch)]
        read, predicted = (batch.units, centres) if self.cbow else (centres, batch.units)
        return {VECTORS: read, CONTEXTS: jnp.concatenate([predicted, batch.negatives], axis=1)}

    def read(self, batch: WindowBatch) -> dict[str, Float[Array, "B _ D"]]:
        """Returns these rows."""
        return {name: jnp.take(self.table(name), ids, axis=0, mode="clip") for name, ids in self.places(batch).items()}

    def row_loss(self, rows: dict[str, Float[Array, "B _ D"]], batch: WindowBatch) -> RowLoss:
        """Returns the loss as a function of the rows that the batch reads; pure, and free of the tables."""
        near = in_window(batch)
        split = rows[CONTEXTS].shape[1] - batch.negatives.shape[1]
        predicted, negatives = rows[CONTEXTS][:, :split], rows[CONTEXTS][:, split:]
        if self.cbow:
            contexts = near.sum(axis=-1, keepdims=True)
            shares = near / jnp.maximum(contexts, 1.0)
            means, pairs = window_sums(shares, rows[VECTORS]), (contexts > 0).astype(near.dtype)
            found = _negative_sampling_loss(means, predicted, negatives, pairs, self.negatives)
            curvature = window_spread(shares**2, found.read_curvature[..., None])[..., 0]
        else:
            found = _negative_sampling_loss(rows[VECTORS], predicted, negatives, near, self.negatives)
            curvature = found.read_curvature
        contexts_curvature = jnp.concatenate([found.predicted_curvature, found.negative_curvature], axis=1)
        return RowLoss(found.loss, {VECTORS: curvature, CONTEXTS: contexts_curvature})

    def loss(self, batch: WindowBatch, carry: tuple[()], dropout: None, label_smoothing: float) -> tuple[Loss, tuple[()]]:
        """Returns the loss sums of a batch; there is nothing to carry, to drop or to smooth."""
        del dropout, label_smoothing
        return self.row_loss(self.read(batch), batch).loss, carry


def in_window(batch: WindowBatch) -> Float[Array, "B T W"]:
    """Returns 1 where a unit of the window is a context."""
    offset = jnp.arange(2 * _margin(batch) + 1) - _margin(batch)
    before, after = (counts[..., None] for counts in (batch.before, batch.after))
    return jnp.where((offset != 0) & (-offset <= before) & (offset <= after), 1.0, 0.0)


def _margin(batch: WindowBatch) -> int:
    return (batch.units.shape[1] - batch.before.shape[1]) // 2


class _BlockLoss(NamedTuple):
    """The loss of a batch of blocks, and the curvature of every row that it was computed from."""

    loss: Loss
    read_curvature: Float[Array, "B T"]
    predicted_curvature: Float[Array, "B S"]
    negative_curvature: Float[Array, "B N"]


def _negative_sampling_loss(
    read: Float[Array, "B T D"],
    predicted: Float[Array, "B S D"],
    negatives: Float[Array, "B N D"],
    pairs: Float[Array, "B T W"],
    per_pair: int,
) -> _BlockLoss:
    """Scores each of ``read`` against the rows of its window and the negatives of its block.

    Args:
      read: vectors to predict from.
      predicted: rows that the windows reach over, S = T + W - 1.
      negatives: rows drawn for each block.
      pairs: 1 where a row of the window is to be predicted, else 0.
      per_pair: negatives that each pair counts for; the N of the block are weighted accordingly.
    """
    weights = (per_pair / negatives.shape[1]) * pairs.sum(axis=-1, keepdims=True)
    positive_logs, positive_errors = _log_sigmoid(window_products(read, predicted))
    negative_logs, negative_errors = _log_sigmoid(-block_products(read, negatives))
    nats = -jnp.sum(pairs * positive_logs) - jnp.sum(weights * negative_logs)
    positive_curvature, negative_curvature = pairs * _curvature(positive_errors), weights * _curvature(negative_errors)
    read_squares, predicted_squares, negative_squares = (
        jnp.sum(jnp.square(rows), axis=-1, keepdims=True) for rows in (read, predicted, negatives)
    )
    read_curvature = window_sums(positive_curvature, predicted_squares) + negative_curvature @ negative_squares
    return _BlockLoss(
        loss=Loss(nats, nats, jnp.sum(weights > 0).astype(nats.dtype)),
        read_curvature=read_curvature[..., 0],
        predicted_curvature=window_spread(positive_curvature, read_squares)[..., 0],
        negative_curvature=jnp.einsum("btn,bti->bn", negative_curvature, read_squares),
    )


def _log_sigmoid(x: Float[Array, "*B"]) -> tuple[Float[Array, "*B"], Float[Array, "*B"]]:
    """Returns log sigmoid(x) and sigmoid(-x), both from one exponential: three would take half of a step's time."""
    positive = x >= 0  # one branch at 0 too, where contexts begin: there |x| and min(x, 0) have no slope that adds up
    small = jnp.exp(jnp.where(positive, -x, x))
    return jnp.where(positive, 0, x) - jnp.log(1 + small), jnp.where(positive, small, 1) / (1 + small)


def _curvature(error: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """Returns the second derivative p (1 - p) of a loss at the error 1 - p, but half the error where that is above 1/2."""
    return error * jnp.maximum(1 - error, 0.5)
