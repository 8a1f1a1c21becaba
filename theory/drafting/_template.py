"""Copy this file to <scheme>.py, and specjax/drafting/_template.py to the same name: the scheme is
then known everywhere.
"""

from __future__ import annotations

from theory.drafting._base import Joint, Law, Tokens, chain, support_size


def live(q: Law, n: int) -> int:
    """How many of the n slots are drawn, decided by q and n alone; raises ValueError where they do
    not fit the scheme.
    """
    support_size(q)
    return n


def conditional(q: Law, tokens: Tokens, slots: int) -> Law:
    """The law [M, V] of the next slot given the tokens [M, j] of the j slots before it; `slots` is
    the live count.
    """
    return q


def joint(q: Law, n: int) -> Joint:
    """Q(x) in one line of maths. Cost in V and n. Source: bib key."""
    return chain(conditional, q, live(q, n))


def inclusion(q: Law, n: int) -> Law:
    """P(y among the drafts). Cost in V and n."""
    return 1.0 - (1.0 - q) ** n


# `optimum(p, q, n) -> (alpha*, subset bool[V])`, where there is a formula; without one the LP
# solves the scheme all the same.
