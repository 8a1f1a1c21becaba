"""What drafting files share: the joint law of the drafts and its enumeration."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from theory._arrays import Indices, Law, Mask, Values

Conditional = Callable[[Law, Indices, int], Law]

ENUMERABLE = 2_000_000


@dataclass(frozen=True, eq=False)
class Joint:
    """The joint law Q of the drafts: each ordered tuple that can be drawn, with its probability.

    Attributes:
      tokens: [M, m], rows in lexicographic order, each once; m counts the live slots.
      mass: [M], sums to 1.
    """

    tokens: Indices
    mass: Law


def chain(conditional: Conditional, q: Law, slots: int) -> Joint:
    """The joint law of drafts that are drawn slot after slot.

    Q(x) = prod_j conditional(x_1..x_{j-1})[x_j]. Tokens with q = 0 are left out before anything is
    enumerated. Cost: O(V^slots) at worst.

    Args:
      conditional: (q [.., V], tokens [M, j], slots) -> [M, V], the law of slot j given the j tokens
        before it.
      q: the draft law [V], or one law for each slot, [n, V].
      slots: how many tokens are drawn.

    Returns:
      The tuples that can be drawn, with their probabilities.

    Raises:
      ValueError: the last slot alone would need more than 2e6 probabilities.
    """
    drawable = q.reshape(-1, q.shape[-1]).any(axis=0)
    support = np.flatnonzero(drawable)
    reduced = q[..., support]
    tokens = np.zeros((1, 0), np.int64)
    mass = np.ones(1)
    for _ in range(slots):
        shape = len(tokens), len(support)
        cells = shape[0] * shape[1]
        if cells > ENUMERABLE:
            raise ValueError(
                f"joint law: expected at most {ENUMERABLE} tuples to enumerate, got {cells} or more"
            )
        laws = np.broadcast_to(conditional(reduced, tokens, slots), shape)
        row, token = np.nonzero(laws)
        tokens = np.column_stack((tokens[row], token))
        mass = mass[row] * laws[row, token]
    return Joint(support[tokens], mass)


def support_size(q: Law) -> int:
    """How many tokens q can draw.

    Args:
      q: the draft law [V].

    Returns:
      The number of tokens with q > 0.

    Raises:
      ValueError: q is not one law.
    """
    if q.ndim != 1:
        raise ValueError(f"q: this scheme draws from one law, expected shape (V,), got {q.shape}")
    return int(np.count_nonzero(q))


def without(q: Law, tokens: Indices) -> Law:
    """The law of one draw from q given that it is none of the tokens of each row.

    The divisor is the sum of the tokens that remain: 1 - sum loses digits on peaked q.

    Args:
      q: the draft law [V].
      tokens: [M, j].

    Returns:
      The laws [M, V].
    """
    rest = np.tile(q, (len(tokens), 1))
    np.put_along_axis(rest, tokens, 0.0, axis=1)
    laws: Law = rest / rest.sum(axis=1, keepdims=True)
    return laws


def top(q: Law, count: int) -> Indices:
    """The `count` most likely tokens of q, ties to the lowest index.

    Args:
      q: the draft law [V].
      count: how many.

    Returns:
      The tokens [count], the most likely first.
    """
    return np.argsort(-q, kind="stable")[:count]


def ratio_order(p: Law, q: Law) -> Indices:
    """The tokens by p / q ascending: p = 0 first, q = 0 last.

    Args:
      p: target law [V].
      q: draft law [V].

    Returns:
      The tokens [V].
    """
    with np.errstate(divide="ignore", over="ignore"):
        ratio = np.divide(
            p,
            q,
            out=np.zeros_like(p),
            where=p > 0,
        )
    return np.argsort(ratio, kind="stable")


def best_prefix(p: Law, order: Indices, inside: Values) -> tuple[float, Mask]:
    """1 + min_k [p(H_k) - Q(H_k)] over the prefixes H_k of `order`, and the best prefix as a mask.

    Args:
      p: target law [V].
      order: the tokens [V].
      inside: [V + 1], Q(H_k) = P(all drafts in H_k), k = 0..V.

    Returns:
      The value, and the mask [V].
    """
    target = np.concatenate(([0.0], np.cumsum(p[order])))
    slack = target - inside
    best = int(np.argmin(slack))
    subset = np.zeros(len(p), np.bool_)
    subset[order[:best]] = True
    return 1.0 + float(slack[best]), subset
