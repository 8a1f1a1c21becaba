"""Planted errors: rules that are not what they claim, each with the check that must reject it and
the words of its reason.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from experiments.audits import rule_checks
from specjax.numerics import (
    acceptance_probability,
    add_at,
    divide,
    is_duplicate,
    normalise,
    residual,
    total,
)
from specjax.rules import (
    Accepting,
    Certificate,
    Claims,
    Law,
    Mask,
    Scalar,
    Solves,
    Tokens,
    get,
    register,
)
from specjax.solvers.importance_weights import CELLS, cells
from tests.helpers.planted import Planted

RecursiveRejection, KSeq = get("recursive_rejection"), get("kseq")


PLANTED: dict[type, Planted] = {}


def planted(check: Callable | None, reason: str, schemes: str = "iid", **claims: object):
    """Register a wrong rule and why the audit must reject it."""

    def enter(cls: type) -> type:
        cls.claims = Claims(**{"lossless": True, "drafting": frozenset(schemes.split()), **claims})
        cls = register(cls)
        PLANTED[cls] = Planted(check, reason)
        return cls

    return enter


def recursive(
    tokens: Tokens,
    p: Law,
    q: Law,
    mask: Mask,
    accept=acceptance_probability,
    end=residual,
    left=residual,
) -> Law:
    """Recursive rejection as the textbook has it, with the steps that the planted errors
    replace.
    """
    r, reached = p, jnp.ones((), p.dtype)
    law = jnp.zeros_like(p)
    for token, live in zip(tokens, mask, strict=True):
        a = jnp.where(live, accept(r[token], q[token]), 0)
        law = law.at[token].add(reached * a)
        reached = reached * (1 - a)
        r, last = jnp.where(live, left(r, q), r), jnp.where(live, end(r, q), r)
    return law + reached * last


def guess(law: Law):
    """A residual whose zero-mass case is decided wrongly: `law` in its place."""

    def wrong(p: Law, q: Law) -> Law:
        rest = jnp.maximum(p - q, 0)
        return normalise(rest, law(p))

    return wrong


@planted(rule_checks.is_lossless, "not lossless")
class AcceptsAtEquality:
    """`u * q <= p` with u = 0: a token with p = 0 is accepted with the probability of an exact
    zero, here made visible.
    """

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        def accept(p: Scalar, q: Scalar) -> Scalar:
            return jnp.maximum(acceptance_probability(p, q), 2.0**-23)

        return recursive(tokens, p, q, mask, accept)


@planted(rule_checks.emits_p_without_drafts, "not emit p")
class ZeroMassToUniform:
    """A residual without mass becomes uniform."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        uniform = guess(lambda p: jnp.full_like(p, 1 / p.shape[0]))
        return jnp.where(
            jnp.any(mask), recursive(tokens, p, q, mask, end=uniform, left=uniform), uniform(p, p)
        )


@planted(rule_checks.emits_p_without_drafts, "not emit p")
class ZeroMassToTokenZero:
    """A residual without mass becomes token 0."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        first = guess(lambda p: jnp.zeros_like(p).at[0].set(1))
        return jnp.where(
            jnp.any(mask), recursive(tokens, p, q, mask, end=first, left=first), first(p, p)
        )


@planted(rule_checks.is_law, "not finite")
class ZeroMassToNan:
    """A residual without mass is 0 / 0."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        def careless(p: Law, q: Law) -> Law:
            rest = jnp.maximum(p - q, 0)
            return rest / jnp.sum(rest)

        return recursive(tokens, p, q, mask, end=careless, left=careless)


@planted(rule_checks.ignores_masked_slots, "the mask is misread|not emit p|masked slot")
class IgnoresTheMask:
    """Verifies slots that were never drawn."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        return recursive(tokens, p, q, jnp.ones_like(mask))


@planted(rule_checks.ignores_masked_slots, "reads a masked slot")
class ReadsMaskedSlots:
    """Right for live slots, but lets a masked token take a millionth of the law."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        law = RecursiveRejection().law(tokens, p, q, mask)
        leak = jnp.where(jnp.any(mask) & ~jnp.all(mask), 1e-6, 0.0)
        return law * (1 - leak) + jnp.zeros_like(p).at[tokens[jnp.argmin(mask)]].set(leak)


@planted(rule_checks.is_that_of_the_live_slots, "mask is misread")
class CountsMaskedSlots:
    """K-SEQ with rho for all slots where only some are live: lossless, but another rule."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        trailing = jnp.arange(len(tokens)) == len(tokens) - 1
        weakened = jnp.where(jnp.all(mask), RecursiveRejection().law(tokens, p, q, mask), p)
        return jnp.where(
            jnp.any(mask & trailing), weakened, RecursiveRejection().law(tokens, p, q, mask)
        )


@planted(rule_checks.is_lossless, "not lossless", "without_replacement")
class WithReplacementRule:
    """The with-replacement rule on drafts drawn without replacement."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        return RecursiveRejection().law(tokens, p, q, mask)


@planted(rule_checks.is_lossless, "not lossless")
class ResamplesFromP:
    """Draws from p after a rejection."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        return recursive(tokens, p, q, mask, end=lambda p, q: p, left=lambda p, q: p)


@planted(rule_checks.is_lossless, "not lossless")
class RhoBelowItsRoot:
    """K-SEQ at rho = 1, below rho*: the residual is clipped."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        accept = jnp.where(mask, acceptance_probability(p[tokens], q[tokens]), 0)
        reached = jnp.concatenate([jnp.ones(1, p.dtype), jnp.cumprod(1 - accept)])
        beta = total(jnp.minimum(p, q))
        rest = normalise(
            jnp.maximum(p - jnp.minimum(p, q) * divide(1 - (1 - beta) ** jnp.sum(mask), beta), 0), p
        )
        return add_at(reached[-1] * rest, tokens, reached[:-1] * accept)


@planted(rule_checks.is_lossless, "not lossless")
class SwapsPAndQ:
    """p and q exchanged, except where nothing is drafted."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        return jnp.where(jnp.any(mask), RecursiveRejection().law(tokens, q, p, mask), p)


@planted(rule_checks.is_lossless, "not lossless")
class ResidualOfAnotherDraftLaw:
    """The residual is computed from a sharpened q, which is not the one that drafted."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        other = q**2 / jnp.sum(q**2)
        return recursive(
            tokens,
            p,
            q,
            mask,
            end=lambda p, q: residual(p, other),
            left=lambda p, q: residual(p, other),
        )


@planted(rule_checks.is_law, "does not sum to 1")
class LosesMass:
    """Every law sums to 0.999."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        return 0.999 * p


@planted(rule_checks.is_law, "negative")
class GoesNegative:
    """Subtracts more than there is from one token and gives it to another; on average it emits
    p.
    """

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        return p.at[0].add(-1e-3).at[1].add(1e-3)


@planted(rule_checks.attains_the_optimum, "claims the optimum", optimal_for=2)
class ClaimsTheOptimum:
    """Recursive rejection is not optimal for two drafts."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        return RecursiveRejection().law(tokens, p, q, mask)


@planted(rule_checks.meets_its_expectation, "accepted says")
class MisstatesWhatItSolves(Solves):
    """Recursive rejection whose solve says that half is accepted."""

    def solve(self, p, q, n, live):
        return q

    def law_of(self, solved, tokens, p, mask):
        return recursive(tokens, p, solved, mask)

    def accepted(self, solved):
        return jnp.sum(solved) / 2


@planted(rule_checks.meets_its_expectation, "expected_acceptance says")
class PromisesTooMuch:
    """States K-SEQ's acceptance for recursive rejection."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        return RecursiveRejection().law(tokens, p, q, mask)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        return KSeq().expected_acceptance(p, q, n)


@planted(rule_checks.is_law, "does not sum to 1")
class MiscountsDuplicates:
    """Writes the mass of equal drafts over each other in place of adding it up."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        law, reached, r = p, jnp.ones((), p.dtype), p
        spread = jnp.zeros_like(p)
        for token, live in zip(tokens, mask, strict=True):
            a = jnp.where(live, acceptance_probability(r[token], q[token]), 0)
            spread = spread.at[token].set(jnp.where(live, reached * a, spread[token]))
            reached, r = reached * (1 - a), jnp.where(live, residual(r, q), r)
        return jnp.where(jnp.any(mask), spread + reached * r, law)


@planted(rule_checks.is_lossless, "not lossless")
class ForgetsTheSelection:
    """Picks the draft of largest p/q and verifies it against q, not against the law of the picked
    draft.
    """

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        picked = tokens[jnp.argmin(jnp.where(mask, cells(p, q)[tokens], CELLS))]
        accept = acceptance_probability(p[picked], q[picked])
        return jnp.where(
            jnp.any(mask), add_at(residual(p, q) * (1 - accept), picked[None], accept[None]), p
        )


@planted(rule_checks.is_lossless, "not lossless", "top_n")
class NeverRenormalises:
    """Offers fixed drafts with probability p(x_i) each, as if none had been rejected before."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        accept = jnp.where(mask, p[tokens], 0)
        reached = jnp.concatenate([jnp.ones(1, p.dtype), jnp.cumprod(1 - accept)])
        rest = normalise(p.at[jnp.where(mask, tokens, len(p))].set(0, mode="drop"), p)
        return add_at(reached[-1] * rest, tokens, reached[:-1] * accept)


@planted(rule_checks.is_lossless, "not lossless", "independent")
class OneDrafterForAll:
    """Verifies the drafts of all drafters against the law of the first live one."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        return get("multi_drafter")().law(
            tokens, p, jnp.broadcast_to(q[jnp.argmax(mask)], q.shape), mask
        )


@planted(rule_checks.is_lossless, "not lossless", "hub", n_range=(2, 2))
class OffersTheHubTwice:
    """SpecHub that accepts the hub with its whole mass after either draft order."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        law, hub = get("hub")().law(tokens, p, q, mask), jnp.argmax(q)
        return jnp.where(
            jnp.all(mask) & (tokens[0] != hub),
            law * (1 - p[hub]) + p[hub] * jnp.zeros_like(p).at[hub].set(1),
            law,
        )


def certified(p: Law, q: Law) -> Certificate:
    """A true certificate of recursive rejection with two drafts, in whatever precision: it claims
    to be no nearer than alpha* = 1.
    """
    alpha = RecursiveRejection().expected_acceptance(p, q, 2)
    return Certificate(
        alpha, jnp.ones_like(alpha), 1 - alpha, jnp.full_like(alpha, 1e-6), jnp.bool_(True)
    )


def certifies(change):
    """Recursive rejection with a certificate that is changed."""

    def enter(cls: type) -> type:
        cls.law = lambda self, tokens, p, q, mask: RecursiveRejection().law(tokens, p, q, mask)
        cls.certificate = lambda self, p, q, n: change(certified(p, q), p, q)
        return cls

    return enter


@planted(rule_checks.meets_its_certificate, "certificate's alpha is not the enumerated acceptance")
@certifies(lambda made, p, q: made._replace(alpha=made.alpha + 1e-5, gap=made.gap - 1e-5))
class OverstatesItsAcceptance:
    """Certifies more than it accepts."""


@planted(rule_checks.meets_its_certificate, "certificate's alpha_star is below the optimum")
@certifies(lambda made, p, q: made._replace(alpha_star=made.alpha, gap=made.gap * 0))
class CertifiesItselfOptimal:
    """Takes what it accepts for the optimum."""


@planted(rule_checks.is_that_of_the_live_slots, "mask is misread", searches=True)
class SearchesAndMisreadsTheMask(CountsMaskedSlots):
    """Its mask is weighed by the chance of the drafts."""


@planted(rule_checks.meets_its_certificate, "certificate's gap is not alpha_star - alpha")
@certifies(lambda made, p, q: made._replace(gap=made.gap / 2))
class HalvesItsGap:
    """Understates how far it is from the optimum."""


@planted(
    rule_checks.meets_its_certificate, "in float32 its certificate's tv_bound is below the bias"
)
@certifies(lambda made, p, q: made._replace(tv_bound=made.gap * 0))
class SaysThatItDoesNotRound:
    """Takes the rounding of its law for none."""


@planted(rule_checks.is_law, "float32")
class OverflowsInSinglePrecision:
    """Divides by a guard that is subnormal in float32."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        law = RecursiveRejection().law(tokens, p, q, mask)
        scale = jnp.asarray(1e40, p.dtype)
        return law * scale / scale


@planted(rule_checks.holds_in_single_precision, "float32")
class CancelsInSinglePrecision:
    """Works with p + 1000: in float32 four digits of p are left."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        # XLA may simplify the sum away otherwise
        shifted = jax.lax.optimization_barrier(p + 1e3) - 1e3
        return RecursiveRejection().law(tokens, normalise(shifted, p), q, mask)


@planted(None, "raises")
class TakesTwoDrafts:
    """Claims every n and fails for three."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        if len(tokens) > 2:
            raise ValueError("two drafts at most")
        return p


@planted(None, "returns shape")
class ReturnsAScalar:
    """A law of the wrong shape."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Scalar:
        return jnp.sum(p)


@planted(rule_checks.meets_its_expectation, "in float32 expected_acceptance says")
class HalvesItsExpectationInSingle:
    """States half of what it accepts where a table would read it: in single precision."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        return RecursiveRejection().law(tokens, p, q, mask)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        return RecursiveRejection().expected_acceptance(p, q, n) * (
            0.5 if p.dtype == jnp.float32 else 1
        )


@planted(rule_checks.holds_in_single_precision, "in float32 the acceptance differs from float64's")
class TimidInSingle:
    """In single precision it ignores the drafts: lossless, and another rule, near ties and far from
    them.
    """

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        return p if p.dtype == jnp.float32 else RecursiveRejection().law(tokens, p, q, mask)


@planted(
    rule_checks.takes_drafts_one_by_one,
    "not sequential: with 1 drafts known one more moves the emitted law",
    "without_replacement",
    sequential=True,
)
class LooksAtTheirNumber:
    """Says that it takes drafts one by one, and ignores them where there are two."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        law = get("recursive_rejection_without_replacement")().law(tokens, p, q, mask)
        return jnp.where(jnp.sum(mask) == 2, p, law)


@planted(rule_checks.is_lossless, "not lossless under iid: .* on drawn_")
class WrongBetweenThePairs:
    """Verifies against q squared where max q lies between the peaks of the battery."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        between = (jnp.max(q) > 0.93) & (jnp.max(q) < 0.99)
        return RecursiveRejection().law(
            tokens, p, jnp.where(between, q**2 / jnp.sum(q**2), q), mask
        )


@planted(rule_checks.meets_its_accepted_mass, "accepted_mass is not the enumerated mean")
class MassOfTheFirstDraft(get("naive_first")):  # type: ignore[misc]
    """Forgets that a residual may land on a later draft."""

    def accepted_mass(self, p: Law, q: Law, mask: Mask) -> Law:
        return jnp.minimum(p, q)


@planted(rule_checks.meets_its_accepted_mass, "given the drafts it accepts more than it emits")
class AcceptsWhatIsDrafted(get("naive_membership")):  # type: ignore[misc]
    """Accepts every draft, and says so."""

    def accepted_mass(self, p: Law, q: Law, mask: Mask) -> Law:
        return 1 - (1 - q) ** jnp.sum(mask)

    def accepting(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Accepting:
        first = mask & ~is_duplicate(tokens, mask)
        return Accepting(first.astype(p.dtype), self.accepted_mass(p, q, mask))
