"""How an array lies in a file, and how in the decoder."""

import jax.numpy as jnp
from jax import Array


def laid(path: str, array: Array) -> Array:
    """An array of a file as the decoder holds it at a path: kernels are transposed."""
    return array.T if path.endswith("kernel") else array


def laid_from_one(path: str, array: Array) -> Array:
    """The same for families whose norms store their scale less 1; the scale is float32."""
    return 1 + array.astype(jnp.float32) if path.endswith("scale") else laid(path, array)
