"""Dropout: the same units at every time step, drawn once for an update and handed to all places of a model."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import jax
from jaxtyping import Array, Float, Key

Dropout = dict[str, Float[Array, "B _"]]  # for each place in the model, by name, the factors of its units


def draw_dropout(rate: float, key: Key[Array, ""], rows: int, units: Mapping[str, int]) -> Dropout:
    """Draws which units are dropped, the same ones at every time step (Gal & Ghahramani 2016, section 4).

    Args:
      rate: share of units dropped; the rest is scaled by 1 / (1 - rate).
      key: of the update.
      rows: of the whole batch, so that the draw does not depend on how many devices share it.
      units: number of units at each place of the model.

    Returns:
      For each place, row and unit the factor 0 or 1 / (1 - rate). All places share one draw, since each by itself would take as long
      to compile and to run as all together; so adding a place changes what is dropped at the others.
    """
    scales = jax.random.bernoulli(key, 1.0 - rate, (rows, sum(units.values()))) / (1.0 - rate)
    ends = itertools.accumulate(units.values())
    return {name: scales[:, end - width : end] for (name, width), end in zip(units.items(), ends, strict=True)}


def dropped(dropout: Dropout | None, name: str, values: Float[Array, "*T B H"]) -> Float[Array, "*T B H"]:
    """Drops units of ``values``, whose last two axes are row and unit; ``dropout`` is None outside training and at a rate of 0."""
    return values if dropout is None else values * dropout[name].astype(values.dtype)
