"""How starting values of parameters are drawn.

Only the drawing itself is compiled, for a few sizes; NumPy does the rest. Programs for every shape of the default model took 5 s to
compile, 1 s to load from disk, and most of that again for the next size of a sweep. Under tracing (``nnx.eval_shape``) all is done in JAX.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

FEW, BLOCK = 2**12, 2**17  # FEW numbers are drawn, or whole BLOCKs: two programs do for all but large models


def normal(key: Key[Array, ""], shape: tuple[int, ...], std: float) -> Float[Array, "*shape"]:
    """Draws from N(0, std^2)."""
    return jnp.asarray(std * _standard_normal(key, math.prod(shape)).reshape(shape))


def orthogonal(key: Key[Array, ""], size: int, count: int) -> Float[Array, "size columns"]:
    """Draws ``count`` orthogonal matrices, which lie side by side, each as likely as any other (Mezzadri 2007, section 5)."""
    drawn = _standard_normal(key, count * size * size).reshape(count, size, size)
    numpy = jnp if isinstance(drawn, jax.Array) else np
    q, r = numpy.linalg.qr(drawn)
    q = q * numpy.sign(numpy.diagonal(r, axis1=1, axis2=2))[:, None]
    return jnp.asarray(q.swapaxes(0, 1).reshape(size, count * size))


def _standard_normal(key: Key[Array, ""], size: int) -> Float[np.ndarray, " size"] | Float[Array, " size"]:
    """Returns numbers from N(0, 1), the beginning of a longer draw: on the host, unless it is traced."""
    drawn = _draw(key, FEW if size <= FEW else -(-size // BLOCK) * BLOCK)
    return drawn[:size] if isinstance(drawn, jax.core.Tracer) else np.asarray(drawn)[:size]


@functools.partial(jax.jit, static_argnums=1)
def _draw(key: Key[Array, ""], size: int) -> Float[Array, " size"]:
    return jax.random.normal(key, (size,))
