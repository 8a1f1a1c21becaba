"""A rule audited at large vocabularies: drafts are drawn, its laws at them averaged over groups of
tokens and held to p.

No token is drawn: what varies is the drafts alone (Rao-Blackwell). All is computed in float32, as a
decode does.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.audits import large_checks
from experiments.audits.large_checks import LargeRuleUnderAudit, Seen, Stated
from experiments.audits.outcomes import LOSSY, OK, Outcome, outcome
from experiments.audits.rule_audit import Row, check_claims
from experiments.cli import seeds
from experiments.cli.console import raised
from experiments.enumeration import evidence, rule_laws
from experiments.stats import frequencies
from specjax import bounds, drafting, rules
from specjax._types import RandomKey
from specjax.numerics import DIVERGENCES, dot, is_duplicate, total_variation
from specjax.rules import Claims, Rule

GROUPS = 8  # of the tokens by p/q, and as many by lot
CELLS = 1 << 24  # numbers in the laws that are computed side by side: 64 MB


class Size(NamedTuple):
    """A vocabulary, how many drafts, and how many tuples of them are drawn; the last for a rule
    that searches.
    """

    vocabulary: int
    n: int
    draws: int
    searched: int


# On either side of the sizes at which rules and solvers take another way: 512 (nodes), 4096 (no
# sort); one draft is a way of its own.
SIZES = (
    Size(600, 3, 1 << 14, 1 << 9),
    Size(5000, 1, 1 << 12, 1 << 8),
    Size(5000, 2, 1 << 12, 1 << 8),
    Size(70_000, 2, 1 << 10, 1 << 7),
)


def sizes(claims: Claims) -> list[tuple[str, Size]]:
    """Where a rule is audited under each scheme: the sizes with the nearest number of drafts below
    that both take.
    """
    found: dict[tuple[str, int, int], tuple[str, Size]] = {}
    for scheme in () if claims.per_pair else sorted(claims.drafting):
        for size in SIZES:
            taken = [
                n for n in range(size.n, 0, -1) if claims.admits(n) and rule_laws.drafts(scheme, n)
            ]
            if taken:
                found[scheme, size.vocabulary, taken[0]] = scheme, size._replace(n=taken[0])
    return list(found.values())


def audit_large(make: type[Rule], scheme: str, size: Size, seed: int = 0) -> list[Row]:
    """The verdict on a rule under one scheme at one size, on two pairs of laws: one log-normal, one
    with a peak and zeros.

    Raises:
      ValueError: the rule cannot be audited.
    """
    check_claims(make)
    draws = size.searched if make.claims.searches else size.draws
    allowed = frequencies.allowance(np.full(GROUPS, 1 / GROUPS), draws)
    scope = (
        f"V = {size.vocabulary}, {draws} draws: tuples of drafts on each of 2 pairs, float32, TV "
        f"{allowed:.1g} may be chance; seed {seed}"
    )
    row = functools.partial(Row, make.name, scheme, size.n)
    found = []
    for p, q in _laws(size, scheme, seed):
        try:
            found.append(_audited(make(), scheme, size.n, draws, p, q, seed))
        except Exception as error:  # whatever a stranger's rule raises is a finding, not a crash
            return [row(None, None, None, Outcome(raised(error)), scope)]
    sound = OK if make.claims.lossless else LOSSY
    verdict = next((verdict for verdict, *_ in found if verdict != OK), sound)
    losses, accepted, optimum = np.array([numbers for _, *numbers in found]).T
    return [row(float(losses.max()), float(accepted.mean()), float(optimum.mean()), verdict, scope)]


def _laws(size: Size, scheme: str, seed: int) -> list[tuple[jax.Array, jax.Array]]:
    """Pairs p, q; of independent drafters one q for each slot."""
    rng = np.random.default_rng((seeds.natural(seed), size.vocabulary))
    pairs = []
    for spread, peak in ((1.0, 0.0), (3.0, 8.0)):
        logits = rng.normal(0, spread, size.vocabulary)
        logits[0] += peak
        wanted = logits + rng.normal(0, 0.7, size.vocabulary)
        logits[rng.random(size.vocabulary) < peak / 40] = -np.inf
        p = jax.nn.softmax(jnp.asarray(wanted, jnp.float32))
        q = jax.nn.softmax(jnp.asarray(logits, jnp.float32))
        if scheme == "independent":
            q = jnp.asarray(rule_laws.slots(np.asarray(q), size.n))
        pairs.append((p, q))
    return pairs


def _audited(
    rule: Rule,
    scheme: str,
    n: int,
    draws: int,
    p: jax.Array,
    q: jax.Array,
    seed: int,
) -> tuple[Outcome, float, float, float]:
    """The verdict; the total variation that the rule states, else that over groups; the acceptance
    and the optimum.
    """
    groups = _groups(
        np.asarray(p, np.float64), np.asarray(q if q.ndim == 1 else q[0], np.float64), seed
    )
    batch = max(1, min(draws, CELLS // len(p)))
    key = seeds.key(seed)
    of_groups = jnp.asarray(groups, jnp.float32)
    seen = jax.tree.map(np.asarray, _seen(rule, key, p, q, of_groups, n, scheme, draws, batch))
    stated = jax.tree.map(np.asarray, _stated(rule, p, q, of_groups, n, scheme))
    wanted = np.asarray(p, np.float64) @ groups
    mean = seen.groups.mean(0, dtype=np.float64)
    audited = LargeRuleUnderAudit(
        claims=rule.claims,
        scheme=scheme,
        n=n,
        vocabulary=len(p),
        seen=seen,
        stated=stated,
        error=np.abs(mean - wanted).reshape(2, GROUPS).sum(1) / 2,
        off=np.abs(mean - stated.groups).reshape(2, GROUPS).sum(1) / 2,
        allowed=np.array([frequencies.allowance(law, draws) for law in wanted.reshape(2, GROUPS)]),
        accepted=float(seen.hits.mean(dtype=np.float64)),
        chance=frequencies.mean_allowance(seen.hits),
    )
    of_claims = large_checks.OF_CLAIMS if rule.claims.lossless else large_checks.OF_LOSSY
    verdict = outcome(audited, large_checks.OF_LAWS + of_claims)
    lost = np.fmax(stated.tv, audited.error.max())
    return verdict, float(lost), audited.accepted, float(stated.upper)


def _groups(p: np.ndarray, q: np.ndarray, seed: int) -> np.ndarray:
    """Which tokens are in a group, [V, 2 GROUPS]: by p/q, in groups of about equal mass of p + q;
    then by lot.
    """
    order = np.argsort(p / np.maximum(q, np.finfo(np.float32).tiny))
    mass = np.cumsum((p + q)[order]) / (p + q).sum()
    group = np.empty((2, len(p)), np.int64)
    group[0, order] = np.minimum(mass * GROUPS, GROUPS - 1)
    group[1] = np.random.default_rng(seeds.natural(seed)).integers(0, GROUPS, len(p))
    return np.concatenate([one[:, None] == np.arange(GROUPS) for one in group], 1).astype(
        np.float64
    )


@functools.partial(jax.jit, static_argnames=("n", "scheme", "draws", "batch"))
def _seen(
    rule: Rule,
    key: RandomKey,
    p: jax.Array,
    q: jax.Array,
    groups: jax.Array,
    n: int,
    scheme: str,
    draws: int,
    batch: int,
) -> Seen:
    def at(key: RandomKey) -> Seen:
        tokens, mask = drafting.get(scheme)().sample(key, q, n)
        law = evidence.given(rule, tokens, mask, p).law(tokens, p, q, mask)
        hits = jnp.where(mask & ~is_duplicate(tokens, mask), law[tokens], 0)
        sums = dot(law, groups)
        return Seen(sums, jnp.sum(hits), jnp.sum(sums[:GROUPS]), jnp.min(law))

    seen: Seen = jax.lax.map(at, jax.random.split(key, draws), batch_size=batch)
    return seen


@functools.partial(jax.jit, static_argnames=("n", "scheme"))
def _stated(
    rule: Rule,
    p: jax.Array,
    q: jax.Array,
    groups: jax.Array,
    n: int,
    scheme: str,
) -> Stated:
    bracket = bounds.bracket(p, q, n, scheme)
    expected = rules.expected_acceptance(rule, p, q, n, scheme)
    made = rules.certificate(rule, p, q, n, scheme)
    unsaid = jnp.float32(jnp.nan)
    emitted = rules.emitted(rule, n, scheme)
    said = emitted(p, q) if emitted else jnp.full_like(p, jnp.nan)
    budget = rule.claims.loss
    return Stated(
        bracket.lower,
        bracket.upper,
        unsaid if expected is None else expected,
        made.alpha_star if made else unsaid,
        made.gap if made else unsaid,
        dot(said, groups),
        total_variation(said, p),
        DIVERGENCES[budget.measure](said, p) - getattr(rule, budget.field) if budget else unsaid,
    )
