"""The checks of a drafter: it draws what it states, the target does not see it, and the emitted
texts have the target's law.
"""

import itertools
from collections.abc import Iterator

import jax
import numpy as np
from numpy.typing import NDArray

import theory
from experiments.audits.drafter_under_audit import STEPS, DrafterUnderAudit, Law
from experiments.audits.outcomes import Reason
from experiments.enumeration.verifier_laws import Indices
from experiments.stats.frequencies import allowance
from specjax.trees import ROOT

CLOSE = 1e-4  # float32 forwards of one text, in trees of different shape


def the_target_does_not_see_it(audited: DrafterUnderAudit) -> Reason:
    """The target's law at every drawn node is that of a plain forward of its path."""
    laws = audited.laws(audited.text)
    error = np.abs(audited.seen.p - laws[audited.contexts]).max(-1)
    error = np.where(_active(audited), np.nan_to_num(error, nan=np.inf), 0)
    draw, node = np.unravel_index(int(error.argmax()), error.shape)
    if error[draw, node] <= CLOSE:
        return ""
    return (
        f"the target's law at node {node} is not that of its path, by {error[draw, node]:.3g}: "
        "it sees something else of the draft"
    )


def states_one_law(audited: DrafterUnderAudit) -> Reason:
    """A path has one stated law, and one number of children, whatever else was drawn."""
    for node, context, rows in _places(audited):
        below = _active(audited)[rows][:, _below(audited, node)]
        if np.any(below != below[0]):
            return (
                f"drops drafts: whether the children of node {node} are there depends on what "
                f"was drawn, {_path(audited, context)}"
            )
        laws = _stated(audited)[rows, node]
        error = float(np.abs(laws - laws[0]).max())
        if not error <= CLOSE:
            return (
                f"states several laws for one path: they differ by {error:.3g} at node {node}, "
                f"{_path(audited, context)}"
            )
    return ""


def draws_what_it_states(audited: DrafterUnderAudit) -> Reason:
    """All drafts down to each depth are drawn from the stated laws, each node for itself."""
    levels = audited.decoder.drafter.topology.levels
    chance = np.ones(audited.draws)
    places = list(_places(audited))
    inner = sorted({node for node, _, _ in places})
    most = int((_stated(audited)[:, inner] > 0).sum(-1).max())  # tokens that may be drawn
    for depth, (first, end) in enumerate(itertools.pairwise(levels[:-1]), 1):
        for node, _, rows in places:
            if first <= node < end:
                chance[rows] *= _chances(audited, node, rows)
        last = levels[depth + 1]
        reason = _misdrawn(audited, chance, last, most ** (last - 1))
        if reason:
            return f"draws other drafts than it states, down to depth {depth}: {reason}"
    return ""


def _misdrawn(audited: DrafterUnderAudit, chance: Law, last: int, outcomes: int) -> Reason:
    """How the trees of the first nodes differ from what should have been drawn."""
    trees = np.where(_active(audited), _tokens(audited), -1)[:, 1:last]
    _, rows, counts = np.unique(trees, axis=0, return_index=True, return_counts=True)
    stated = chance[rows]
    if np.any(stated == 0):
        return f"a draft of probability 0, {trees[rows[stated == 0]][0].tolist()}"
    missed = max(0.0, 1 - float(stated.sum()))
    distance = (float(np.abs(counts / audited.draws - stated).sum()) + missed) / 2
    allowed = allowance(np.full(outcomes, 1 / outcomes), audited.draws)
    if distance <= allowed:
        return ""
    return (
        f"total variation {distance:.3g}, {allowed:.2g} may be chance ({audited.draws} trees); "
        "either q is not the law of the draw, or one draw is used twice"
    )


def _chances(audited: DrafterUnderAudit, node: int, rows: Indices) -> Law:
    """The stated probability of what was drawn below a node, in draws with one path."""
    below = _below(audited, node)
    live = below[_active(audited)[rows[0], below]]
    if not len(live):
        return np.ones(len(rows))
    law = np.asarray(_stated(audited)[rows[0], node], np.float64)
    law = law / law.sum(-1, keepdims=True)
    scheme = theory.drafting.get(audited.scheme)
    joint = scheme.joint(law, len(below))
    held = dict(zip(map(tuple, joint.tokens.tolist()), joint.mass.tolist(), strict=True))
    drawn = map(tuple, _tokens(audited)[rows][:, live].tolist())
    return np.array([held.get(drafts, 0.0) for drafts in drawn])


def _below(audited: DrafterUnderAudit, node: int) -> Indices:
    children: Indices = audited.children[node]
    return children[children >= 0]


def _places(audited: DrafterUnderAudit) -> Iterator[tuple[int, int, Indices]]:
    """The nodes that may have children, each with a path to it and the draws that took this."""
    for node in range(len(audited.children)):
        if not len(_below(audited, node)):
            continue
        live = _active(audited)[:, node]
        for context in np.unique(audited.contexts[live, node]):
            rows = np.flatnonzero(live & (audited.contexts[:, node] == context))
            yield node, int(context), rows


def _path(audited: DrafterUnderAudit, context: int) -> str:
    """The path to a context in words."""
    tokens: list[int] = []
    while context != ROOT:
        context, token = divmod(context - 1, audited.vocabulary)
        tokens = [token, *tokens]
    return f"after the drafts {tokens}"


def _tokens(audited: DrafterUnderAudit) -> Indices:
    tokens: Indices = np.asarray(audited.seen.tokens)
    return tokens


def _active(audited: DrafterUnderAudit) -> NDArray[np.bool_]:
    return np.asarray(audited.seen.active)


def _stated(audited: DrafterUnderAudit) -> Law:
    return np.asarray(audited.seen.q)


def states_the_law_of_its_text(audited: DrafterUnderAudit) -> Reason:
    """After some steps it states what it states where a decode begins with the same text.

    A drafter that learns may draft otherwise, as its past is another.
    """
    _, state = audited.decoded
    if jax.tree.leaves(audited.decoder.drafter.learned(state.drafter)):
        return ""
    laws = audited.drawn_afresh().q
    error = float(np.abs(_stated(audited)[:, ROOT] - laws[:, ROOT]).max())
    if error <= CLOSE:
        return ""
    return (
        f"states a stale q: after {STEPS} steps that of the root is {error:.3g} from what a "
        "fresh start on the same text states"
    )


def emits_the_law_of_the_target(audited: DrafterUnderAudit) -> Reason:
    """Whole texts come as often as the target says."""
    seen, law = audited.emitted
    if np.any(seen[law == 0]):
        return f"emits a text of probability 0, {seen[law == 0].sum():.3g} of all texts"
    allowed = allowance(law, audited.draws)
    if loss(audited) <= allowed:
        return ""
    return (
        f"emits other texts than the target: total variation {loss(audited):.3g}, {allowed:.2g} "
        f"may be chance ({audited.draws} texts)"
    )


def loss(audited: DrafterUnderAudit) -> float:
    """The total variation between the texts that were emitted and the target's."""
    seen, law = audited.emitted
    return float(np.abs(seen - law).sum()) / 2


OF_ALL = (
    the_target_does_not_see_it,
    states_one_law,
    draws_what_it_states,
    states_the_law_of_its_text,
    emits_the_law_of_the_target,
)
