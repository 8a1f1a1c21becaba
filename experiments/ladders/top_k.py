"""The interval of alpha* for iid drafts, where both laws are known at some tokens only.

K are the tokens that both laws list. The rest of p is p1, listed by p alone, and p0, unknown; the
rest of q is q1 and q0 likewise. Both ends are optima over K and two more tokens. Each end is alpha*
of some laws with these lists, so that no narrower interval holds.

Lower end: the rest of p on a token with q = 0, the rest of q on one with p = 0. A plan of these
laws is a plan of the true ones, for it accepts on K alone.

Upper end: merging tokens keeps every plan, so that the rests may be one token of each law. Laws
attain that if p and q are proportional on the rests, which needs p1 q1 <= p0 q0.

Else the two tokens are (p1, q0) and (p0, q1), which some laws attain. No true laws have more: let H
minimise p(H) - q(H)^n. The token (p0, q1) has the lower p/q, so that H holds no rest, that token or
both. The true laws have a set as small. It is the same part of K with no rest, with the tokens that
q alone lists, or with all the rests.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import numpy as np
from jaxtyping import Array, Float

from experiments.cli.console import track
from experiments.inputs.top_k_files import Ids, TopK
from experiments.stats.means import Values
from specjax import bounds
from specjax._types import Law, Scalar

SIDE_BY_SIDE = 2**15  # probabilities that a program works on at once
Pair = tuple[Values, Values]  # of p and of q
Ends = tuple[Float[Array, " R"], Float[Array, " R"]]
Entries = TypeVar("Entries", Values, Ids)


class Interval(NamedTuple):
    """Both ends of alpha* of n iid drafts, [T] each; with n = 1 it is 1 - TV."""

    n: int
    lower: Values
    upper: Values


class TopKStudy(NamedTuple):
    """The intervals of T contexts, one for each n.

    Attributes:
      listed: k of the target and of the draft.
      unknown: what the target's list leaves of p, and the draft's of q, [T] each.
    """

    listed: tuple[int, int]
    unknown: Pair
    intervals: tuple[Interval, ...]

    @property
    def contexts(self) -> int:
        """T."""
        return len(self.unknown[0])


class Common(NamedTuple):
    """The lists of R contexts, side by side.

    Attributes:
      p: [R, W], at the tokens that both list, in any order; else 0.
      q: [R, W], at the same tokens.
      alone: p of those that only the target lists, q of those that only the draft lists.
      unknown: the rest of p and of q.
    """

    p: Values
    q: Values
    alone: Pair
    unknown: Pair


def study(target: TopK, draft: TopK, ns: tuple[int, ...]) -> TopKStudy:
    """The interval of every context and n, in float64.

    Cost: one sort of both lists per context, two per context and n.
    """
    contexts = len(target.ids)
    listed = (target.ids.shape[1], draft.ids.shape[1])
    rows = min(max(SIDE_BY_SIDE // sum(listed), 1), contexts)
    programs = [_program(n) for n in ns]
    chunks = []
    with jax.enable_x64(True):
        for start in track(range(0, contexts, rows), f"{contexts} contexts"):
            # the last chunk has the shape of all: nothing compiles twice
            places = np.minimum(np.arange(start, start + rows), contexts - 1)
            common = match(target.at(places), draft.at(places))
            laws = (*lower_laws(common), *upper_laws(common))
            chunks.append([np.asarray(program(*laws)) for program in programs])
    ends = np.concatenate(chunks, -1)[..., :contexts]
    intervals = tuple(Interval(n, *both) for n, both in zip(ns, ends, strict=True))
    return TopKStudy(listed, (target.unknown, draft.unknown), intervals)


def _program(n: int) -> Callable[..., Ends]:
    """Both ends of alpha* of n drafts at R contexts, rounding included, from both pairs of laws."""

    def ends(low_p: Law, low_q: Law, high_p: Law, high_q: Law) -> tuple[Scalar, Scalar]:
        lower = bounds.bracket(low_p, low_q, n, "iid").lower
        return lower, bounds.bracket(high_p, high_q, n, "iid").upper

    return jax.jit(jax.vmap(ends))


def match(target: TopK, draft: TopK) -> Common:
    """Find the tokens that both list."""
    absent = np.zeros_like(target.probabilities), np.zeros_like(draft.probabilities)
    ids = np.concatenate([target.ids, draft.ids], 1)
    order = np.argsort(ids, 1, kind="stable")  # of one token the target's entry comes first

    def ordered(entries: Entries) -> Entries:
        return np.take_along_axis(entries, order, 1)

    ids = ordered(ids)
    p = ordered(np.concatenate([target.probabilities, absent[1]], 1))
    q = ordered(np.concatenate([absent[0], draft.probabilities], 1))
    both = (ids[:, 1:] == ids[:, :-1]) & (ids[:, 1:] >= 0)
    first = np.pad(both, ((0, 0), (0, 1)))
    second = np.pad(both, ((0, 0), (1, 0)))
    return Common(
        p=np.where(both, p[:, :-1], 0),
        q=np.where(both, q[:, 1:], 0),
        alone=(np.where(first, 0, p).sum(1), np.where(second, 0, q).sum(1)),
        unknown=(target.unknown, draft.unknown),
    )


def lower_laws(common: Common) -> Pair:
    """The laws whose alpha* is the lower end, [R, W + 2]."""
    (p1, q1), (p0, q0) = common.alone, common.unknown
    none = np.zeros_like(p1)
    return _joined(common, (p1 + p0, none), (none, q1 + q0))


def upper_laws(common: Common) -> Pair:
    """The laws whose alpha* is the upper end, [R, W + 2]."""
    (p1, q1), (p0, q0) = common.alone, common.unknown
    apart = p1 * q1 > p0 * q0
    p = np.where(apart, (p1, p0), (p1 + p0, 0 * p0))
    q = np.where(apart, (q0, q1), (q1 + q0, 0 * q0))
    return _joined(common, (p[0], p[1]), (q[0], q[1]))


def _joined(common: Common, p: Pair, q: Pair) -> Pair:
    """The laws on K, with two more tokens."""
    return np.column_stack([common.p, *p]), np.column_stack([common.q, *q])
