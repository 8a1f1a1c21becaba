"""Weighted MinHash."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from specjax._types import Index
from specjax.couplings._base import Coupling, Law, RandomKey, Tokens, check_one, register
from specjax.numerics import exponential, fine, uniforms


@register
class Minhash(Coupling):
    """Takes draft and token from shared points on tokens x [0, 1], the first below q and below p.

    The draft is the token of the first point below q, and the emitted token that of the first point
    below p. The first point below max(p, q) is below both with probability sum min(p, q) / sum
    max(p, q). In that case draft and token agree. If the point serves only one of them, the other
    may still come to the same token later. In total P(hit) = (sum min(p, q) + sum (q - p)+ p + sum
    (p - q)+ q) / sum max(p, q).

    For each token, the points that lie lower than all before them are a Markov chain of (time,
    height). Some log(1 / min p) passes over V therefore stand for V / p points. The scheme is exact
    for real weights.

    Cost: some log(1 / min p) passes of noise over V. Source: daliri2024coupling.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from specjax import couplings
      >>> p = jnp.array([0.5, 0.3, 0.2])
      >>> drafts, token = couplings.Minhash().couple(jax.random.key(0), p, p, 1)
      >>> bool(drafts[0] == token)
      True
    """

    n_range = (1, 1)
    source = "daliri2024coupling"

    def couple(self, key: RandomKey, p: Law, q: Law, n: int) -> tuple[Tokens, Index]:
        check_one("minhash", n)
        return jnp.argmin(_arrivals(key, q))[None], jnp.argmin(_arrivals(key, p))


def _arrivals(key: RandomKey, law: Law) -> Float[Array, " V"]:
    """The time of each token's first point below its mass; infinite for a token without mass.

    From height h the next lower point comes after Exp(h), and its height is uniform on [0, h). Step
    k uses the same noise for every law.
    """

    def descend(state: tuple[Index, Array, Array]) -> tuple[Index, Array, Array]:
        step, time, height = state
        wait, fall = jax.random.split(jax.random.fold_in(key, step))
        high = height >= law
        time = time + jnp.where(high, exponential(wait, law.shape, law.dtype) / height, 0)
        return (
            step + 1,
            time,
            jnp.where(high, height * fine(uniforms(fall, law.shape, law.dtype)), height),
        )

    def above(state: tuple[Index, Array, Array]) -> Array:
        return jnp.any((state[2] >= law) & (law > 0))

    start = (jnp.int32(0), jnp.zeros_like(law), jnp.ones_like(law))
    _, time, height = jax.lax.while_loop(above, descend, start)
    return jnp.where((law > 0) & (height < law), time, jnp.inf)
