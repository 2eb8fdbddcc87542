"""Random keys by name: a key depends on where it is used, never on how many were drawn before it.

So adding a module changes no other module's initial values, and runs that differ in one size start from the same values elsewhere.
"""

from __future__ import annotations

import zlib

import jax
from jaxtyping import Array, Key


def named(key: Key[Array, ""], name: str) -> Key[Array, ""]:
    """Returns the key of the stream ``name`` below ``key``."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
