"""Planted errors of layer verification, each a verifier that the audit must reject."""

from unittest import mock

import jax.numpy as jnp

from specjax import rules
from specjax.rules import Claims
from specjax.verifiers import Layer, layer, register

RULE = rules.get("recursive_rejection")()
WRONG: list[type] = []


def wrong(cls: type) -> type:
    """Register a verifier that says that it is lossless."""
    cls.claims = Claims(lossless=True, drafting=frozenset({"iid"}))
    cls.verify = None  # what is drawn is not audited
    WRONG.append(register(cls))
    return WRONG[-1]


def over(accepting):
    """Layer verification over recursive rejection that accepts by another account."""

    def law(self, draft, p):
        made = type("Made", (type(RULE),), {"accepting": lambda self, *given: accepting(*given)})
        return Layer(made()).law(draft, p)

    return law


@wrong
class ResidualGivenTheDrafts:
    """Takes what the rule accepts of these drafts for its mean."""

    law = over(
        lambda tokens, p, q, mask: (found := rules.accepting(RULE, tokens, p, q, mask))._replace(
            mass=jnp.zeros_like(p).at[tokens].add(found.drafts)
        )
    )


@wrong
class EqualSiblingsCountTwice:
    """Gives each of equal siblings all of their token."""

    law = over(
        lambda tokens, p, q, mask: rules.accepting(RULE, tokens, p, q, mask)._replace(
            drafts=jnp.where(mask, RULE.law(tokens, p, q, mask)[tokens], 0)
        )
    )


@wrong
class EqualSiblingsLoseAPart:
    """Gives the first of equal siblings its part and the others nothing; the mean holds all."""

    law = over(
        lambda tokens, p, q, mask: (found := rules.accepting(RULE, tokens, p, q, mask))._replace(
            drafts=found.drafts / jnp.sum(tokens[:, None] == tokens, 1)
        )
    )


@wrong
class MissingTokenLost:
    """Runs the rule with p itself in place of the deficient target."""

    law = over(
        lambda tokens, p, q, mask: rules.accepting(
            RULE, tokens, p.at[-1].set(0) / jnp.maximum(1 - p[-1], 1e-9), q, mask
        )
    )


@wrong
class WeightOfAnotherLayer:
    """Takes the weight of the layer below the root for that of all deeper ones."""

    def law(self, draft, p):
        first = jnp.asarray(draft.topology.depth) == 1

        def whole(weight, here):
            return jnp.minimum(jnp.sum(jnp.where(here[0], weight, jnp.where(first, weight, 0))), 1)

        with mock.patch.object(layer, "_whole", whole):
            return Layer(RULE).law(draft, p)
