"""Random keys by name: a key depends on where it is used, never on how many were drawn before it.

So adding a module moves no other module's initial values, and runs that differ in one size share the rest.
"""

from __future__ import annotations

import dataclasses
import zlib

import jax
from jax import lax
from jaxtyping import Array, Float, Int, Key


def named(key: Key[Array, ""], name: str) -> Key[Array, ""]:
    """Returns the key of the stream ``name`` below ``key``."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Drops units of a layer's output, the same ones at every time step (Gal & Ghahramani 2016, section 4).

    Each draw is made for the whole batch, of which a device takes its rows, so that the number of devices that share the
    batch changes nothing. (A key for each row would do too, and cost a step as much to compile as the model.)

    Attributes:
      rate: share of units dropped; the rest is scaled by 1 / (1 - rate).
      key: of the step.
      batch_size: rows of the whole batch.
      rows: rows here.
      first: place of the first of them in the whole batch.
    """

    rate: float
    key: Key[Array, ""]
    batch_size: int
    rows: int
    first: Int[Array, ""] | int = 0

    @classmethod
    def at(cls, rate: float, key: Key[Array, ""], batch_size: int, rows: int, first: Int[Array, ""] | int = 0) -> Dropout | None:
        """Returns the dropout of one step, or None where nothing is dropped."""
        return None if rate == 0.0 else cls(rate, key, batch_size, rows, first)

    def scale(self, name: str, units: int) -> Float[Array, "B H"]:
        """Returns what ``units`` units are multiplied by: 0 or 1 / (1 - rate); each ``name`` has its own draw."""
        kept = jax.random.bernoulli(named(self.key, name), 1.0 - self.rate, (self.batch_size, units))
        return lax.dynamic_slice_in_dim(kept, self.first, self.rows) / (1.0 - self.rate)

    def __call__(self, name: str, values: Float[Array, "*T B H"]) -> Float[Array, "*T B H"]:
        """Drops units of ``values``, whose last two axes are row and unit."""
        return values * self.scale(name, values.shape[-1]).astype(values.dtype)


def dropped(dropout: Dropout | None, name: str, values: Float[Array, "*T B H"]) -> Float[Array, "*T B H"]:
    """Applies ``dropout`` where there is one: in training, at a rate above 0."""
    return values if dropout is None else dropout(name, values)
