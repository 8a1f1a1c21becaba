"""RheoSampling's tree by enumeration: the likeliest token of a node, and one draw Y from the rest.

Nodes are kept by priority, a product along the path. That of the likeliest token is b = q(best).
"""

from collections.abc import Callable, Iterator

import numpy as np

from theory import trees, verifiers
from theory.growth._base import Placed, World, collect, placed, world
from theory.trees import ROOT

Factor = Callable[[float, float], float]  # (b, q(Y)) -> that of Y
NODES, DEPTH = 4, 2
WORLDS = [
    make((-1, 0, 1), 3, "greedy", seed) for make in (trees.random, trees.mixed) for seed in range(3)
]


def proxy(best: float, drawn: float) -> float:
    return min(best, 1 - best)


def probability(best: float, drawn: float) -> float:
    return drawn


def tree_law(target, draft, factor: Factor) -> trees.Drawn:
    known = world(target, draft, DEPTH)
    found = (
        (_nodes(known, tree), mass)
        for tree, mass in _grow(known, (ROOT,), 1.0, {ROOT: 1.0}, factor)
    )
    return collect(known, found, "greedy")


def _nodes(known: World, tree: tuple[int, ...]) -> list[Placed | None]:
    return placed(known, sorted(tree, key=known.depth), NODES)


def _grow(known, tree, mass, priorities, factor) -> Iterator[tuple[tuple[int, ...], float]]:
    """All ways to go on: the tokens below the last node are offered, then the best is kept."""
    for offered, chance in _offers(known, tree[-1], priorities, factor):
        open_now = [context for context in offered if context not in tree]
        if len(tree) == NODES or not open_now:
            yield tree, mass * chance
        else:
            kept = max(open_now, key=offered.__getitem__)  # of equals the first that was offered
            yield from _grow(known, (*tree, kept), mass * chance, offered, factor)


def _offers(known, context, priorities, factor):
    """The offers with the two tokens below a context, for each Y that can be drawn."""
    first = known.first_below(context)
    if first >= len(known.mass):
        yield priorities, 1.0
        return
    q = known.draft[context]
    best = int(np.argmax(q))
    own = priorities[context]
    with_best = {**priorities, first + best: own * q[best]}
    rest = np.where(np.arange(len(q)) == best, 0.0, q)
    if not rest.any():
        yield with_best, 1.0
    for token in np.flatnonzero(rest):
        offered = {**with_best, first + int(token): own * factor(q[best], q[token])}
        yield offered, float(rest[token] / rest.sum())


def rule(tokens, p, q):
    """The optimum of both tokens; the likeliest alone is no draw, so that the token is one of p."""
    if len(tokens) < 2:
        return p.copy()
    return verifiers.optimal("greedy")(tokens, p, q)


def losses(factor: Factor) -> list[float]:
    found = []
    for problem in WORLDS:
        law = tree_law(problem.target, problem.draft, factor)
        assert abs(law.mass.sum() - 1) < 1e-13
        found.append(trees.loss(law, law.laws(verifiers.top_down(rule))))
    return found


def test_a_proxy_that_does_not_know_the_token_is_lossless():
    found = losses(proxy)
    print(f"total variation {max(found):.1e}")
    assert max(found) < 1e-12


def test_the_probability_of_the_token_as_its_priority_is_not():
    found = losses(probability)
    print("total variation", *(f"{loss:.4f}" for loss in found))
    assert max(found) > 1e-2
