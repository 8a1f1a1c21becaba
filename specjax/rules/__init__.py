"""Verification rules at one node, one in each file.

A file that is dropped into this folder is a rule everywhere.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from specjax import drafting
from specjax._laws import check_laws
from specjax._registry import Registry
from specjax._types import RandomKey, SlotLaws
from specjax.numerics import is_duplicate
from specjax.rules._base import (
    Accepting,
    Certificate,
    Claims,
    Law,
    Mask,
    Rule,
    Scalar,
    Sees,
    Solves,
    Tokens,
    register,
)
from specjax.rules._lifts import Overrule, Retarget
from specjax.rules._stated import (
    accepting,
    certificate,
    closed_form,
    emitted,
    expected_acceptance,
    states_mass,
)
from specjax.rules.bild import Bild
from specjax.rules.cactus import Cactus
from specjax.rules.cascade import Cascade
from specjax.rules.front import Front
from specjax.rules.fuzzy import Fuzzy
from specjax.rules.greedy import Greedy
from specjax.rules.grouped import Grouped
from specjax.rules.hub import Hub
from specjax.rules.importance_weighted import ImportanceWeighted
from specjax.rules.interpolation import Interpolation
from specjax.rules.judge import Judge
from specjax.rules.kseq import KSeq
from specjax.rules.lantern import Lantern
from specjax.rules.lenience import Lenience
from specjax.rules.lossy_distillspec import LossyDistillspec
from specjax.rules.mentored import Mentored
from specjax.rules.multi_drafter import MultiDrafter
from specjax.rules.naive_first import NaiveFirst
from specjax.rules.naive_membership import NaiveMembership
from specjax.rules.one_hot import OneHot
from specjax.rules.optimal import Optimal
from specjax.rules.optimal_without_replacement import OptimalWithoutReplacement
from specjax.rules.rapid import Rapid
from specjax.rules.recursive_rejection import RecursiveRejection
from specjax.rules.recursive_rejection_without_replacement import (
    RecursiveRejectionWithoutReplacement,
)
from specjax.rules.sglang_thresholds import SglangThresholds
from specjax.rules.single import Single
from specjax.rules.spec_verification import SpecVerification
from specjax.rules.token_cascade import TokenCascade
from specjax.rules.transport import Transport
from specjax.rules.typical import Typical

RULES: Registry[Rule] = Registry(__name__, "rule", "claims", files=True)
names, get, all = RULES.names, RULES.get, RULES.all


class Estimate(NamedTuple):
    """A mean and its standard error."""

    mean: Scalar
    standard_error: Scalar


def estimate_acceptance(
    key: RandomKey,
    rule: Rule,
    p: Law,
    q: SlotLaws,
    n: int,
    scheme: str,
    samples: int,
) -> Estimate:
    """Estimate P(the emitted token is one of the n drafts), without bias, at any V.

    Each sample draws the drafts and takes the law's mass on the distinct live drafts. The emitted
    token itself is never drawn (Rao-Blackwell).

    Args:
      key: typed random key.
      rule: any rule.
      p: target law [V].
      q: draft law [V]; for the scheme `independent`, one law for each draft, [n, V].
      n: number of drafts, at least 1.
      scheme: name of the drafting scheme.
      samples: how often the drafts are drawn, at least 2.

    Returns:
      The mean over the samples and its standard error.

    Raises:
      ValueError: there are fewer than 2 samples, p or q is not a law, or the rule's proof does not
        cover this scheme or this n.

    Cost: one law for each sample, one after the other, in memory O(V n).

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from specjax import rules
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> found = rules.estimate_acceptance(jax.random.key(0), rules.Single(), p, q, 1, "iid", 1000)
      >>> abs(float(found.mean) - 0.7) < 4 * float(found.standard_error)
      True
    """
    check_scheme(rule, scheme, n)
    check_laws(p, q, scheme == "independent")
    if samples < 2:
        raise ValueError(f"samples: expected at least 2, got {samples}")
    found: Estimate = _estimate(key, rule, p, q, n, scheme, samples)
    return found


@functools.partial(jax.jit, static_argnames=("n", "scheme", "samples"))
def _estimate(
    key: RandomKey,
    rule: Rule,
    p: Law,
    q: SlotLaws,
    n: int,
    scheme: str,
    samples: int,
) -> Estimate:
    def mass(key: RandomKey) -> Scalar:
        tokens, mask = drafting.get(scheme)().sample(key, q, n)
        live = mask & ~is_duplicate(tokens, mask)
        return jnp.sum(jnp.where(live, rule.law(tokens, p, q, mask)[tokens], 0))

    masses = jax.lax.map(mass, jax.random.split(key, samples))
    return Estimate(jnp.mean(masses), jnp.std(masses, ddof=1) / samples**0.5)


def check_decodes(rule: Rule | type[Rule]) -> None:
    """Refuse a rule that serves only one pair of laws; in a decode the laws change at every node.

    Args:
      rule: a rule or its class.

    Raises:
      ValueError: the rule holds the plan of one pair.

    Example:
      >>> from specjax import rules
      >>> rules.check_decodes(rules.KSeq())
    """
    if rule.claims.per_pair:
        raise ValueError(
            f"rule {rule.name}: holds the plan of one (p, q, n), so it cannot decode; use specjax "
            "bound or audit"
        )


def check_scheme(rule: Rule | type[Rule], scheme: str, n: int) -> None:
    """Refuse a rule outside its proof.

    Args:
      rule: a rule or its class.
      scheme: name of the drafting scheme.
      n: number of drafts.

    Raises:
      ValueError: the rule's proof does not cover this scheme or this n.

    Example:
      >>> from specjax import rules
      >>> rules.check_scheme(rules.KSeq, "iid", 3)
    """
    claims = rule.claims
    if scheme not in claims.drafting:
        raise ValueError(
            f"rule {rule.name}: its proof covers the schemes {', '.join(sorted(claims.drafting))}, "
            f"not {scheme}"
        )
    if not claims.admits(n):
        low, high = claims.n_range
        raise ValueError(f"rule {rule.name}: takes n from {low} to {high or 'any'}, got n = {n}")


__all__ = [
    "Accepting",
    "Bild",
    "Cactus",
    "Cascade",
    "Certificate",
    "Claims",
    "Estimate",
    "Front",
    "Fuzzy",
    "Greedy",
    "Grouped",
    "Hub",
    "ImportanceWeighted",
    "Interpolation",
    "Judge",
    "KSeq",
    "Lantern",
    "Law",
    "Lenience",
    "LossyDistillspec",
    "Mask",
    "Mentored",
    "MultiDrafter",
    "NaiveFirst",
    "NaiveMembership",
    "OneHot",
    "Optimal",
    "OptimalWithoutReplacement",
    "Overrule",
    "Rapid",
    "RecursiveRejection",
    "RecursiveRejectionWithoutReplacement",
    "Retarget",
    "Rule",
    "Scalar",
    "Sees",
    "SglangThresholds",
    "Single",
    "Solves",
    "SpecVerification",
    "TokenCascade",
    "Tokens",
    "Transport",
    "Typical",
    "accepting",
    "all",
    "certificate",
    "check_decodes",
    "check_scheme",
    "closed_form",
    "emitted",
    "estimate_acceptance",
    "expected_acceptance",
    "get",
    "names",
    "register",
    "states_mass",
]


def __dir__() -> list[str]:
    return sorted(__all__)
