"""What engines emit: the exact law of published practices, beside the law that was asked for.

Each practice is one function. It gives the emitted law, the law that is claimed, and two numbers of
accepted drafts: as the practice counts them, and of a lossless rule on the same drafts. Laws are
float64 arrays [V]. All but `uncapped_last_position` cost O(V log V) or less.
"""

from typing import NamedTuple

import numpy as np

from theory import sampling, trees, verifiers
from theory._arrays import Law, Values
from theory.closed_form import recursive_rejection, total_variation
from theory.transport import normalised
from theory.trees import Tree

FLOAT32_STEPS = 2**23  # values of a float32 uniform whose mantissa is drawn


class Emission(NamedTuple):
    """What a practice emits, and what it accepts.

    Attributes:
      law: what comes out, [V], or [V] * 3 for a whole path of two drafts.
      target: what is claimed to come out, in the shape of law.
      counted: mean number of drafts that the practice accepts.
      honest: that of a lossless rule on the same drafts.
    """

    law: Values
    target: Values
    counted: float
    honest: float

    @property
    def tv(self) -> float:
        """Total variation between the law and its target."""
        return float(np.abs(self.law - self.target).sum() / 2.0)


def nucleus_before_temperature(p: Law, temperature: float, top_p: float) -> Emission:
    """The verifier cuts the nucleus of the raw law, and applies the temperature after that.

    The draft is the likeliest token.

    Args:
      p: the raw law of the model [V].
      temperature: T, positive.
      top_p: in (0, 1].

    Returns:
      The emission.

    Example:
      >>> import numpy as np
      >>> from theory import practices
      >>> p = np.array([0.4, 0.3, 0.2, 0.1])
      >>> round(practices.nucleus_before_temperature(p, 0.5, 0.92).tv, 4)
      0.0333
    """
    law = sampling.temperature(sampling.top_p(p, top_p), temperature)
    target = sampling.top_p(sampling.temperature(p, temperature), top_p)
    draft = np.argmax(p)
    return Emission(
        law=law,
        target=target,
        counted=float(law[draft]),
        honest=float(target[draft]),
    )


def bonus_from_raw_softmax(p: Law, temperature: float, top_p: float) -> Emission:
    """The token after the likeliest one, accepted as a draft, comes from the raw law.

    Args:
      p: the raw law of the model [V].
      temperature: T, positive.
      top_p: in (0, 1].

    Returns:
      The emission.
    """
    target = sampling.top_p(sampling.temperature(p, temperature), top_p)
    accepted = float(target[np.argmax(p)])
    return Emission(
        law=p,
        target=target,
        counted=accepted,
        honest=accepted,
    )


def real_law_on_fixed_draft(p: Law, q: Law) -> Emission:
    """The likeliest token of q is the draft, and the test reads q as if it had been drawn.

    The draft d is accepted with probability min(1, p(d)/q(d)); a refusal draws from (p - q)+.

    Args:
      p: target law [V].
      q: draft law [V].

    Returns:
      The emission; the lossless rule takes q for one-hot.
    """
    draft = np.argmax(q)
    accept = min(1.0, float(p[draft] / q[draft]))
    law = (1.0 - accept) * _residual(p, q)
    law[draft] += accept
    return Emission(
        law=law,
        target=p,
        counted=accept,
        honest=float(p[draft]),
    )


def one_hot_residual_after_real_test(p: Law, q: Law) -> Emission:
    """A drawn draft x is tested against q; a refusal takes q(x) from p at x alone.

    A refused x has p(x) < q(x), so that the residual is p without x.

    Args:
      p: target law [V].
      q: draft law [V].

    Returns:
      The emission.
    """
    accepted = np.minimum(p, q)
    overlap = float(accepted.sum())
    missed = np.maximum(q - p, 0.0)
    refused = np.divide(
        missed,
        1.0 - p,
        out=np.zeros_like(p),
        where=missed > 0,
    )
    law = accepted + p * (refused.sum() - refused)
    return Emission(
        law=law,
        target=p,
        counted=overlap,
        honest=overlap,
    )


def dropped_after_the_draw(p: Law, q: Law, least: float) -> Emission:
    """A drawn token x is dropped where q(x) < least; then the target draws from p.

    Other drafts are tested against q. The lossless rule takes a dropped token for a refused one:
    its residual is (p - q')+, where q' is q on the kept tokens.

    Args:
      p: target law [V].
      q: draft law [V].
      least: the probability below which a draft is dropped.

    Returns:
      The emission.
    """
    kept = np.where(q >= least, q, 0.0)
    accepted = np.minimum(p, kept)
    refused = float((kept - accepted).sum())
    dropped = 1.0 - float(kept.sum())
    law = accepted + refused * _residual(p, q) + dropped * p
    return Emission(
        law=law,
        target=p,
        counted=float(accepted.sum()),
        honest=float(accepted.sum()),
    )


def dropped_before_the_draw(p: Law, q: Law, least: float) -> Emission:
    """Nothing is drafted where max q < least; else the draft is tested against q.

    Args:
      p: target law [V].
      q: draft law [V].
      least: the largest probability below which nothing is drafted.

    Returns:
      The emission.
    """
    if q.max() < least:
        return Emission(
            law=p,
            target=p,
            counted=0.0,
            honest=0.0,
        )
    accepted = np.minimum(p, q)
    overlap = float(accepted.sum())
    return Emission(
        law=accepted + (1.0 - overlap) * _residual(p, q),
        target=p,
        counted=overlap,
        honest=overlap,
    )


def one_uniform_for_test_and_residual(p: Law, q: Law) -> Emission:
    """The uniform u that refused the draft also draws the token of the residual.

    x is refused for u in [a, 1), a = min(1, p(x)/q(x)). The residual's token has the interval of u
    between two of its partial sums; the law is the length of what both share.

    Args:
      p: target law [V].
      q: draft law [V].

    Returns:
      The emission.
    """
    accepted = np.minimum(p, q)
    overlap = float(accepted.sum())
    ends = np.cumsum(_residual(p, q))
    below = np.append(0.0, np.minimum(ends, 1.0))
    chance = _divided(accepted, q)
    drawn = _mean_excess(below, chance, q)
    drawn[-1] = 1.0 - overlap
    return Emission(
        law=accepted + np.diff(drawn),
        target=p,
        counted=overlap,
        honest=overlap,
    )


def one_coin_for_two_siblings(p: Law, q: Law) -> Emission:
    """Recursive rejection of two independent drafts with one uniform for both tests.

    The second draft y is accepted where a(x) <= u < b(y), b = min(1, r/q) with r ~ (p - q)+.
    The token after two refusals has noise of its own.

    Args:
      p: target law [V].
      q: draft law [V].

    Returns:
      The emission.
    """
    first = np.minimum(p, q)
    residual = _residual(p, q)
    again = _divided(np.minimum(residual, q), q)
    second = q * _mean_excess(again, _divided(first, q), q)
    counted = float(first.sum() + second.sum())
    law = first + second + (1.0 - counted) * _residual(residual, q)
    return Emission(
        law=law,
        target=p,
        counted=counted,
        honest=recursive_rejection(p, q, 2, "iid"),
    )


def draft_noise_for_the_residual(p: Law, q: Law) -> Emission:
    """The noise whose race drew the draft also draws the token of the residual.

    The draft is the argmin of E/q, E exponential; after a refusal the token is that of E/r,
    r = (p - q)+. Every token then starts late, at s = q/r, in units of the draft's time. With the
    tokens by rising s, R and Q the sums of r and q up to k, token i wins in [s_k, s_k+1] with
    chance r_i/R [1/(1 + R s_k - Q) - 1/(1 + R s_k+1 - Q)].

    Args:
      p: target law [V].
      q: draft law [V].

    Returns:
      The emission.

    Example:
      >>> import numpy as np
      >>> from theory import practices
      >>> p, q = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.1, 0.2, 0.3, 0.4])
      >>> practices.draft_noise_for_the_residual(p, q).law.round(4).tolist()
      [0.4333, 0.2667, 0.2, 0.1]
    """
    accepted = np.minimum(p, q)
    overlap = float(accepted.sum())
    again = np.zeros_like(p)
    racing = np.flatnonzero(p > q)
    if len(racing):
        rate = p[racing] - q[racing]
        order = np.argsort(q[racing] / rate, kind="stable")
        racing = racing[order]
        rate = rate[order]
        rates = np.cumsum(rate)
        left = 1.0 - np.cumsum(q[racing])
        start = q[racing] / rate
        opening = 1.0 / (left + rates * start)
        end = np.append(start[1:], np.inf)
        closing = 1.0 / (left + rates * end)
        share = (opening - closing) / rates
        onward = np.cumsum(share[::-1])
        again[racing] = rate * onward[::-1]
    return Emission(
        law=accepted + (1.0 - overlap) * again,
        target=p,
        counted=overlap,
        honest=overlap,
    )


def uncapped_last_position(p: Law, q: Law) -> Emission:
    """Block verification of two drafts whose last test is min(1, P/Q) of the whole path.

    The weights on the way are not capped in that product. The laws are those of three tokens, by
    enumeration of the drafts: O(V^4).

    Args:
      p: target law [V].
      q: draft law [V].

    Returns:
      The emission.
    """
    path = (-1, 0, 1)
    problem = trees.everywhere(path, p, q, "iid")
    drawn = trees.drawn(problem)
    laws = drawn.laws(_uncapped_block)
    honest = drawn.laws(verifiers.block)
    two = np.multiply.outer(p, p)
    return Emission(
        law=trees.emitted(drawn, laws),
        target=np.multiply.outer(two, p),
        counted=trees.expected_accepted(drawn, laws),
        honest=trees.expected_accepted(drawn, honest),
    )


def equality_accepts(p: Law, q: Law) -> Emission:
    """The draft is accepted where u <= p/q, u one of 2^23 equal steps that begin with 0.

    So a draft with p = 0 is accepted with probability 2^-23. The lossless rule has a uniform
    without steps.

    Args:
      p: target law [V].
      q: draft law [V].

    Returns:
      The emission.
    """
    chance = _divided(np.minimum(p, q), q)
    steps = np.floor(chance * FLOAT32_STEPS) + 1.0
    accepted = q * np.minimum(steps / FLOAT32_STEPS, 1.0)
    counted = float(accepted.sum())
    law = accepted + (1.0 - counted) * _residual(p, q)
    return Emission(
        law=law,
        target=p,
        counted=counted,
        honest=1.0 - total_variation(p, q),
    )


def _residual(p: Law, q: Law) -> Law:
    """(p - q)+ scaled to sum to 1; p = q has none, and what it would emit has no chance."""
    return normalised(np.maximum(p - q, 0.0))


def _divided(part: Values, whole: Values) -> Values:
    """part / whole, 1 where there is nothing to divide by."""
    return np.divide(
        part,
        whole,
        out=np.ones_like(whole),
        where=whole > 0,
    )


def _mean_excess(at: Values, values: Values, weights: Values) -> Values:
    """sum over x of weights(x) (t - values(x))+, for every t in `at`."""
    order = np.argsort(values, kind="stable")
    mass = np.append(0.0, np.cumsum(weights[order]))
    moment = np.append(0.0, np.cumsum((weights * values)[order]))
    below = np.searchsorted(values[order], at)
    excess: Values = at * mass[below] - moment[below]
    return excess


def _uncapped_block(tree: Tree) -> Law:
    """Block verification with the uncapped joint ratio at its last node.

    Capped weights are at most the ratio, so that only the share of the other ends shrinks.
    """
    law = verifiers.block(tree)
    above = np.arange(len(tree.p) - 1)
    drafts = tree.tokens[1:]
    ratio = tree.p[above, drafts] / tree.q[above, drafts]
    accept = min(1.0, float(ratio.prod()))
    missed = 1.0 - float(law[-1].sum())
    if missed > 0.0:
        law[:-1] *= (1.0 - accept) / missed
        law[-1] = accept * tree.p[-1]
    return law
