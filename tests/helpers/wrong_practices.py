"""Planted errors after published practices: each biased practice of `theory.practices` as a rule or
verifier that the audit must reject.
"""

import jax.numpy as jnp

from experiments.audits import rule_checks
from specjax.numerics import acceptance_probability, add_at, normalise, residual, tiny
from specjax.rules import Law, Mask, Scalar, Tokens, get
from tests.helpers import wrong_rules, wrong_verifiers
from tests.helpers.wrong_rules import planted

HOT, TOP_P = 2.0, 0.92  # the temperature and the nucleus of a request
LEAST = 0.25  # a draft of smaller q is dropped
NEVER = 1e30  # a race that starts then is lost


def first(tokens: Tokens, mask: Mask) -> Scalar:
    """The first draft that was drawn."""
    return tokens[jnp.argmax(mask)]


def verified(tokens: Tokens, p: Law, q: Law, mask: Mask, rest: Law) -> Law:
    """The one-draft rule on the first live draft, with another law after a refusal."""
    draft = first(tokens, mask)
    accept = acceptance_probability(p[draft], q[draft])
    return jnp.where(jnp.any(mask), add_at((1 - accept) * rest, draft[None], accept[None]), p)


def kept(law: Law) -> Mask:
    """The nucleus, ties and all."""
    likelier = jnp.where(law[None] > law[:, None], law[None], 0)
    return jnp.sum(likelier, 1) < TOP_P


@planted(rule_checks.is_lossless, "not lossless")
class NucleusBeforeTemperature:
    """Cuts the nucleus of the raw law p^T, then applies T. The other order gives p itself where the
    nucleus of p is whole.
    """

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        raw = normalise(p**HOT, p)
        cut = normalise(jnp.where(kept(raw), p, 0), p)
        seen = jnp.where(jnp.all(kept(p)) & jnp.any(mask), cut, p)
        return verified(tokens, seen, q, mask, residual(seen, q))


@planted(rule_checks.emits_p_without_drafts, "not emit p")
class BonusFromRawSoftmax:
    """Where nothing is drafted the token comes from the law before the temperature."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        law = verified(tokens, p, q, mask, residual(p, q))
        return jnp.where(jnp.any(mask), law, normalise(p**HOT, p))


@planted(rule_checks.is_lossless, "not lossless", "top_n")
class RealLawOnFixedDraft:
    """Verifies the likeliest tokens of q as if they were draws from q."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        return verified(tokens, p, q, mask, residual(p, q))


@planted(rule_checks.is_lossless, "not lossless")
class OneHotResidualAfterRealTest:
    """Takes only q(x) from p after the draft x was refused."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        draft = first(tokens, mask)
        alone = jnp.zeros_like(q).at[draft].set(q[draft])
        return verified(tokens, p, q, mask, residual(p, alone))


@planted(rule_checks.is_lossless, "not lossless")
class DroppedAfterTheDraw:
    """Drops a drawn draft of small q, and draws from p in its place."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        law = verified(tokens, p, q, mask, residual(p, q))
        return jnp.where(q[first(tokens, mask)] < LEAST, p, law)


@planted(rule_checks.is_lossless, "not lossless")
class DraftNoiseForTheResidual:
    """After a refusal the noise that drew the draft draws again, and each token starts late: at q/r
    in units of the draft's time.
    """

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        rest = residual(p, q)
        late = jnp.minimum(q / jnp.maximum(rest, tiny(p)), NEVER)
        order = jnp.argsort(late)
        rate, start = rest[order], late[order]
        rates, left = jnp.cumsum(rate), 1 - jnp.cumsum(q[order])
        end = jnp.append(start[1:], NEVER)
        opening, closing = 1 / (left + rates * start), 1 / (left + rates * end)
        share = jnp.where(rate > 0, (opening - closing) / jnp.maximum(rates, tiny(p)), 0)
        again = jnp.zeros_like(p).at[order].set(rate * jnp.cumsum(share[::-1])[::-1])
        return verified(tokens, p, q, mask, normalise(again, p))


@planted(rule_checks.is_lossless, "not lossless")
class OneUniformForTestAndResidual:
    """The uniform that refused the draft also draws from the residual."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        draft = first(tokens, mask)
        accept = acceptance_probability(p[draft], q[draft])
        ends = jnp.cumsum(residual(p, q)).at[-1].set(1)
        shared = jnp.maximum(jnp.append(0, ends) - accept, 0)
        return verified(tokens, p, q, mask, normalise(jnp.diff(shared), p))


@planted(rule_checks.is_lossless, "not lossless")
class OneCoinForTwoSiblings:
    """Recursive rejection whose tests all see one uniform."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        r, law, refused = p, jnp.zeros_like(p), jnp.zeros((), p.dtype)
        for token, live in zip(tokens, mask, strict=True):
            end = jnp.where(live, acceptance_probability(r[token], q[token]), 0)
            law = law.at[token].add(jnp.maximum(end - refused, 0))
            refused = jnp.maximum(refused, end)
            r = jnp.where(live, residual(r, q), r)
        return law + (1 - refused) * r


@planted(rule_checks.is_lossless, "not lossless")
class Ensemble:
    """Claims p and verifies against the even mixture of p and q."""

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        mixed = jnp.where(jnp.any(mask), (p + q) / 2, p)
        return get("naive_first")().law(tokens, mixed, q, mask)


PRACTICES = {
    "nucleus before temperature": NucleusBeforeTemperature,
    "bonus from raw softmax": BonusFromRawSoftmax,
    "real law on fixed draft": RealLawOnFixedDraft,
    "one hot residual after real test": OneHotResidualAfterRealTest,
    "dropped after the draw": DroppedAfterTheDraw,
    "draft noise for the residual": DraftNoiseForTheResidual,
    "one uniform for test and residual": OneUniformForTestAndResidual,
    "one coin for two siblings": OneCoinForTwoSiblings,
    "uncapped last position": wrong_verifiers.UncappedAtTheEnd,
    "equality accepts": wrong_rules.AcceptsAtEquality,
}
RULES = wrong_rules.PLANTED  # all planted rules, those of this file among them
