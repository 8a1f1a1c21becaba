"""Verifiers of paths and trees written plainly, as laws on one drawn tree.

Some have their expected accepted drafts in closed form.
"""

from collections.abc import Callable, Sequence

import numpy as np

from theory import lp, multi_path
from theory._arrays import Indices, Law, Values
from theory.layer import layer as layer
from theory.problem import Problem
from theory.transport import normalised
from theory.trees import ROOT, NodeRule, Tree, TreeProblem, Verifier, children, levels
from theory.typical_path import typical_path as typical_path


def top_down(rule: NodeRule) -> Verifier:
    """The verifier that runs a node rule at the root, then at the accepted child.

    It goes on until no child is hit.

    Args:
      rule: law(live drafts, p, q), the law [V] of the emitted token.

    Returns:
      The verifier: a drawn tree gives the law [N, V].
    """

    def verify(tree: Tree) -> Law:
        law = np.zeros_like(tree.p)
        reach = np.zeros(len(tree.p))
        reach[ROOT] = 1.0
        for node in np.flatnonzero(tree.active):
            below = tree.below(int(node))
            here = tree.p[node]
            if len(below):
                here = rule(tree.tokens[below], here, tree.q[node])
            law[node] = reach[node] * here
            for child in below:  # the first of equal siblings takes all
                token = tree.tokens[child]
                reach[child] = law[node, token]
                law[node, token] = 0.0
        return law

    return verify


def recursive_rejection(tokens: Indices, p: Law, q: Law) -> Law:
    """Accepts each draft x in turn with probability min(1, r(x)/q(x)).

    At first r = p; after a rejection r ~ (r - q)+. If none is accepted, y ~ r. Source:
    miao2024specinfer.

    Args:
      tokens: the live drafts [n].
      p: target law [V].
      q: draft law [V].

    Returns:
      The law of the emitted token [V].
    """
    return _reject(tokens, p, q, lambda q, token: q)


def recursive_rejection_without_replacement(tokens: Indices, p: Law, q: Law) -> Law:
    """Recursive rejection in which q loses every rejected draft.

    Source: jeon2024recursive.

    Args:
      tokens: the live drafts [n].
      p: target law [V].
      q: draft law [V].

    Returns:
      The law of the emitted token [V].
    """
    return _reject(tokens, p, q, _removed)


def optimal(scheme: str) -> NodeRule:
    """The plan of the linear program for the scheme's drafts at one node.

    Cost: a program for each pair of laws and number of drafts.

    Args:
      scheme: one of `theory.drafting.names()`.

    Returns:
      The node rule.
    """
    plans: dict[tuple[bytes, bytes, int], Law] = {}

    def rule(tokens: Indices, p: Law, q: Law) -> Law:
        pair = p.tobytes(), q.tobytes(), len(tokens)
        if pair not in plans:
            plans[pair] = lp.plan(Problem(p, q, len(tokens), scheme))
        law: Law = plans[pair][tuple(tokens)].copy()
        return law

    return rule


def traversal(tree: Tree) -> Law:
    """From the leaves to the root: a node is accepted only after all of its children have failed.

    At a node of weight w, r = p and d = q at first. Each child x in turn has the weight
    min(1, w r(x)/d(x)). If all below it fails, let S = sum (w r - d)+. Then w becomes
    S / (S + 1 - w), and r ~ (w r - d)+; without replacement d loses x. At last the node is accepted
    with probability w, and y ~ r. Source: weng2025traversal.

    Args:
      tree: one drawn tree of N nodes.

    Returns:
      The law [N, V].
    """
    law = np.zeros_like(tree.p)
    _traverse(tree, ROOT, 1.0, 1.0, law)
    return law


def block(tree: Tree) -> Law:
    """Block verification of one path x_1..x_D: w_0 = 1, w_i = min(1, w_{i-1} p(x_i)/q(x_i)).

    The longest i that is accepted counts: D with probability w_D, and i < D with probability
    S/(S + 1 - w_i). Here S = sum (w_i p - q)+ after node i. Source: sun2024block.

    Args:
      tree: one drawn path of N nodes.

    Returns:
      The law [N, V].
    """
    law = np.zeros_like(tree.p)
    last = len(tree.p) - 1
    weights = [1.0]
    for node in range(last):
        token = int(tree.tokens[node + 1])
        weight = _weight(
            weights[node],
            tree.p[node],
            tree.q[node],
            token,
        )
        weights.append(weight)
    law[last] = weights[last] * tree.p[last]
    missed = 1.0 - weights[last]
    for node in range(last - 1, -1, -1):
        accept, residual = _fail(
            weights[node],
            tree.p[node],
            tree.q[node],
        )
        law[node] = missed * accept * residual
        missed *= 1.0 - accept
    return law


def greedy_multi_path_block(tree: Tree) -> Law:
    """Block verification of the largest of n independent paths, against that path's own law.

    Source: thomas2026greedy.

    Args:
      tree: n independent paths, drawn.

    Returns:
      The law [N, V].
    """
    law = np.zeros_like(tree.p)
    nodes, path = multi_path.selected(tree)
    law[nodes] = block(path)
    return law


def block_accepted(problem: TreeProblem) -> float:
    """E[ell] of block verification of one path: sum_i E_Q[w_i].

    It follows the mass F = Q w that passes each context: F(s y) = min(Q(s y), F(s) p(y | s)). Cost:
    O(V^D). Source: sun2024block.

    Args:
      problem: one path of D drafts.

    Returns:
      The expectation, in [0, D].

    Raises:
      ValueError: the tree is not one path.
    """
    passed = drafted = np.ones(1)
    total = 0.0
    for level in _chain_levels(problem):
        drafted = _extended(drafted, problem.draft[level])
        passed = np.minimum(drafted, _extended(passed, problem.target[level]))
        total += float(passed.sum())
    return total


def token_by_token_accepted(problem: TreeProblem) -> float:
    """E[ell] of one path whose drafts are accepted one after the other.

    The mass that passes is F(s y) = F(s) min(p, q)(y | s). Cost: O(V^D). Source:
    leviathan2023fast.

    Args:
      problem: one path of D drafts.

    Returns:
      The expectation, in [0, D].

    Raises:
      ValueError: the tree is not one path.
    """
    passed = np.ones(1)
    total = 0.0
    for level in _chain_levels(problem):
        overlap = np.minimum(problem.target[level], problem.draft[level])
        passed = _extended(passed, overlap)
        total += float(passed.sum())
    return total


def expected_rejections(problem: TreeProblem) -> float:
    """Drafts rejected while D tokens are emitted, each draft tested on its own.

    It is the sum over contexts s below depth D of P(s) TV(p, q | s). What is emitted before has the
    target's law, and a draft of law q is rejected with probability TV. Cost: O(V^D). Source:
    yin2024theoretical.

    Args:
      problem: one path of D drafts.

    Returns:
      The expectation, in [0, D].

    Raises:
      ValueError: the tree is not one path.
    """
    mass = np.ones(1)
    total = 0.0
    for level in _chain_levels(problem):
        distance = np.abs(problem.target[level] - problem.draft[level]).sum(axis=1)
        total += float(mass @ distance) / 2
        mass = _extended(mass, problem.target[level])
    return total


def branching(rule: NodeRule, problem: Problem) -> Values:
    """P(draft k is accepted) at one node, the first of equal drafts taking all.

    Cost: one law for each tuple of drafts.

    Args:
      rule: the node rule.
      problem: the laws, the number of drafts and the scheme.

    Returns:
      The probabilities [live slots].
    """
    joint = problem.joint()
    found = np.zeros(joint.tokens.shape[1])
    for tokens, mass in zip(joint.tokens, joint.mass, strict=True):
        distinct, first = np.unique(tokens, return_index=True)
        law = rule(tokens, problem.p, problem.q)
        found[first] += mass * law[distinct]
    return found


def accepted_by_branching(parents: Sequence[int], branch: Callable[[int], Values]) -> float:
    """E[ell] of a top-down verifier at any V.

    It is the sum over the drafted nodes of the product of branch(siblings)[slot] along the path. It
    is exact if every context has the same pair of laws. Then the chance of a branch does not depend
    on the way to it.

    Args:
      parents: the node above each node, in level order; parents[0] = -1.
      branch: from the number of siblings, P(draft k is accepted) [live slots].

    Returns:
      The expectation, in [0, D].
    """
    reach = np.zeros(len(parents))
    reach[ROOT] = 1.0
    for node, below in enumerate(children(parents)):
        if below:
            live = branch(len(below))
            reach[below[: len(live)]] = reach[node] * live
    return float(reach[1:].sum())


def _chain_levels(problem: TreeProblem) -> list[slice]:
    if list(problem.parents) != list(range(-1, len(problem.parents) - 1)):
        raise ValueError(f"parents: expected one path, got {list(problem.parents)}")
    return levels(problem.target)[:-1]


def _extended(mass: Values, laws: Law) -> Values:
    """The mass [C V] of the contexts one token longer."""
    return (mass[:, None] * laws).ravel()


def _traverse(
    tree: Tree,
    node: int,
    weight: float,
    reached: float,
    law: Law,
) -> float:
    """Fills in `law` at and below a node.

    Returns the probability that all of it is reached and fails.
    """
    r = tree.p[node]
    d = tree.q[node]
    for child in tree.below(node):
        token = int(tree.tokens[child])
        reached = _traverse(
            tree,
            int(child),
            _weight(weight, r, d, token),
            reached,
            law,
        )
        weight, r = _fail(weight, r, d)
        if tree.scheme == "without_replacement":
            d = _removed(d, token)
    law[node] = reached * weight * r
    return reached * (1.0 - weight)


def _weight(weight: float, r: Law, d: Law, token: int) -> float:
    """min(1, w r(x) / d(x)); 1 if d(x) is too small to divide by."""
    above = weight * float(r[token])
    if above >= d[token]:
        return 1.0
    return above / float(d[token])


def _fail(weight: float, r: Law, d: Law) -> tuple[float, Law]:
    """S / (S + 1 - w) with S = sum (w r - d)+, and the law in proportion to (w r - d)+.

    What cannot happen leaves both as they are.
    """
    excess = np.maximum(weight * r - d, 0.0)
    stay = float(excess.sum())
    if stay > 0:
        r = excess / stay
    if weight != 1.0:
        weight = stay / (stay + 1.0 - weight)
    return weight, r


def _removed(q: Law, token: int) -> Law:
    """q without a token; q as it is if nothing else is left."""
    rest = np.where(np.arange(len(q)) == token, 0.0, q)
    total = float(rest.sum())
    if total > 0:
        return rest / total
    return q


def _reject(tokens: Indices, p: Law, q: Law, after: Callable[[Law, int], Law]) -> Law:
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
