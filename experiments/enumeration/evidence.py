"""Evidence for rules that read it: a fixed random table with a row for each token."""

import jax
import jax.numpy as jnp

from specjax.rules import Rule, Sees

WIDTH = 4


def table(vocabulary: int) -> jax.Array:
    """The evidence of each token, [V, WIDTH]; the same for every pair of laws.

    Each column has mean 0, so that a head finds some tokens good and others not.
    """
    drawn = jax.random.normal(jax.random.key(0), (vocabulary, WIDTH), jnp.float32)
    return drawn - jnp.mean(drawn, 0)


def given(rule: Rule, tokens: jax.Array, mask: jax.Array, p: jax.Array) -> Rule:
    """The rule with the evidence of its drafts, NaN in masked slots; other rules as they are."""
    if not isinstance(rule, Sees):
        return rule
    return rule.seeing(jnp.where(mask[:, None], table(len(p)).astype(p.dtype)[tokens], jnp.nan))
