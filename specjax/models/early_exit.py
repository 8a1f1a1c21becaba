"""A draft model out of the target's first layers.

Ridge regression fits an affine map from the hidden state at the exit to the last hidden state.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int, PyTree

from specjax.models.transformer import Transformer
from specjax.trees import chain

BATCH = 4
RIDGE = 1e-5


def fit(
    model: Transformer, params: PyTree, windows: Int[np.ndarray, "B T"], exit_after: int
) -> dict[str, Float[np.ndarray, "..."]]:
    """`kernel` [E, E] and `bias` [E] of least squared error, for `derived.adapted`.

    The first token of each window is left out: the hidden state at such attention sinks is larger
    by orders of magnitude.

    Args:
      model: the target.
      params: its weights.
      windows: token ids of plain texts, [B, T].
      exit_after: number of layers that the draft keeps.

    Returns:
      The arrays by their names.

    Cost: one forward of the windows.
    """
    model = dataclasses.replace(model, features=(exit_after, model.config.layers))
    topology = chain(windows.shape[1] - 1)
    cache = model.init(0, windows.shape[1])

    @jax.jit
    def states(params: PyTree, batch: Int[Array, "B T"]) -> Float[Array, "2 B T E"]:
        return jnp.stack(
            jax.vmap(lambda tokens: model.score(params, cache, tokens, topology).features)(batch)
        )

    parts = [
        np.asarray(states(params, windows[i : i + BATCH]), np.float64)
        for i in range(0, len(windows), BATCH)
    ]
    early, last = np.concatenate(parts, axis=1)[:, :, 1:].reshape(2, -1, model.config.width)
    mean_early = early.mean(0)
    mean_last = last.mean(0)
    centred = early - mean_early
    gram = centred.T @ centred
    ridge = RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    kernel = np.linalg.solve(gram + ridge, centred.T @ (last - mean_last))
    return {
        "kernel": kernel.astype(np.float32),
        "bias": (mean_last - mean_early @ kernel).astype(np.float32),
    }
