"""Held-out figures: each is a mean over the later half of every strided window."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float, PyTree

from specjax.models.transformer import Transformer
from specjax.training.objectives import overlap
from specjax.training.text import Windows

BATCH = 32


def _mean(
    figure: Callable[[PyTree, Windows], Float[Array, "B S"]],
    params: PyTree,
    windows: Windows,
) -> float:
    jitted = jax.jit(figure)
    half = (windows.shape[1] - 1) // 2
    parts = [
        np.asarray(jitted(params, windows[i : i + BATCH])) for i in range(0, len(windows), BATCH)
    ]
    return float(np.concatenate(parts)[:, half:].mean(dtype=np.float64))


def bits(model: Transformer, params: PyTree, windows: Windows) -> float:
    """Cross entropy in bits per token."""

    def figure(params: PyTree, batch: Windows) -> Float[Array, "B S"]:
        logits = model.forward(params, batch[:, :-1])
        nats: Array = optax.softmax_cross_entropy_with_integer_labels(logits, batch[:, 1:])
        return nats / jnp.log(2)

    return _mean(figure, params, windows)


def mean_overlap(
    p: Transformer,
    p_params: PyTree,
    q: Transformer,
    q_params: PyTree,
    windows: Windows,
) -> float:
    """Mean of sum min(p, q) over contexts of the text."""

    def figure(params: tuple[PyTree, PyTree], batch: Windows) -> Float[Array, "B S"]:
        contexts = batch[:, :-1]
        return overlap(p.forward(params[0], contexts), q.forward(params[1], contexts))

    return _mean(figure, (p_params, q_params), windows)


def mean_divergence(
    p: Transformer,
    p_params: PyTree,
    q: Transformer,
    q_params: PyTree,
    windows: Windows,
) -> float:
    """Mean KL(p || q) in nats over contexts of the text."""

    def figure(params: tuple[PyTree, PyTree], batch: Windows) -> Float[Array, "B S"]:
        contexts = batch[:, :-1]
        log_p = jax.nn.log_softmax(p.forward(params[0], contexts))
        log_q = jax.nn.log_softmax(q.forward(params[1], contexts))
        divergence: Array = optax.losses.kl_divergence_with_log_targets(log_q, log_p)
        return divergence

    return _mean(figure, (p_params, q_params), windows)
