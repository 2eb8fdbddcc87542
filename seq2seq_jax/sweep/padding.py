"""A small table is a large one padded with zeros: how members with tables of different widths share one array program.

Columns that start at zero, and the rows of the kernels that read them, have a gradient of exactly zero for ever: each is a
product with the other's zeros. Only the scale of a tied output looks at a table's width; ``at_own_scale`` gives it back. So every
array may be padded at the end of its axes, and what was padded is zero when it is cut off again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from seq2seq_jax.model.build import Params

Shape = tuple[int, ...]


def widest(members: Sequence[Any]) -> Any:
    """Returns, in place of each array, the smallest shape that holds it in every member."""
    return jax.tree.map(lambda *leaves: tuple(map(max, zip(*(leaf.shape for leaf in leaves), strict=True))), *members)


def shapes_of(member: Any) -> Any:
    """Returns the shape in place of each array."""
    return widest([member])


def padded(member: Any, shapes: Any) -> Any:
    """Pads each host array with zeros at the end of its axes."""
    return jax.tree.map(_padded, member, shapes)


def _padded(leaf: np.ndarray, shape: Shape) -> np.ndarray:
    wide = np.zeros(shape, leaf.dtype)
    wide[tuple(map(slice, leaf.shape))] = leaf
    return wide


def unpad(member: Any, shapes: Any) -> Any:
    """Undoes ``padded``. Raises ValueError where what is cut off is not zero: then this model cannot be padded."""
    return jax.tree_util.tree_map_with_path(_cut, member, shapes)


def _cut(path: Any, leaf: np.ndarray, shape: Shape) -> np.ndarray:
    own = leaf[(..., *map(slice, shape))]  # the dots keep a number an array
    if leaf.shape != shape and np.count_nonzero(leaf) != np.count_nonzero(own):
        raise ValueError(f"{jax.tree_util.keystr(path)}: padding is no longer zero; this model can only be trained by itself")
    return own


def output_scale(own: Params, wide: Params) -> float:
    """Returns what the output's kernel must be multiplied by after padding; 1 where there is none, or it is not tied to a table.

    A tied kernel projects to the table's columns, and logits are scaled by 1 / sqrt(columns) (``model/output.py``),
    which must stay the member's own number.
    """
    if "output" not in own:
        return 1.0
    return math.sqrt(wide["output"]["kernel"].shape[1] / own["output"]["kernel"].shape[1])


def at_own_scale(params: Params, scale: Float[Any, ""] | float) -> Params:
    """Returns the parameters with which a padded model computes what the member's own would compute."""
    if "output" not in params:
        return params
    output = params["output"]
    return {**params, "output": {**output, "kernel": output["kernel"] * scale}}
