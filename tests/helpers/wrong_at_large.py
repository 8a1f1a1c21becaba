"""Planted errors: rules that are wrong at a large vocabulary, each with the check that must reject
it and the words of its reason.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from experiments.audits import large_checks
from specjax._types import Loss
from specjax.rules import Certificate, Claims, register
from tests.helpers.wrong_lossy import Mixes
from tests.helpers.wrong_rules import RecursiveRejection


class Wrong(NamedTuple):
    """A wrong rule, the check that must reject it (None if its law raises) and its reason."""

    rule: type
    check: Callable | None
    reason: str


def planted(law=None, expected=None, **claims):
    """Recursive rejection whose law or expectation is `law` or `expected` from some size on."""

    class Planted:
        def law(self, tokens, p, q, mask):
            right = RecursiveRejection().law(tokens, p, q, mask)
            return law(right, tokens, p) if law else right

        def expected_acceptance(self, p, q, n):
            right = RecursiveRejection().expected_acceptance(p, q, n)
            return expected(right, p) if expected else right

    Planted.claims = Claims(lossless=True, drafting=frozenset({"iid"}), **claims)
    return register(Planted)


def at(tokens, p, slot):
    return jnp.zeros_like(p).at[tokens[slot]].set(1)


def raises(law, tokens, p):
    if len(tokens) > 3 or len(p) > 8:
        raise RuntimeError("too many")
    return law


def certifies(**change):
    """A rule with a certificate that is wrong at a large vocabulary."""

    class Certified:
        claims = Claims(lossless=True, drafting=frozenset({"iid"}))

        def law(self, tokens, p, q, mask):
            return RecursiveRejection().law(tokens, p, q, mask)

        def certificate(self, p, q, n):
            alpha = RecursiveRejection().expected_acceptance(p, q, n)
            return Certificate(
                alpha, jnp.ones_like(alpha), 1 - alpha, jnp.zeros_like(alpha), jnp.bool_(True)
            )._replace(**change)

    return register(Certified)


def mixes(emitted=Mixes.emitted, **claims):
    """A lossy rule that is sound but for what it claims, or states at a large vocabulary."""
    held = {"claims": Mixes.claims._replace(**claims), "emitted": emitted, "budget": 0.01}
    return register(type("Lossy", (Mixes,), held))


WRONG_BEYOND = {
    "accepts everything": Wrong(
        planted(lambda law, tokens, p: law if len(p) <= 8 else at(tokens, p, 0)),
        large_checks.is_lossless,
        "not lossless under iid at V = 600",
    ),
    "loses mass": Wrong(
        planted(lambda law, tokens, p: law if len(p) <= 8 else 0.999 * law),
        large_checks.is_law,
        "no law: it does not sum to 1",
    ),
    "not finite": Wrong(
        planted(lambda law, tokens, p: law if len(p) <= 8 else law / 0),
        large_checks.is_law,
        "no law: it holds a number that is not finite",
    ),
    "negative": Wrong(
        planted(lambda law, tokens, p: law if len(p) <= 8 else law.at[0].add(1).at[1].add(-1)),
        large_checks.is_law,
        "no law: it has a negative",
    ),
    "raises": Wrong(planted(raises), None, "raises RuntimeError: too many"),
    "states too little": Wrong(
        planted(expected=lambda alpha, p: alpha if len(p) <= 8 else 0.9 * alpha),
        large_checks.meets_its_expectation,
        "the law's mass on the drafts is not",
    ),
    "states too much": Wrong(
        planted(expected=lambda alpha, p: alpha if len(p) <= 8 else 1.0 + 0 * alpha),
        large_checks.expects_no_more_than_the_optimum,
        "expected_acceptance lies above",
    ),
    "misses the optimum": Wrong(
        planted(optimal_for=-1),
        large_checks.attains_the_optimum,
        "claims the optimum for n = 2 and misses it",
    ),
    "certifies too little": Wrong(
        certifies(alpha_star=jnp.float32(0.5)),
        large_checks.certifies_no_less_than_the_optimum,
        "its certificate's alpha_star is below the optimum",
    ),
    "certifies another acceptance": Wrong(
        certifies(gap=jnp.float32(0.0)),
        large_checks.certifies_what_it_accepts,
        "its certificate's alpha_star - gap is not what it accepts",
    ),
    "states another emitted law": Wrong(
        mixes(lambda self, p, q, n: Mixes.emitted(self, p, q, n) if len(p) <= 8 else p),
        large_checks.emits_what_it_says,
        "what `emitted` says is not the mean law",
    ),
    "loses more than it says": Wrong(
        mixes(loss=Loss("tv", "budget")), large_checks.keeps_its_budget, "breaks its budget"
    ),
    "lies below the front": Wrong(
        mixes(on_front=True), large_checks.is_on_the_front, "claims to be on the front"
    ),
}
