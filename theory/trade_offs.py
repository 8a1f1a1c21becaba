"""What is traded for speed, in exact numbers.

Likeness is traded for acceptance, acceptance for cached tokens, context for parallel drafts.
"""

from typing import NamedTuple

import numpy as np

from theory import _linear_program, trees, verifiers
from theory._arrays import Law
from theory.closed_form import total_variation
from theory.transport import normalised


class Ensemble(NamedTuple):
    """Verification against a mixture of target and draft.

    Attributes:
      rejected: the probability that the draft is refused.
      tv: total variation of the emitted law from p.
    """

    rejected: float
    tv: float


class Cache(NamedTuple):
    """Drafting for a cache of likely corrections.

    Attributes:
      acceptance: of the draft, by the one-draft rule.
      in_cache: the probability that the token of the residual is cached.
    """

    acceptance: float
    in_cache: float


class Chains(NamedTuple):
    """Expected accepted drafts of one path.

    Attributes:
      block: by block verification.
      token_by_token: by the one-draft rule at each position.
    """

    block: float
    token_by_token: float


def ensemble(p: Law, q: Law, weight: float) -> Ensemble:
    """Verifies a draft from q against w p + (1 - w) q: w TV is refused, (1 - w) TV the bias.

    Args:
      p: target law [V].
      q: draft law [V].
      weight: w, in [0, 1].

    Returns:
      Both sides of the trade.
    """
    mixture = weight * p + (1.0 - weight) * q
    return Ensemble(
        rejected=total_variation(mixture, q),
        tv=total_variation(mixture, p),
    )


def cached(p: Law, q: Law, size: int, factor: float) -> Cache:
    """Drafts from q with its `size` likeliest tokens, the cached ones, scaled down by a factor.

    The draft law is C q on the cached tokens and q elsewhere, scaled to sum to 1.

    Args:
      p: target law [V].
      q: draft law [V].
      size: F, the number of cached tokens.
      factor: C, in [0, 1].

    Returns:
      Both sides of the trade.
    """
    hot = np.argsort(-q, kind="stable")[:size]
    held = np.zeros(len(q), bool)
    held[hot] = True
    draft = normalised(np.where(held, factor * q, q))
    residual = normalised(np.maximum(p - draft, 0.0))
    return Cache(
        acceptance=1.0 - total_variation(p, draft),
        in_cache=float(residual[held].sum()),
    )


def one_hot_chain(p: Law, q: Law, depth: int) -> Chains:
    """E[ell] of a path that repeats the likeliest token of q, whose draft laws are one-hot.

    Cost: O(V^depth).

    Args:
      p: target law [V], the same at every position.
      q: draft law [V].
      depth: of the path.

    Returns:
      E[ell] of both verifiers.
    """
    fixed = np.zeros_like(q)
    fixed[np.argmax(q)] = 1.0
    problem = trees.everywhere(
        range(-1, depth),
        p,
        fixed,
        "iid",
    )
    return Chains(
        block=verifiers.block_accepted(problem),
        token_by_token=verifiers.token_by_token_accepted(problem),
    )


def floor(laws: Law, weights: Law) -> float:
    """min over q of the mean TV(p_i, q): what one draft law for all prefixes must be refused.

    It is a linear program in q and the excesses t_i >= p_i - q. Cost: V + R V variables.

    Args:
      laws: [R, V], the target's law after each prefix.
      weights: [R], the probability of each prefix.

    Returns:
      The least rejection probability.
    """
    prefixes, vocabulary = laws.shape
    excesses = prefixes * vocabulary
    costs = np.zeros(vocabulary + excesses)
    costs[vocabulary:] = np.repeat(weights, vocabulary)
    covered = np.tile(np.eye(vocabulary), (prefixes, 1))
    rows = np.hstack([-covered, -np.eye(excesses)])
    whole = np.zeros(vocabulary + excesses)
    whole[:vocabulary] = 1.0
    solution = _linear_program.minimise(
        costs,
        rows,
        -laws.ravel(),
        equal=(whole[None], np.ones(1)),
    )
    return solution.value


def copying(vocabulary: int, share: float) -> Law:
    """The laws of a token that copies the one before with probability `share`.

    The rest is spread evenly over the other tokens.

    Args:
      vocabulary: V, at least 2.
      share: in [0, 1].

    Returns:
      [V, V], the law after each token.
    """
    other = (1.0 - share) / (vocabulary - 1)
    return np.where(np.eye(vocabulary) > 0, share, other)
