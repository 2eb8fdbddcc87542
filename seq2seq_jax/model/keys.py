"""Random keys by name: a key depends on where it is used, never on how many were drawn before it.

So adding a module moves no other module's initial values, and runs that differ in one size share the rest.
"""

from __future__ import annotations

import dataclasses
import zlib

import jax
from jaxtyping import Array, Float, Int, Key


def named(key: Key[Array, ""], name: str) -> Key[Array, ""]:
    """Returns the key of the stream ``name`` below ``key``."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Drops units of a layer's output, the same ones at every time step (Gal & Ghahramani 2016, section 4).

    Attributes:
      rate: share of units dropped; the rest is scaled by 1 / (1 - rate).
      keys: a key for each row, derived from the row's position in the global batch, so that
        the number of devices that share the batch changes nothing.
    """

    rate: float
    keys: Key[Array, " B"]

    @classmethod
    def at(cls, rate: float, key: Key[Array, ""], positions: Int[Array, " B"]) -> Dropout | None:
        """Returns the dropout of one step, or None where nothing is dropped."""
        if rate == 0.0:
            return None
        return cls(rate, jax.vmap(lambda position: jax.random.fold_in(key, position))(positions))

    def scale(self, name: str, units: int) -> Float[Array, "B H"]:
        """Returns what ``units`` units are multiplied by: 0 or 1 / (1 - rate); each ``name`` has its own draw."""
        draw = jax.vmap(lambda key: jax.random.bernoulli(named(key, name), 1.0 - self.rate, (units,)))
        return draw(self.keys) / (1.0 - self.rate)

    def __call__(self, name: str, values: Float[Array, "*T B H"]) -> Float[Array, "*T B H"]:
        """Drops units of ``values``, whose last two axes are row and unit."""
        return values * self.scale(name, values.shape[-1]).astype(values.dtype)


def dropped(dropout: Dropout | None, name: str, values: Float[Array, "*T B H"]) -> Float[Array, "*T B H"]:
    """Applies ``dropout`` where there is one: in training, at a rate above 0."""
    return values if dropout is None else dropout(name, values)
