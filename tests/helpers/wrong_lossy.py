"""Planted errors: lossy rules that are not what they claim, each with the check that must reject it
and the words of its reason.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp

from experiments.audits import lossy_checks, rule_checks
from specjax._types import Loss
from specjax.numerics import acceptance_probability, total
from specjax.rules import Claims, Law, Lenience, Mask, Rule, Tokens, register
from tests.helpers.wrong_rules import TimidInSingle, planted

ONE = {"lossless": False, "n_range": (1, 1)}


@register
class Mixes(Rule):
    """Emits its first draft with probability `share`, else a token of p: sound, and lossy."""

    claims: ClassVar[Claims] = Claims(
        lossless=False, drafting=frozenset({"iid"}), loss=Loss("tv", "share")
    )
    share: float = 0.5

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        first = jax.nn.one_hot(tokens[jnp.argmax(mask)], len(p), dtype=p.dtype)
        return jnp.where(jnp.any(mask), self.share * first + (1 - self.share) * p, p)

    def emitted(self, p: Law, q: Law, n: int) -> Law:
        return self.share * q + (1 - self.share) * p


@planted(
    lossy_checks.keeps_its_budget,
    "breaks its budget: tv of the emitted law from p, with 1 drafts, is above budget = 0.01",
    loss=Loss("tv", "budget"),
    **ONE,
)
class LenientBeyondItsBudget(Lenience):
    """Lenience that says that it loses next to nothing."""

    budget: float = 0.01


@planted(
    lossy_checks.keeps_its_budget,
    "ratio of the emitted law from p, .* is above budget = 1.5",
    loss=Loss("ratio", "budget"),
    **ONE,
)
class LenientBeyondItsRatio(Lenience):
    """Lenience of 1/2 that says that no token is more than half as likely again."""

    budget: float = 1.5


@planted(
    lossy_checks.keeps_its_budget,
    "kl of the emitted law from p, .* is above delta = 0.1",
    loss=Loss("kl", "delta"),
    **ONE,
)
class BudgetPerDraftedToken(Lenience):
    """Spends its budget at every token at once, as if only one could be drafted."""

    delta: float = 0.1

    def kept(self, p: Law, q: Law) -> Law:
        raised = p + jnp.sqrt(2 * self.delta * p * (1 - p))
        return acceptance_probability(jnp.minimum(raised, 1), q)


@planted(
    lossy_checks.keeps_its_budget,
    "claims a loss within its field budget, and has no such field",
    loss=Loss("tv", "budget"),
    **ONE,
)
class HasNoBudget(Lenience):
    """Claims a budget that it has not."""


@planted(lossy_checks.emits_what_it_says, "what `emitted` says is not the enumerated law", **ONE)
class SaysThatItEmitsTheTarget(Lenience):
    """Lenience that states p for its emitted law."""

    def emitted(self, p: Law, q: Law, n: int) -> Law:
        return p


@planted(
    lossy_checks.emits_what_it_says,
    "in float32 what `emitted` says is not the enumerated law",
    **ONE,
)
class StatesTheTargetInSingle(Lenience):
    """States p where a table would read it: in single precision."""

    def emitted(self, p: Law, q: Law, n: int) -> Law:
        return p if p.dtype == jnp.float32 else super().emitted(p, q, n)


@planted(rule_checks.is_lossless, "not lossless under iid: total variation", n_range=(1, 1))
class LenientAndLossless(Lenience):
    """Lenience that claims to be lossless."""


@planted(
    lossy_checks.is_on_the_front, "claims to be on the front and accepts less", on_front=True, **ONE
)
class TypicalOnTheFront(Lenience):
    """Keeps what the target finds likely, else emits the target's likeliest token."""

    def kept(self, p: Law, q: Law) -> Law:
        return (p > 0.3).astype(p.dtype)

    def rest(self, p: Law, q: Law) -> Law:
        return jax.nn.one_hot(jnp.argmax(p), len(p), dtype=p.dtype)


@planted(rule_checks.meets_its_expectation, "expected_acceptance says", **ONE)
class ForgetsTheSecondChance(Lenience):
    """Counts the drafts that it keeps, and not those which it draws again."""

    def rest(self, p: Law, q: Law) -> Law:
        return p

    def expected_acceptance(self, p: Law, q: Law, n: int):
        return total(q * self.kept(p, q))


@planted(rule_checks.emits_p_without_drafts, "not emit p", lossless=False)
class BestWithoutDrafts(Mixes):
    """Says that its bonus token is the target's, and takes the likeliest."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        best = jax.nn.one_hot(jnp.argmax(p), len(p), dtype=p.dtype)
        return jnp.where(jnp.any(mask), super().law(tokens, p, q, mask), best)


@planted(
    lossy_checks.holds_in_single_precision,
    "in float32 it emits another law than in float64",
    lossless=False,
)
class FaithfulInSingle:
    """In single precision it emits p."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        return p if p.dtype == jnp.float32 else Mixes().law(tokens, p, q, mask)


@planted(
    lossy_checks.holds_in_single_precision,
    "in float32 the acceptance differs from float64's",
    lossless=False,
)
class TimidAndLossyInSingle(TimidInSingle):
    """In single precision it ignores the drafts."""
