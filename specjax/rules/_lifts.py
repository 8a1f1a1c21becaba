"""Rules made of other rules: one run for another target law, and one overruled by a judge."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from specjax import targets
from specjax._registry import register
from specjax._types import Index, Scalar
from specjax.numerics import add_at, is_duplicate
from specjax.rules._base import Claims, Law, Mask, Rule, Tokens


@register
class Retarget:
    """Runs a rule with another law e for p.

    A lossless rule then emits e exactly, and accepts as much of e as it would of p. Without drafts
    p is emitted.

    Attributes:
      rule: any rule.
      target: the law e: `targets.Band`, `targets.Interpolate`, ..

    Example:
      >>> import jax.numpy as jnp
      >>> from specjax import rules, targets
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> rule = rules.Retarget(rules.KSeq(), targets.Interpolate(0.5))
      >>> law = rule.law(jnp.array([2, 2]), p, q, jnp.array([True, True]))
      >>> [round(float(chance), 3) for chance in law]
      [0.213, 0.0, 0.787]
    """

    rule: Rule
    target: targets.Target
    name: ClassVar[str]

    @property
    def claims(self) -> Claims:
        """The claims of the rule, without those that need p."""
        return _lossy(self.rule.claims)

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        """The law of the emitted token given the drafts."""
        law = self.target(p, q, len(tokens), jnp.maximum(jnp.sum(mask), 1))
        return self.rule.law(tokens, jnp.where(jnp.any(mask), law, p), q, mask)


@register
class Overrule:
    """Runs a rule; where it would emit no draft, a judge may keep one.

    A draft is emitted at least as often as the judge would emit it if it were alone, as far as the
    chance of no draft lasts; the first slots come first. What is left of the residual keeps its
    law. Over a lossless rule the TV is at most what is gained in acceptance. Over `single` it is
    A - alpha*, so that no rule accepts more at this TV: the free repair of a lossy rule.

    Attributes:
      rule: any rule.
      judge: a rule of one draft, as a rule a lossy one.

    Source: specjax2026.
    """

    rule: Rule
    judge: Rule
    name: ClassVar[str]

    @property
    def claims(self) -> Claims:
        """The claims of the rule, without those that need p."""
        return _lossy(self.rule.claims)

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        """The law of the emitted token given the drafts."""
        law = self.rule.law(tokens, p, q, mask)
        first = mask & ~is_duplicate(tokens, mask)
        emitted = jnp.where(first, law[tokens], 0)
        missed = jnp.maximum(1 - jnp.sum(emitted), 0)
        asked = jnp.maximum(jax.vmap(self._asked, (0, None, None))(tokens, p, q) - emitted, 0)
        spent = jnp.minimum(jnp.cumsum(jnp.where(first, asked, 0)), missed)
        kept = jnp.diff(spent, prepend=0)
        others = law.at[tokens].multiply(jnp.where(mask, 0, 1))
        left = jnp.where(missed > 0, (missed - spent[-1]) / jnp.where(missed > 0, missed, 1), 0)
        overruled = add_at(others * left, tokens, emitted + kept)
        return jnp.where(jnp.any(mask), overruled, law)

    def _asked(self, token: Index, p: Law, q: Law) -> Scalar:
        """How often the judge emits a draft that is alone."""
        alone = self.judge.law(token[None], p, q, jnp.ones(1, bool))
        return alone[token]


def _lossy(claims: Claims) -> Claims:
    """What holds of a rule whatever the target law is."""
    return claims._replace(lossless=False, optimal_for=0, loss=None, on_front=False)
