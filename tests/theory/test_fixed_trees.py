"""Trees that hang on no draw: sum of P(v) is their joint optimum, and the target's token attains
it.
"""

import pytest

from theory import TreeProblem, growth, tree_lp, tree_shapes, trees, verifiers

SHAPES = [shape for nodes in (2, 3, 4, 5) for shape in tree_shapes.shapes(nodes)]
GROWN = [(3, 2, 2), (5, 3, 2), (7, 3, 3)]


def worlds(depth: int, seeds: int = 2) -> list[TreeProblem]:
    chain = tuple(range(-1, depth))
    makes = (trees.random, trees.mixed)
    return [make(chain, 3, "top_n", seed) for make in makes for seed in range(seeds)]


def largest_gaps(drawn: trees.Drawn) -> tuple[float, float]:
    """How far the bound is from top-down verification with p itself, and from the linear
    program.
    """
    bound = trees.fixed_tree_bound(drawn)
    law = drawn.laws(verifiers.top_down(lambda tokens, p, q: p.copy()))
    assert trees.is_lossless(drawn, law)
    optimum = tree_lp.solve(drawn).value
    return abs(bound - trees.expected_accepted(drawn, law)), abs(bound - optimum)


def test_every_shape():
    found = []
    for shape in SHAPES:
        depth = max(trees.depths(shape))
        for world in worlds(depth, seeds=1):
            problem = TreeProblem(shape, world.target, world.draft, "top_n")
            found.append(largest_gaps(trees.drawn(problem)))
    attained, optimal = map(max, zip(*found, strict=True))
    print(f"{len(found)} trees: {attained:.1e} from top-down, {optimal:.1e} from the optimum")
    assert attained < 1e-12
    assert optimal < 1e-9


@pytest.mark.parametrize("sizes", GROWN)
def test_the_likeliest_prefixes(sizes):
    for world in worlds(sizes[-1]):
        drawn = growth.get("best_first").drawn(world.target, world.draft, *sizes)
        attained, optimal = largest_gaps(drawn)
        assert attained < 1e-12
        assert optimal < 1e-9


def test_a_tree_that_is_drawn_is_refused():
    problem = trees.random((-1, 0), 3, "iid", 0)
    with pytest.raises(ValueError, match="drawn: expected one tree, got 3"):
        trees.fixed_tree_bound(trees.drawn(problem))
