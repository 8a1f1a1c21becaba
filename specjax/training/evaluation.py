"""Held-out figures: each is a mean over the later half of every strided window."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float, Int, PyTree

from specjax.models.transformer import Transformer
from specjax.training.objectives import overlap

BATCH = 32


def _mean(
    figure: Callable[[PyTree, Int[Array, "B T"]], Float[Array, "B S"]],
    params: PyTree,
    windows: Int[Array, "B T"],
) -> float:
    jitted = jax.jit(figure)
    half = (windows.shape[1] - 1) // 2
    parts = [
        np.asarray(jitted(params, windows[i : i + BATCH])) for i in range(0, len(windows), BATCH)
    ]
    return float(np.concatenate(parts)[:, half:].mean(dtype=np.float64))


def bits(model: Transformer, params: PyTree, windows: Int[Array, "B T"]) -> float:
    """Cross entropy in bits per token."""

    def figure(params: PyTree, batch: Int[Array, "B T"]) -> Float[Array, "B S"]:
        return optax.softmax_cross_entropy_with_integer_labels(
            model.forward(params, batch[:, :-1]), batch[:, 1:]
        ) / jnp.log(2)

    return _mean(figure, params, windows)


def mean_overlap(
    p: Transformer,
    p_params: PyTree,
    q: Transformer,
    q_params: PyTree,
    windows: Int[Array, "B T"],
) -> float:
    """Mean of sum min(p, q) over contexts of the text."""

    def figure(params: tuple[PyTree, PyTree], batch: Int[Array, "B T"]) -> Float[Array, "B S"]:
        return overlap(
            *(
                model.forward(weights, batch[:, :-1])
                for model, weights in zip((p, q), params, strict=True)
            )
        )

    return _mean(figure, (p_params, q_params), windows)


def mean_divergence(
    p: Transformer,
    p_params: PyTree,
    q: Transformer,
    q_params: PyTree,
    windows: Int[Array, "B T"],
) -> float:
    """Mean KL(p || q) in nats over contexts of the text."""

    def figure(params: tuple[PyTree, PyTree], batch: Int[Array, "B T"]) -> Float[Array, "B S"]:
        log_p, log_q = (
            jax.nn.log_softmax(model.forward(weights, batch[:, :-1]))
            for model, weights in zip((p, q), params, strict=True)
        )
        return optax.losses.kl_divergence_with_log_targets(log_q, log_p)

    return _mean(figure, (p_params, q_params), windows)
