"""Verifiers of paths and trees written plainly, as laws on one drawn tree, and their expected
accepted drafts in closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from theory import lp
from theory.problem import Problem
from theory.transport import normalised
from theory.trees import ROOT, Tree, TreeProblem, Verifier, children, levels

Law = NDArray[np.float64]
Tokens = NDArray[np.int64]
NodeRule = Callable[[Tokens, Law, Law], Law]


def top_down(rule: NodeRule) -> Verifier:
    """The verifier that runs a node rule, law(live drafts, p, q), at the root, then at the accepted
    child, until no child is hit.
    """

    def verify(tree: Tree) -> Law:
        law = np.zeros_like(tree.p)
        reach = np.zeros(len(tree.p))
        reach[ROOT] = 1.0
        for node in np.flatnonzero(tree.active):
            below = tree.below(int(node))
            law[node] = reach[node] * (
                rule(tree.tokens[below], tree.p[node], tree.q[node]) if len(below) else tree.p[node]
            )
            for child in below:  # the first of equal siblings takes all
                reach[child], law[node, tree.tokens[child]] = law[node, tree.tokens[child]], 0.0
        return law

    return verify


def recursive_rejection(tokens: Tokens, p: Law, q: Law) -> Law:
    """r = p; accepts each draft x with probability min(1, r(x)/q(x)), else r ~ (r - q)+; at last y
    ~ r. Source: miao2024specinfer.
    """
    return _reject(tokens, p, q, lambda q, token: q)


def recursive_rejection_without_replacement(tokens: Tokens, p: Law, q: Law) -> Law:
    """Recursive rejection in which q loses every rejected draft. Source: jeon2024recursive."""
    return _reject(tokens, p, q, _removed)


def optimal(scheme: str) -> NodeRule:
    """The plan of the linear program for the scheme's drafts at one node. Cost: a program per pair
    of laws and number of drafts.
    """
    plans: dict[tuple[bytes, bytes, int], Law] = {}

    def rule(tokens: Tokens, p: Law, q: Law) -> Law:
        pair = p.tobytes(), q.tobytes(), len(tokens)
        if pair not in plans:
            plans[pair] = lp.plan(Problem(p, q, len(tokens), scheme))
        return plans[pair][tuple(tokens)].copy()

    return rule


def traversal(tree: Tree) -> Law:
    """From the leaves to the root: a node is accepted only after all of its children have failed.
    Source: weng2025traversal.

    At a node of weight w, from r = p, d = q: each child x in turn has the weight min(1, w
    r(x)/d(x)); if all below it fails, S = sum (w r - d)+, w becomes S / (S + 1 - w) and r ~ (w r -
    d)+; without replacement d loses x. Then the node is accepted with probability w and y ~ r.
    """
    law = np.zeros_like(tree.p)
    _traverse(tree, ROOT, 1.0, 1.0, law)
    return law


def block(tree: Tree) -> Law:
    """Block verification of one path x_1..x_D: w_0 = 1, w_i = min(1, w_{i-1} p(x_i)/q(x_i)).
    Source: sun2024block.

    The longest i that is accepted counts: i < D with probability S/(S + 1 - w_i), S = sum (w_i p -
    q)+ after node i, and D with w_D.
    """
    law = np.zeros_like(tree.p)
    last = len(tree.p) - 1
    missed = 1.0
    weights = [1.0]
    for node in range(1, last + 1):
        weights.append(
            _weight(weights[-1], tree.p[node - 1], tree.q[node - 1], int(tree.tokens[node]))
        )
    for node in range(last, -1, -1):
        accept, residual = (
            (weights[node], tree.p[node])
            if node == last
            else _fail(weights[node], tree.p[node], tree.q[node])
        )
        law[node] = missed * accept * residual
        missed *= 1.0 - accept
    return law


def block_accepted(problem: TreeProblem) -> float:
    """E[ell] of block verification of one path: sum_i E_Q[w_i], by the mass F = Q w that passes
    each context.

    F(s y) = min(Q(s y), F(s) p(y | s)).
    Raises:
      ValueError: the tree is not one path.
    Cost: O(V^D). Source: sun2024block.
    """
    passed = drafted = np.ones(1)
    total = 0.0
    for level in _chain_levels(problem):
        drafted = (drafted[:, None] * problem.draft[level]).ravel()
        passed = np.minimum(drafted, (passed[:, None] * problem.target[level]).ravel())
        total += float(passed.sum())
    return total


def token_by_token_accepted(problem: TreeProblem) -> float:
    """E[ell] of one path whose drafts are accepted one after the other: F(s y) = F(s) min(p, q)(y |
    s).

    Raises:
      ValueError: the tree is not one path.
    Cost: O(V^D). Source: leviathan2023fast.
    """
    passed = np.ones(1)
    total = 0.0
    for level in _chain_levels(problem):
        passed = (passed[:, None] * np.minimum(problem.target[level], problem.draft[level])).ravel()
        total += float(passed.sum())
    return total


def expected_rejections(problem: TreeProblem) -> float:
    """Drafts rejected while D tokens are emitted, each draft tested on its own: sum over contexts s
    below depth D of P(s) TV(p, q | s).

    What is emitted before has the target's law, and a draft of law q is rejected with probability
    TV. Source: yin2024theoretical.
    Raises:
      ValueError: the tree is not one path.
    Cost: O(V^D).
    """
    mass = np.ones(1)
    total = 0.0
    for level in _chain_levels(problem):
        total += float(mass @ np.abs(problem.target[level] - problem.draft[level]).sum(axis=1)) / 2
        mass = (mass[:, None] * problem.target[level]).ravel()
    return total


def branching(rule: NodeRule, problem: Problem) -> Law:
    """P(draft k is accepted) [live slots] at one node, the first of equal drafts taking all. Cost:
    one law per tuple of drafts.
    """
    joint = problem.joint()
    found = np.zeros(joint.tokens.shape[1])
    for tokens, mass in zip(joint.tokens, joint.mass, strict=True):
        distinct, first = np.unique(tokens, return_index=True)
        found[first] += mass * rule(tokens, problem.p, problem.q)[distinct]
    return found


def accepted_by_branching(parents: Sequence[int], branch: Callable[[int], Law]) -> float:
    """E[ell] of a top-down verifier at any V: over the drafted nodes, the sum of the product of
    branch(siblings)[slot] along the path.

    Exact where every context has the same pair of laws, so that the chance of a branch does not
    depend on the way to it.
    """
    reach = np.zeros(len(parents))
    reach[ROOT] = 1.0
    for node, below in enumerate(children(parents)):
        live = branch(len(below)) if below else np.zeros(0)
        reach[below[: len(live)]] = reach[node] * live
    return float(reach[1:].sum())


def _chain_levels(problem: TreeProblem) -> list[slice]:
    if list(problem.parents) != list(range(-1, len(problem.parents) - 1)):
        raise ValueError(f"parents: expected one path, got {list(problem.parents)}")
    return levels(problem.target)[:-1]


def _traverse(
    tree: Tree,
    node: int,
    weight: float,
    reached: float,
    law: Law,
) -> float:
    """Fills in `law` at and below a node; returns the probability that all of it is reached and
    fails.
    """
    r = tree.p[node]
    d = tree.q[node]
    for child in tree.below(node):
        token = int(tree.tokens[child])
        reached = _traverse(tree, int(child), _weight(weight, r, d, token), reached, law)
        weight, r = _fail(weight, r, d)
        d = _removed(d, token) if tree.scheme == "without_replacement" else d
    law[node] = reached * weight * r
    return reached * (1.0 - weight)


def _weight(
    weight: float,
    r: Law,
    d: Law,
    token: int,
) -> float:
    """min(1, w r(x) / d(x)); 1 where d(x) is too small to divide by."""
    above = weight * float(r[token])
    return 1.0 if above >= d[token] else above / float(d[token])


def _fail(weight: float, r: Law, d: Law) -> tuple[float, Law]:
    """S / (S + 1 - w) with S = sum (w r - d)+, and the law in proportion to (w r - d)+; what cannot
    happen leaves both as they are.
    """
    excess = np.maximum(weight * r - d, 0.0)
    stay = float(excess.sum())
    return (weight if weight == 1.0 else stay / (stay + 1.0 - weight)), (
        excess / stay if stay > 0 else r
    )


def _removed(q: Law, token: int) -> Law:
    """q without a token; as it is where nothing else is left."""
    rest = np.where(np.arange(len(q)) == token, 0.0, q)
    return rest / rest.sum() if rest.any() else q


def _reject(
    tokens: Tokens,
    p: Law,
    q: Law,
    after: Callable[[Law, int], Law],
) -> Law:
    law = np.zeros_like(p)
    r = p
    reached = 1.0
    for token in tokens:
        accept = _weight(1.0, r, q, int(token))
        law[token] += reached * accept
        reached *= 1.0 - accept
        r = normalised(np.maximum(r - q, 0.0))
        q = after(q, int(token))
    return law + reached * r
