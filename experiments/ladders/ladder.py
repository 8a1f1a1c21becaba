"""What a bound ladder holds: per number of drafts, the optimum of every scheme and what every rule
attains of it, context by context.
"""

import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from experiments.audits.file_audit import NONE, Findings
from experiments.stats.means import Interval, Values, interval


class Ladder(NamedTuple):
    """What can be accepted of n drafts, at each of T contexts; where [T] is said it may be [B, T],
    T contexts in each of B texts.

    Attributes:
      singleton: sum min(p, 1 - (1 - q)^n) [T], which no rule for iid drafts exceeds.
      alpha_star: the optimum of each scheme [T], None where the scheme does not draft n tokens.
      subset_size: |H*| of each scheme for one context, None where it has no optimum or nobody asked
        theory for the set.
      acceptance: of each rule [T], None where it does not take n drafts or its acceptance cannot be
        computed at this V and n.
      under: the scheme of each rule's acceptance.
      lossless: the rules that claim it and were not refuted, so that alpha* bounds their
        acceptance.
      estimated: the rules whose acceptance is an unbiased estimate at each context; that of all
        others is exact.
      audits: what the audit says of rules in files.
      tv, kl: of the law that a lossy rule emits from p [T]; None where it is not known.
    """

    n: int
    singleton: Values
    alpha_star: dict[str, Values | None]
    subset_size: dict[str, int | None]
    acceptance: dict[str, Values | None]
    under: dict[str, str | None]
    lossless: frozenset[str]
    estimated: frozenset[str] = frozenset()
    audits: Findings = NONE
    tv: Mapping[str, Values | None] = MappingProxyType({})
    kl: Mapping[str, Values | None] = MappingProxyType({})

    def named(self, rule: str) -> str:
        """The rule's name, with what the audit has against it."""
        return (
            rule
            if rule not in self.audits or self.audits[rule].words == "ok"
            else f"{rule}, {self.audits[rule].words}"
        )


class Study(NamedTuple):
    """The ladders of T contexts, one for each n.

    Attributes:
      first_try: 1 - TV(p, q) [T].
      entropy: of p [T], in nats.
      seconds: that the contexts took once all was compiled; None for two laws in files.
    """

    vocabulary: int
    first_try: Values
    entropy: Values
    ladders: tuple[Ladder, ...]
    seconds: float | None = None

    @property
    def contexts(self) -> int:
        """T."""
        return self.entropy.size


def say_absent(reasons: dict[tuple[str, int], str], some: bool) -> None:
    """Note why rules have no value at some n.

    Raises:
      ValueError: nothing that was named has one.
    """
    for (rule, n), reason in reasons.items():
        if not some:
            raise ValueError(f"rule {rule}: {reason}")
        warnings.warn(f"rule {rule} has no value at n = {n}: {reason}", stacklevel=3)


def chain(first_try: Interval, depth: int) -> Interval:
    """Block efficiency sum_{k=0}^{depth} a^k of a chain of drafts of which each is accepted with
    the mean a of 1 - TV.

    It stands for decoding if the acceptances of one step are independent of each other.
    """
    powers = np.arange(depth + 1)
    slope = float(np.sum(powers[1:] * first_try.mean ** powers[:-1]))
    return Interval(
        mean=float(np.sum(first_try.mean**powers)),
        error=slope * first_try.error,
        low=float(np.sum(first_try.low**powers)),
        high=float(np.sum(first_try.high**powers)),
    )


def curves(ladders: tuple[Ladder, ...]) -> dict[str, list[str]]:
    """The schemes that have an optimum or a rule at some n, each with the rules that have a value
    under it.
    """
    covered = {pair for one in ladders for pair in one.under.items()}
    found = {}
    for scheme in ladders[0].alpha_star:
        names = [rule for rule in ladders[0].under if (rule, scheme) in covered]
        if names or any(one.alpha_star[scheme] is not None for one in ladders):
            found[scheme] = names
    return found


def best_rule(ladder: Ladder) -> Interval | None:
    """The largest mean of a lossless rule."""
    return _best([values for rule, values in ladder.acceptance.items() if rule in ladder.lossless])


def best_scheme(ladder: Ladder) -> Interval | None:
    """The largest mean optimum."""
    return _best(list(ladder.alpha_star.values()))


def _best(columns: list[Values | None]) -> Interval | None:
    return max((interval(values) for values in columns if values is not None), default=None)


def star(alpha: Interval) -> Interval:
    """Block efficiency 1 + alpha of n drafts at one node."""
    return Interval(1 + alpha.mean, alpha.error, 1 + alpha.low, 1 + alpha.high)
