"""A template: copy this file to <scheme>.py.

Copy specjax/drafting/_template.py to the same name as well: the scheme is then known everywhere.
"""

from theory._arrays import Indices, Law
from theory.drafting._base import Joint, chain, support_size


def live(q: Law, n: int) -> int:
    """How many of the n slots are drawn, decided by q and n alone.

    Raises:
      ValueError: q or n does not fit the scheme.
    """
    support_size(q)
    return n


def conditional(q: Law, tokens: Indices, slots: int) -> Law:
    """The law [M, V] of the next slot given the tokens [M, j] of the j slots before it.

    `slots` is the live count.
    """
    return q


def joint(q: Law, n: int) -> Joint:
    """Q(x) in one line of maths. Cost in V and n. Source: bib key."""
    return chain(conditional, q, live(q, n))


def inclusion(q: Law, n: int) -> Law:
    """P(y among the drafts). Cost in V and n."""
    return 1.0 - (1.0 - q) ** n


# `optimum(p, q, n) -> (alpha*, subset bool[V])`, if there is a formula; without one the linear
# program solves the scheme all the same. `prefixes(p, q, n) -> (order [V], Q(H_k) [V + 1])`, if the
# best sets are prefixes of one order; without it `theory.nearest` goes through all sets.
