"""The optimizer and its learning rate over the updates of a run."""

from __future__ import annotations

import dataclasses
import functools
from typing import assert_never

import jax
import jax.numpy as jnp
import numpy as np
import optax

from seq2seq_jax.config import Config, TrainConfig
from seq2seq_jax.model.build import held_tables

B1, B2 = 0.9, 0.999  # decay of Adam's first and second moments


def make_optimizer(config: Config) -> optax.GradientTransformation:
    """Returns clipping and Adam (Kingma & Ba 2015), or for word vectors plain descent; the step multiplies by the learning rate."""
    if config.model.kind == "skip_gram":
        return optax.identity()
    norm = config.train.clip_norm
    clip = optax.identity() if norm is None else optax.clip_by_global_norm(norm)
    adam = optax.scale_by_adam(B1, B2)
    if config.model.table == "frozen":  # no moments are kept; a table from a file has some, as all its checkpoints have
        held = held_tables(config.model)
        adam = optax.masked(adam, lambda tree: jax.tree_util.tree_map_with_path(lambda path, _: path[0].key not in held, tree))
    return optax.chain(clip, adam)


def learning_rate_of(config: TrainConfig, total_steps: int, step: int) -> float:
    """Returns the learning rate of an update, the first of which is number 1."""
    course = dataclasses.replace(config, seed=0, learning_rate=1.0)  # by which the runs of a sweep differ
    return config.learning_rate * np.asarray(_compiled_schedule(course, total_steps)(step - 1)).item()


@functools.cache
def _compiled_schedule(course: TrainConfig, total_steps: int) -> optax.Schedule:
    """Returns what ``make_schedule`` does, compiled once for all runs that differ in seed and rate alone."""
    return jax.jit(make_schedule(course, total_steps))


def make_schedule(config: TrainConfig, total_steps: int) -> optax.Schedule:
    """Returns the learning rate at each step as a share of its highest, 0 to 1."""
    warmup = config.warmup_steps
    rest = max(total_steps - warmup, 1)
    if config.schedule == "cosine":
        after = optax.cosine_decay_schedule(1.0, rest)
    elif config.schedule == "linear":
        after = optax.linear_schedule(1.0, 0.0, rest)
    elif config.schedule == "inverse_sqrt":
        # Of update number n the root of warmup / n; a schedule counts from 0, and after the warm-up.
        after = lambda step: jnp.sqrt(max(warmup, 1) / (warmup + jnp.maximum(step, 0) + 1))  # noqa: E731  a schedule is a function
    elif config.schedule == "constant":
        after = optax.constant_schedule(1.0)
    else:
        assert_never(config.schedule)
    if warmup == 0:
        return after
    # The first update is made at 1 / warmup, not at 0, where it would change nothing.
    return optax.join_schedules([optax.linear_schedule(1 / warmup, 1.0, warmup - 1 or 1), after], [warmup])
