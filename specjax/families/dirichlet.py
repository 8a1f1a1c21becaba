"""Two independent laws from one symmetric Dirichlet."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp

from specjax.families._base import Family, Law, Laws, RandomKey, Scalar, expect, register


@register
class Dirichlet(Family):
    """Draws p and q independently from Dirichlet(a, .., a): peaked for small a, flat for large a.

    The tokens are exchangeable. A coordinate is Beta(a, b), b = (V - 1) a. E TV is V/2 times the
    mean difference of two of these, 4 / (a + b) B(a + b, a + b) / (B(a, a) B(b, b)). At a = 1 E TV
    goes to 1/2 as V grows.

    Cost: some five passes of noise over V.

    Example:
      >>> from specjax import families
      >>> round(families.Dirichlet(1.0).mean_tv(1000), 3)
      0.5
    """

    limit: ClassVar[bool] = False
    concentration: float = 1.0

    def __post_init__(self) -> None:
        expect("concentration", self.concentration, 1e-3, 1e3)

    def sample(self, key: RandomKey, vocabulary: int) -> Laws:
        return Laws(
            *jax.vmap(lambda key: jax.nn.softmax(_log_gamma(key, self.concentration, vocabulary)))(
                jax.random.split(key)
            )
        )

    def mean_tv(self, vocabulary: int) -> float:
        a = self.concentration
        b = (vocabulary - 1) * self.concentration
        return 2 * vocabulary / (a + b) * math.exp(_log_beta(a + b) - _log_beta(a) - _log_beta(b))


def _log_beta(a: float) -> float:
    """log B(a, a)."""
    return 2 * math.lgamma(a) - math.lgamma(2 * a)


def _log_gamma(key: RandomKey, shape: float | Scalar, size: int) -> Law:
    """Logarithms of independent Gamma(shape, 1), as Gamma(shape + 1) times U^(1 / shape).

    Gamma(shape + 1) is drawn by the method of Marsaglia and Tsang. All tokens are proposed again
    until each has been accepted once. `jax.random.loggamma` loops token by token and takes ten
    times as long.
    """
    d = jnp.float32(shape) + 2 / 3
    boost, again = jax.random.split(key)

    def propose(state: tuple[RandomKey, Law]) -> tuple[RandomKey, Law]:
        key, found = state
        key, of_normal, of_uniform = jax.random.split(key, 3)
        x = jax.random.normal(of_normal, (size,))
        log_v = 3 * jnp.log(jnp.maximum(1 + x / jnp.sqrt(9 * d), 0))
        log_u = jnp.log(jax.random.uniform(of_uniform, (size,)))
        accepted = log_u < x**2 / 2 + d - d * jnp.exp(log_v) + d * log_v
        return key, jnp.where(jnp.isnan(found) & accepted, jnp.log(d) + log_v, found)

    start = again, jnp.full(size, jnp.nan, jnp.float32)
    found = jax.lax.while_loop(lambda state: jnp.any(jnp.isnan(state[1])), propose, start)[1]
    return found + jnp.log1p(-jax.random.uniform(boost, (size,))) / shape
