"""How far the law that a rule emits lies from the target's."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp

from specjax._types import Law, Scalar
from specjax.numerics.arithmetic import total


def total_variation(emitted: Law, p: Law) -> Scalar:
    """TV(e, p), half the L1 distance.

    Args:
      emitted: e, the law of the emitted token [V].
      p: target law [V].

    Returns:
      A number in [0, 1].

    Example:
      >>> print(total_variation(jnp.array([0.5, 0.5]), jnp.array([0.75, 0.25])))
      0.25
    """
    return total(jnp.abs(emitted - p)) / 2


def relative_entropy(emitted: Law, p: Law) -> Scalar:
    """KL(e || p) in nats.

    Args:
      emitted: e, the law of the emitted token [V].
      p: target law [V].

    Returns:
      A number of at least 0; infinite if e holds a token that p does not.

    Example:
      >>> print(relative_entropy(jnp.array([1.0, 0.0]), jnp.array([0.5, 0.5])))
      0.6931472
    """
    return total(jax.scipy.special.kl_div(emitted, p))


def largest_ratio(emitted: Law, p: Law) -> Scalar:
    """max e/p, the most by which a token became likelier.

    Args:
      emitted: e, the law of the emitted token [V].
      p: target law [V].

    Returns:
      A number of at least 1; infinite if e holds a token that p does not.

    Example:
      >>> print(largest_ratio(jnp.array([0.5, 0.5]), jnp.array([0.75, 0.25])))
      2.0
    """
    return jnp.max(jnp.where(emitted > 0, emitted / p, 0))


# by the names that `Loss.measure` takes
DIVERGENCES: Mapping[str, Callable[[Law, Law], Scalar]] = MappingProxyType(
    {"tv": total_variation, "kl": relative_entropy, "ratio": largest_ratio}
)
