"""The legend of dimensions, and the named array types built from it. In annotations these letters mean this; other names are local.

| letter | dimension |
|---|---|
| B | batch: sequences trained or decoded together |
| S | source length, in units (padded); of word vectors, units of a block and of the windows at its ends |
| T | target length, or length of a segment of text, in units (padded) |
| V | vocabulary: rows of an embedding table |
| D | embedding: columns of an embedding table |
| H | hidden: units of a recurrent layer |
| G | pre-activations of a layer's gates: of an LSTM 4 H, in the order input, forget, cell, output |
| M | memory: width of the encoder's outputs |
| L | layers |
| K | hypotheses of a beam |
| N | negatives: units drawn for a block of text |
| W | window: units around one |
| I, O | inputs and outputs of a linear map |

Types are checked in the tests only (``tests/conftest.py`` turns ``jaxtyping`` and ``beartype`` on); in training they cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxtyping import Float, Int

if TYPE_CHECKING:
    import jax

    Array = jax.Array
else:
    from typing import Any

    Array = Any  # NumPy on the host, JAX on the device: packages without JAX use the same names

Ids = Int[Array, "B T"]
Lengths = Int[Array, "B"]
Hidden = Float[Array, "B H"]
Table = Float[Array, "V D"]
Logits = Float[Array, "B T V"]
StepLogits = Float[Array, "B V"]
Scalar = Float[Array, ""]
