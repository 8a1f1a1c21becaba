"""The front of a draft tree: the most accepted drafts of any verifier at a given bias of the text.

TV of a text is no sum over its nodes, so that the joint program bounds what rules node by node can
do. The text is the D tokens that a tree of depth D may decide; the token after a leaf may come from
the target at no cost.
"""

import numpy as np
from scipy.sparse import coo_array, csr_array, eye_array, hstack, vstack

from theory import _linear_program, front, trees
from theory._arrays import Indices, Law, Values
from theory.problem import Problem
from theory.tree_lp import merge
from theory.trees import ROOT, Drawn, Tree, Verifier, levels


def accepted(drawn: Drawn, tv: float) -> float:
    """The largest E[ell] of any verifier whose texts lie within tv of the target's.

    Let z(g, s) be the mass of the walks on path set g that end at context s, and b(s, y) that of
    the walks that end at s and emit y. A text that has left the tree is continued by the target.
    So the law of texts is linear in z and b, and E[ell] is the mass of z at or below each context
    but the root. At tv = 0 this is the joint optimum of `tree_lp`.

    Cost: a linear program of one variable for each pair of a path set and a context in it, and
    for each of V^D texts.

    Args:
      drawn: the law over trees.
      tv: of the law of texts, in [0, 1].

    Returns:
      The expectation, in [0, D].

    Raises:
      RuntimeError: the solver failed, with its status.

    Example:
      >>> from theory import tree_front, trees
      >>> problem = trees.everywhere((-1, 0), [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], "iid")
      >>> round(tree_front.accepted(trees.drawn(problem), 0.1), 6)
      0.8
    """
    target = drawn.target
    sets = merge(drawn)
    rows, ends = np.nonzero(sets.members)
    inner = levels(target)[-1].start
    passed, left = _texts(target)
    above = passed[:, ends]
    texts = len(target) - inner
    walks = len(rows)
    emitted = inner * target.shape[1]
    moved = eye_array(texts)
    law = hstack((above[inner:], left[inner:], -moved, moved))
    ended = hstack((_rows(ends, len(target))[:inner], -_bonus(inner, target.shape[1])))
    drawn_once = _rows(rows, len(sets.mass))
    spare = coo_array((len(sets.mass), emitted + 2 * texts))
    equal = vstack(
        (
            hstack((drawn_once, spare)),
            hstack((ended, coo_array((inner, 2 * texts)))),
            law,
        )
    )
    chances = _chances(target)
    worth = np.asarray(above[ROOT + 1 :].sum(axis=0)).ravel()
    nothing = np.zeros(emitted + 2 * texts)
    spent = np.concatenate((np.zeros(walks + emitted), np.ones(texts), np.zeros(texts)))
    solution = _linear_program.minimise(
        costs=-np.concatenate((worth, nothing)),
        below=spent[None],
        limits=np.array([tv]),
        equal=(equal, np.concatenate((sets.mass, np.zeros(inner), chances))),
    )
    return -solution.value


def bias(drawn: Drawn, laws: Law) -> float:
    """The total variation between a verifier's texts of D tokens and the target's.

    `trees.loss` compares one token more, which a verifier may take from the target. So it is at
    least as large.

    Args:
      drawn: T trees of N nodes.
      laws: [T, N, V], the verifier's law on every tree.

    Returns:
      The distance at which `accepted` bounds this verifier, in [0, 1].

    Example:
      >>> from theory import tree_front, trees, verifiers
      >>> problem = trees.everywhere((-1, 0), [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], "iid")
      >>> drawn = trees.drawn(problem)
      >>> always = verifiers.top_down(lambda tokens, p, q: (np.arange(3) == tokens[0]) * 1.0)
      >>> round(tree_front.bias(drawn, drawn.laws(always)), 6)
      0.3
    """
    texts = trees.emitted(drawn, laws).sum(axis=-1)
    error = texts.ravel() - _chances(drawn.target)
    return float(np.abs(error).sum() / 2)


def at_price(verifier: Verifier, price: float) -> Verifier:
    """A verifier that runs with the law of `front` at a price, at every node with drafts.

    Args:
      verifier: a lossless verifier.
      price: nats of KL for one more unit of acceptance, the same at every node.

    Returns:
      The lossy verifier.
    """

    def verify(tree: Tree) -> Law:
        laws = tree.p.copy()
        for node in range(len(tree.parents)):
            live = len(tree.below(node))
            if live and tree.active[node]:
                problem = Problem(tree.p[node], tree.q[node], live, tree.scheme)
                laws[node] = front.front(problem).at_price(price).law
        return verifier(tree._replace(p=laws))

    return verify


def _texts(target: Law) -> tuple[csr_array, csr_array]:
    """What passes each context in the tree, and what stands there after it left the tree.

    The first [S, S] is by the ends of walks, the second [S, inner V] by what is emitted at them.
    """
    size, vocabulary = target.shape
    inner = levels(target)[-1].start
    passed = np.eye(size)
    left = np.zeros((size, inner * vocabulary))
    for context in range(size - 1, ROOT, -1):
        passed[(context - 1) // vocabulary] += passed[context]
    for context in range(1, size):
        above, token = divmod(context - 1, vocabulary)
        left[context] = target[above, token] * left[above]
        left[context, context - 1] += 1.0
    return csr_array(passed), csr_array(left)


def _bonus(inner: int, vocabulary: int) -> coo_array:
    """[inner, inner V]: what is emitted at each context."""
    columns = np.arange(inner * vocabulary)
    return _rows(columns // vocabulary, inner)


def _rows(places: Indices, count: int) -> csr_array:
    """One 1 in each column, in the given rows."""
    entries = places, np.arange(len(places))
    return csr_array(coo_array((np.ones(len(places)), entries), shape=(count, len(places))))


def _chances(target: Law) -> Values:
    """The target's probability of each text of D tokens."""
    chance = np.ones(1)
    for level in levels(target)[:-1]:
        chance = (chance[:, None] * target[level]).ravel()
    return chance
