"""Layer verification: the accepted mass of a tree is shared layer by layer, over any node rule."""

from collections.abc import Callable

import numpy as np

from theory._arrays import Indices, Law, Values
from theory.contexts import ROOT, depths
from theory.problem import Problem
from theory.trees import NodeRule, Tree, Verifier

Split = Callable[[Values, Indices], Values]


def first(chances: Values, tokens: Indices) -> Values:
    """The share of each draft: of equal siblings the first has all.

    Args:
      chances: [n], the probability that the token of each draft is accepted.
      tokens: [n], the drafts.

    Returns:
      The shares [n].
    """
    _, places = np.unique(tokens, return_index=True)
    slots = np.arange(len(tokens))
    is_first = np.isin(slots, places)
    return np.where(is_first, chances, 0.0)


def even(chances: Values, tokens: Indices) -> Values:
    """The share of each draft: equal siblings have equal parts.

    Args:
      chances: [n], the probability that the token of each draft is accepted.
      tokens: [n], the drafts.

    Returns:
      The shares [n].
    """
    equal = tokens[:, None] == tokens
    shares: Values = chances / equal.sum(axis=1)
    return shares


def layer(rule: NodeRule, split: Split = first) -> Verifier:
    """Layer verification over a node rule.

    The nodes a of layer j hold weights w_a with sum W <= 1. Each runs the rule with the target
    W p_a; the missing 1 - W lies on a token that is never drafted. A child x has the weight
    (w_a / W) c(x), where c(x) is the probability that the rule accepts x given the drafts. F(x) is
    the mean of c(x) over the drafts. The residuals R_a = w_a p_a - (w_a / W) F of a layer have the
    sum r. From the deepest layer up, a layer succeeds with probability r / (r + 1 - W). Then (a, y)
    is emitted in proportion to R_a(y).

    Args:
      rule: law(live drafts, p, q), the law [V] of the emitted token.
      split: how equal siblings share what the rule accepts of their token.

    Returns:
      The verifier: a drawn tree gives the law [N, V].
    """
    accepted: dict[tuple[bytes, bytes, int], Law] = {}

    def mean(node: Problem) -> Law:
        key = node.p.tobytes(), node.q.tobytes(), node.n
        if key not in accepted:
            accepted[key] = accepted_mass(rule, node)
        return accepted[key]

    def verify(tree: Tree) -> Law:
        depth = np.array(depths(tree.parents.tolist()))
        weights = np.zeros(len(tree.p))
        weights[ROOT] = 1.0
        rests = weights[:, None] * tree.p
        for node in np.flatnonzero(tree.active):
            beside = weights[depth == depth[node]]
            whole = min(float(beside.sum()), 1.0)
            rests[node] = weights[node] * tree.p[node]
            below = tree.below(int(node))
            if not len(below) or weights[node] == 0:
                continue
            p = np.append(whole * tree.p[node], 1.0 - whole)
            q = np.append(tree.q[node], 0.0)
            here = Problem(
                p,
                q,
                len(below),
                tree.scheme,
            )
            tokens = tree.tokens[below]
            part = weights[node] / whole
            law = rule(tokens, here.p, here.q)  # the very laws of the mean
            weights[below] = part * split(law[tokens], tokens)
            given = part * mean(here)[:-1]
            rests[node] = np.maximum(rests[node] - given, 0.0)
        return _emitted(depth, weights[:, None] * tree.p, rests)

    return verify


def accepted_mass(rule: NodeRule, problem: Problem) -> Law:
    """P(the emitted token is y, and y is one of the drafts) at one node, for every y.

    Cost: one law for each tuple of drafts.

    Args:
      rule: the node rule.
      problem: the laws, the number of drafts and the scheme.

    Returns:
      [V], at most p if the rule is lossless; its sum is the acceptance.
    """
    joint = problem.joint()
    found = np.zeros_like(problem.p)
    for tokens, mass in zip(joint.tokens, joint.mass, strict=True):
        drafted = np.unique(tokens)
        law = rule(tokens, problem.p, problem.q)
        found[drafted] += mass * law[drafted]
    return found


def _emitted(depth: Indices, held: Law, rests: Law) -> Law:
    """The law [N, V], from what each node holds and what it keeps."""
    law = np.zeros_like(rests)
    reached = 1.0
    for level in range(int(depth.max()), -1, -1):
        here = depth == level
        source = rests[here]
        kept = float(source.sum())
        whole = min(float(held[here].sum()), 1.0)
        chance = 1.0
        if whole < 1.0:
            chance = kept / (kept + 1.0 - whole)
        if kept == 0:
            # rounding alone decides; the target stands
            source = held[here]
        mass = float(source.sum())
        if mass > 0:
            law[here] = reached * chance * source / mass
        reached *= 1.0 - chance
    return law
