"""What training minimises, in nats for each token."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, PyTree

from specjax._types import Scalar
from specjax.models.transformer import Transformer
from specjax.training.text import Windows

Objective = Callable[[PyTree, Windows], Scalar]


def cross_entropy(model: Transformer) -> Objective:
    """The mean -log p(next token) of a model."""

    def loss(params: PyTree, windows: Windows) -> Scalar:
        logits = model.forward(params, windows[:, :-1])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, windows[:, 1:])
        return jnp.mean(losses)

    return loss


def distillation(draft: Transformer, target: Transformer, target_params: PyTree) -> Objective:
    """The mean KL(p || q) of the draft's laws q from the target's laws p on the same contexts.

    Its gradient is zero at p = q.
    """

    def loss(params: PyTree, windows: Windows) -> Scalar:
        p = jax.nn.log_softmax(target.forward(target_params, windows[:, :-1]))
        q = jax.nn.log_softmax(draft.forward(params, windows[:, :-1]))
        losses = optax.losses.kl_divergence_with_log_targets(q, jax.lax.stop_gradient(p))
        return jnp.mean(losses)

    return loss


def overlap(p_logits: Float[Array, "*B V"], q_logits: Float[Array, "*B V"]) -> Float[Array, "*B"]:
    """sum min(p, q): the acceptance of one draft."""
    return jnp.minimum(jax.nn.softmax(p_logits), jax.nn.softmax(q_logits)).sum(-1)
