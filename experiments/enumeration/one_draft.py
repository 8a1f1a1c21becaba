"""What a rule of one draft accepts and emits, by enumeration of the draft."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray

from specjax._types import Law, Tokens
from specjax.numerics import dot
from specjax.rules import Rule
from theory import lossy

WHOLE = 4096  # up to this V every draft is enumerated
LEFT = 1e-3  # beyond, the least likely drafts that hold less than this together are not
TOGETHER = 16  # drafts side by side

Values = NDArray[np.float64]


class Enumerated(NamedTuple):
    """A rule at one context.

    Attributes:
      own: [V], the probability that each draft is emitted.
      law: [V], the emitted law.
    """

    own: Values
    law: Values


def enumerated(rule: Rule, p: Values, q: Values) -> Enumerated:
    """What is emitted of every draft, and on average.

    Beyond V = 4096 the least likely drafts, of less than .001 together, are left to the lossless
    rule. The acceptance and the law are off by so much at most.

    Cost: a law for each draft that is not left.

    Args:
      rule: takes one draft.
      p: target law [V].
      q: draft law [V].

    Returns:
      Both.
    """
    drafts = _drafts(q)
    size = -(-len(drafts) // TOGETHER) * TOGETHER
    tokens = np.resize(drafts, size)
    weights = np.where(np.arange(size) < len(drafts), q[tokens], 0.0)
    of_draft, law = _over(
        rule,
        jnp.asarray(p),
        jnp.asarray(q),
        jnp.asarray(tokens.reshape(-1, TOGETHER)),
        jnp.asarray(weights.reshape(-1, TOGETHER)),
    )
    own = lossy.ratio(p, q)
    left = q.copy()
    left[drafts] = 0.0
    refused = float((left * (1.0 - own)).sum())
    others = left * own + refused * lossy.scaled(p - q, p)
    own[drafts] = np.asarray(of_draft).reshape(-1)[: len(drafts)]
    return Enumerated(own, np.asarray(law, np.float64) + others)


def _drafts(q: Values) -> NDArray[np.intp]:
    """The drafts to enumerate, the likeliest first."""
    order = np.argsort(-q, kind="stable")
    if len(q) <= WHOLE:
        return order[: np.count_nonzero(q)]
    held = np.cumsum(q[order])
    return order[: int(np.searchsorted(held, 1.0 - LEFT)) + 1]


@jax.jit
def _over(
    rule: Rule,
    p: Law,
    q: Law,
    tokens: Int[Array, "parts together"],
    weights: Float[Array, "parts together"],
) -> tuple[Float[Array, "parts together"], Law]:
    """The probability that each draft is emitted, and the sum of the laws with these weights."""

    def alone(draft: Tokens) -> Law:
        return rule.law(draft, p, q, jnp.ones(1, bool))

    def add(
        law: Law, part: tuple[Int[Array, " together"], Float[Array, " together"]]
    ) -> tuple[Law, Float[Array, " together"]]:
        drafts, shares = part
        laws = jax.vmap(alone)(drafts[:, None])
        return law + dot(shares, laws), laws[jnp.arange(len(drafts)), drafts]

    law, own = jax.lax.scan(add, jnp.zeros_like(p), (tokens, weights))
    return own, law
