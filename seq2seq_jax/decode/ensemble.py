"""Ensembles: several models decode together, by the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from seq2seq_jax.arrays import StepLogits
from seq2seq_jax.decode.greedy import Step


def ensemble_step(steps: Sequence[Step]) -> Step:
    """Returns a step over the tuple of the models' states, whose logits are the log of the mean of their probabilities."""

    def step(states: tuple[Any, ...], ids: Int[Array, " B"]) -> tuple[tuple[Any, ...], StepLogits]:
        advanced, logits = zip(*(step(state, ids) for step, state in zip(steps, states, strict=True)), strict=True)
        logs = jnp.stack([jax.nn.log_softmax(member, axis=-1) for member in logits])
        return tuple(advanced), jax.nn.logsumexp(logs, axis=0) - jnp.log(len(steps))

    return step
