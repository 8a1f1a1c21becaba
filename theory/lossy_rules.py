"""Published rules of one draft that are not lossless, each at one pair of laws.

A function has the name of its rule in `specjax.rules`, and the parameters of its fields. Each takes
the target law p [V] and the draft law q [V]; it costs O(V^2) or less.
"""

import numpy as np

from theory import lossy
from theory._arrays import Indices, Law, Mask, Values
from theory.front import Front, divergence
from theory.lossy import OneDraft


def lenience(p: Law, q: Law, lenience: float = 0.5) -> OneDraft:
    """Keeps the draft with probability min(1, p / (l q)), else draws from (p - q)+.

    Source: leviathan2023fast, appendix A.5.
    """
    return OneDraft(
        kept=lossy.ratio(p, lenience * q),
        rest=lossy.scaled(p - q, p),
    )


def lenience_scaled_residual(p: Law, q: Law, lenience: float = 0.5) -> OneDraft:
    """Lenience with l q in place of q in the residual too: (p - l q)+."""
    return OneDraft(
        kept=lossy.ratio(p, lenience * q),
        rest=lossy.scaled(p - lenience * q, p),
    )


def lenience_band_residual(p: Law, q: Law, lenience: float = 0.5) -> OneDraft:
    """Lenience with the best residual, (a p - q)+ with sum (a p - q)+ = sum (q - p / l)+."""
    low = Front(p, q).at_ratio(1.0 / lenience).low
    return OneDraft(
        kept=lossy.ratio(p, lenience * q),
        rest=lossy.scaled(low * p - q, p),
    )


def lossy_distillspec(p: Law, q: Law, lenience: float = 0.5) -> OneDraft:
    """Keeps the draft with probability min(1, p / q^(1/l)), else draws from (p - q)+.

    Source: zhou2024distillspec.
    """
    return OneDraft(
        kept=lossy.ratio(p, q ** (1.0 / lenience)),
        rest=lossy.scaled(p - q, p),
    )


def interpolation(p: Law, q: Law, share: float = 0.5) -> OneDraft:
    """The lossless rule for share q + (1 - share) p."""
    target = share * q + (1.0 - share) * p
    return _lossless_for(target, p, q)


def cactus(p: Law, q: Law, delta: float = 0.1) -> OneDraft:
    """The lossless rule for a law that raises p at the draft alone, to h, and scales the rest of p.

    h = min(1, p + sqrt(2 delta p (1 - p))). Source: hao2026cactus.
    """
    raised = _raised(p, delta)
    others = _without_each(p)
    left = others.sum(-1)
    share = np.divide(
        1.0 - raised,
        left,
        out=np.zeros_like(p),
        where=left > 0,
    )
    targets = share[:, None] * others
    np.fill_diagonal(targets, raised)
    return OneDraft(
        kept=lossy.ratio(raised, q),
        rest=lossy.scaled(targets - q, p),
    )


def mentored(p: Law, q: Law, budget: float = 0.1) -> OneDraft:
    """The rule that accepts most of all with KL(e || p) <= budget.

    It is the lossless rule for e = clip(q, a p, b p). Source: tranthien2023mentored.
    """
    point = Front(p, q).at_kl(budget)
    return _lossless_for(point.law, p, q)


def typical(p: Law, q: Law, cap: float = 0.3, scale: float = 0.09) -> OneDraft:
    """Keeps the draft iff p > min(cap, scale e^-H(p)), else emits argmax p.

    Source: cai2024medusa.
    """
    return _judged(lossy.typical(p, cap, scale), p)


def spec_verification(p: Law, q: Law, top: int = 5, gap: float = 3.0) -> OneDraft:
    """Keeps the draft iff it is one of p's top tokens with p >= e^-gap max p, else emits argmax p.

    Source: xia2023speculative.
    """
    ascending = np.sort(p)
    among_top = p >= ascending[-min(top, len(p))]
    near = p >= np.exp(-gap) * p.max()
    return _judged(among_top & near, p)


def bild(p: Law, q: Law, rollback: float = 5.0) -> OneDraft:
    """Keeps the draft iff -log p <= rollback, else emits argmax p.

    Source: kim2023speculative.
    """
    least = np.exp(-rollback)
    return _judged(p >= least, p)


def fuzzy(p: Law, q: Law, threshold: float = 0.05) -> OneDraft:
    """Keeps every draft where JS(p, q) <= threshold, else is the lossless rule.

    Source: holsman2025fuzzy.
    """
    middle = (p + q) / 2.0
    of_p = divergence(p, middle)
    of_q = divergence(q, middle)
    near = (of_p + of_q) / 2.0 <= threshold
    return _lossless_for(q if near else p, p, q)


def cascade(p: Law, q: Law, tolerance: float = 0.5) -> OneDraft:
    """Keeps every draft where max q >= max p - tolerance TV(p, q), else is the lossless rule.

    Source: narasimhan2025faster, rule OPT.
    """
    distance = _distance(p, q)
    drafter = q.max() >= p.max() - tolerance * distance
    return _lossless_for(q if drafter else p, p, q)


def token_cascade(p: Law, q: Law, tolerance: float = 0.5) -> OneDraft:
    """The lossless rule for q on the likely tokens and, with the rest of q's mass, p.

    A token is likely where p >= (1 - tolerance) max p. Source: narasimhan2025faster, rule TokenV3.
    """
    least = (1.0 - tolerance) * p.max()
    drafted = np.where(p >= least, q, 0.0)
    left = 1.0 - drafted.sum()
    return _lossless_for(drafted + left * p, p, q)


def lantern(
    p: Law,
    q: Law,
    delta: float = 0.1,
    count: int = 1000,
    neighbours: Indices | None = None,
) -> OneDraft:
    """Lends the draft the mass of its nearest tokens, as many as hold at most delta together.

    A delta above 1 stands for (delta - 1) p. Where something is lent, the residual forgets q on the
    count + 1 nearest tokens; an empty residual is the flat law. Source: jang2025lantern.

    Args:
      p: target law [V].
      q: draft law [V].
      delta: the most that is lent.
      count: how many tokens may lend.
      neighbours: the nearest tokens of each, without itself, [V, count + 1]; None is a ring.

    Returns:
      The rule.
    """
    size = len(p)
    near = _ring(size, count + 1) if neighbours is None else neighbours
    near = near[:, : count + 1]
    lenders = near[:, :count]
    together = np.cumsum(p[lenders], axis=1)
    limit = np.full(size, delta)
    if delta > 1.0:
        limit = (delta - 1.0) * p
    lent = np.max(
        together,
        axis=1,
        initial=0.0,
        where=together <= limit[:, None],
    )
    tests = np.tile(q, (size, 1))
    forgetful = np.flatnonzero(together[:, 0] <= limit)
    tests[forgetful[:, None], near[forgetful]] = 0.0
    flat = np.full(size, 1.0 / size)
    return OneDraft(
        kept=lossy.ratio(p + lent, q),
        rest=lossy.scaled(p - tests, flat),
    )


def grouped(
    p: Law,
    q: Law,
    reach: int = 7,
    gap: float = 0.15,
    radius: float = 0.5,
    embedding: Values | None = None,
) -> OneDraft:
    """Tests p against q on the draft's group, else draws from (p - q)+.

    The group holds the tokens whose rank by p is from reach below to reach - 1 above the draft's,
    whose p is nearer than gap, and whose squared distance is below radius. Where the ranks end, a
    draft stands alone. Source: so2025grouped.

    Args:
      p: target law [V].
      q: draft law [V].
      reach: how far a rank may lie.
      gap: the distance in p.
      radius: the squared distance in the embedding.
      embedding: [V, d]; None is a circle.

    Returns:
      The rule.
    """
    size = len(p)
    places = _circle(size) if embedding is None else embedding
    order = np.argsort(p, kind="stable")
    kept = lossy.ratio(p, q)
    for rank in range(reach, size - reach + 1):
        token = order[rank]
        group = order[rank - reach : rank + reach]
        step = places[group] - places[token]
        close = (step**2).sum(-1) < radius
        alike = np.abs(p[group] - p[token]) < gap
        group = group[close & alike]
        held = p[group].sum()
        drafted = q[group].sum()
        if held < drafted:
            kept[token] = held / drafted
        else:
            kept[token] = float(held > 0)
    return OneDraft(
        kept=kept,
        rest=lossy.scaled(p - q, p),
    )


def rapid(p: Law, q: Law, strength: float = 10.0) -> OneDraft:
    """Tests a target moved towards q, t ~ p e^(-strength (p - q) [q >= max q / 10]).

    The residual is max(p - q, p - t)+. Source: chen2025rapid.
    """
    likely = q >= 0.1 * q.max()
    step = np.where(likely, strength * (q - p), 0.0)
    step -= step[p > 0].max()
    moved = p * np.exp(np.minimum(step, 0.0))
    moved /= moved.sum()
    covered = np.minimum(q, moved)
    return OneDraft(
        kept=lossy.ratio(moved, q),
        rest=lossy.scaled(p - covered, p),
    )


def sglang_thresholds(p: Law, q: Law, single: float = 0.5, accumulated: float = 1.0) -> OneDraft:
    """Keeps the draft iff p >= single, or with probability min(1, p / accumulated).

    Otherwise it draws from p without the draft. It never reads q. Source: zheng2024sglang.
    """
    others = _without_each(p)
    kept = np.minimum(p / accumulated, 1.0)
    kept[p >= single] = 1.0
    return OneDraft(
        kept=kept,
        rest=lossy.scaled(others, p),
    )


def _lossless_for(target: Law, p: Law, q: Law) -> OneDraft:
    """The lossless rule for another target than p."""
    return OneDraft(
        kept=lossy.ratio(target, q),
        rest=lossy.scaled(target - q, p),
    )


def _raised(p: Law, delta: float) -> Law:
    """min(1, p + sqrt(2 delta p (1 - p)))."""
    variance = p * (1.0 - p)
    step = np.sqrt(2.0 * delta * variance)
    return np.minimum(p + step, 1.0)


def _distance(p: Law, q: Law) -> float:
    """TV(p, q), the mass of q above p."""
    above = np.maximum(q - p, 0.0)
    return float(above.sum())


def _without_each(p: Law) -> Values:
    """p without token x in row x, [V, V]."""
    others = np.tile(p, (len(p), 1))
    np.fill_diagonal(others, 0.0)
    return others


def _judged(accepts: Mask, p: Law) -> OneDraft:
    """Keeps the tokens of a set, and emits argmax p for any other."""
    best = np.zeros_like(p)
    best[np.argmax(p)] = 1.0
    return OneDraft(
        kept=accepts.astype(np.float64),
        rest=best,
    )


def _ring(size: int, count: int) -> Indices:
    """The tokens nearest to each on a ring of ids: 1 after, 1 before, 2 after, .. [V, count]."""
    steps = np.arange(2, min(count, size - 1) + 2)
    half = steps // 2
    signed = np.where(steps % 2 == 0, half, -half)
    tokens = np.arange(size)
    near: Indices = (tokens[:, None] + signed) % size
    return near


def _circle(size: int) -> Values:
    """The ids at equal distances on the circle of radius 1, [V, 2]."""
    angle = 2.0 * np.pi * np.arange(size) / size
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)
