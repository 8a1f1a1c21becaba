"""Weights as package data: one float16 npz.

An orbax folder would name its many files at random, and would need orbax to be read.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree


def _named(tree: PyTree) -> dict[str, PyTree]:
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


def pack(file: Path, params: PyTree) -> None:
    """Write the leaves in float16, named by their paths."""
    np.savez_compressed(
        file,
        allow_pickle=False,
        **{name: np.asarray(leaf, np.float16) for name, leaf in _named(params).items()},
    )


def unpack(file: Path, like: PyTree) -> PyTree:
    """Read what `pack` wrote into the structure of `like`, as float32."""
    with np.load(file) as arrays:
        leaves = [jnp.asarray(arrays[name], jnp.float32) for name in _named(like)]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)
