"""The best shape of a tree: the positional programme, the search over all shapes, and the limit of
trees that chance does not shape.
"""

import numpy as np
import pytest

from theory import TreeProblem, closed_form, tree_lp, tree_shapes, trees, verifiers

NODES = (1, 2, 5, 8)


def chances(seed, slots=4):
    """Falling chances of up to four slots."""
    return np.sort(np.random.default_rng(seed).dirichlet(np.ones(slots + 1))[:slots])[::-1]


def accepted(parents, acceptance):
    return verifiers.accepted_by_branching(parents, lambda siblings: acceptance[:siblings])


def brute_force(acceptance, nodes, depth):
    """The best E[ell] over every tree of at most `nodes` nodes."""
    every = (parents for count in range(1, nodes + 1) for parents in tree_shapes.shapes(count))
    fitting = (
        tree
        for tree in every
        if max(trees.depths(tree)) <= depth
        and max(map(len, trees.children(tree))) <= len(acceptance)
    )
    return max(accepted(tree, acceptance) for tree in fitting)


def test_all_shapes_are_there_once():
    for nodes, catalan in ((1, 1), (2, 1), (3, 2), (4, 5), (8, 429)):
        found = list(tree_shapes.shapes(nodes))
        assert len(found) == len(set(found)) == catalan
        assert all(len(tree) == nodes and trees.depths(tree) for tree in found)


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("slots", [1, 2, 4])
def test_the_programme_equals_brute_force(slots, depth):
    for seed in range(3):
        for acceptance in (
            chances(seed, slots),
            chances(seed, slots)[::-1],
            np.zeros(slots),
            np.ones(slots),
        ):
            table = tree_shapes.sequoia(acceptance, max(NODES), depth)
            for nodes in NODES:
                best = brute_force(acceptance, nodes, depth)
                tree = table.parents(nodes, depth)
                assert abs(table.accepted[depth, nodes] - best) < 1e-13
                assert abs(accepted(tree, acceptance) - best) < 1e-13
                assert len(tree) <= nodes
                assert max(trees.depths(tree)) <= depth


@pytest.mark.parametrize("nodes", [2, 9, 33, 64])
def test_the_programme_without_a_cap_equals_best_first(nodes):
    for seed in range(5):
        table = tree_shapes.sequoia(chances(seed), nodes, nodes - 1)
        tree = tree_shapes.best_first(chances(seed), nodes)
        assert len(tree) == nodes
        assert abs(table.accepted[-1, nodes] - accepted(tree, chances(seed))) < 1e-12


def test_best_first_fails_where_chances_rise():
    """So the agreement above is not for want of hard cases: a poor first slot hides a good second
    one.
    """
    rising = np.array([0.3, 0.6])
    assert (
        accepted(tree_shapes.best_first(rising, 3), rising)
        == tree_shapes.sequoia(rising, 3, 2).accepted[-1, -1]
        == pytest.approx(0.9)
    )
    rising = np.array([0.5, 0.2, 0.9])
    assert (
        accepted(tree_shapes.best_first(rising, 4), rising)
        < tree_shapes.sequoia(rising, 4, 3).accepted[-1, -1] - 0.1
    )


def lists(drafts, depth):
    """Every branching list of at most so many drafts and levels, and of nodes with at most four
    children.
    """

    def extended(counts, width, left):
        yield counts
        for b in range(1, min(left // width, 4) + 1) if len(counts) < depth else ():
            yield from extended((*counts, b), width * b, left - width * b)

    return extended((), 1, drafts)


def full(counts):
    parents = [-1]
    level = range(1)
    for b in counts:
        below = [node for node in level for _ in range(b)]
        level = range(len(parents), len(parents) + len(below))
        parents += below
    return tuple(parents)


@pytest.mark.parametrize(("drafts", "depth"), [(1, 1), (4, 4), (6, 2), (13, 8)])
def test_constant_branching_equals_brute_force(drafts, depth):
    for seed in range(3):
        for acceptance in (chances(seed), chances(seed)[::-1]):
            found = tree_shapes.constant_branching(acceptance, drafts, depth)
            best = max(accepted(full(counts), acceptance) for counts in lists(drafts, depth))
            assert len(found) <= depth
            assert len(full(found)) <= drafts + 1
            assert abs(accepted(full(found), acceptance) - best) < 1e-12


def test_constant_branching_takes_a_path_where_first_slots_hold_all():
    assert tree_shapes.constant_branching([0.9, 0.01], 6, 6) == (1,) * 6
    assert tree_shapes.constant_branching([0.5, 0.5], 6, 6) == (2, 2)
    assert tree_shapes.constant_branching([0.5], 6, 0) == ()


def test_a_cap_that_is_forgotten_is_caught():
    table = tree_shapes.sequoia(chances(0), 8, 7)
    assert table.accepted[7, 8] > table.accepted[2, 8] + 1e-3


def test_the_tree_of_most_speed():
    table = tree_shapes.sequoia(0.8 * 0.5 ** np.arange(4), 64, 12)
    assert table.fastest(lambda _: 1.0, 0.0)[0] == 64
    assert table.fastest(lambda _: 1.0, 10.0) == (1, 0)
    nodes, depth = table.fastest(lambda count: 1 + 0.03 * count, 0.1)
    speeds = {
        (m, level): (1 + accepted(table.parents(m, level), 0.8 * 0.5 ** np.arange(4)))
        / (1 + 0.03 * m + 0.1 * level)
        for m in range(1, 65)
        for level in range(13)
    }
    assert speeds[nodes, depth] == pytest.approx(max(speeds.values()), abs=1e-12)


@pytest.mark.parametrize(
    ("acceptance", "reason"),
    [([], "one per slot"), ([0.5, 1.1], "probabilities"), ([[0.5]], "one per slot")],
)
def test_what_are_no_chances(acceptance, reason):
    with pytest.raises(ValueError, match=reason):
        tree_shapes.sequoia(acceptance, 3, 2)
    with pytest.raises(ValueError, match=reason):
        tree_shapes.best_first(acceptance, 3)


def test_a_budget_that_holds_no_tree():
    with pytest.raises(ValueError, match="nodes, depth"):
        tree_shapes.sequoia([0.5], 0, 2)


def models(vocabulary, nodes, seed):
    chain = tuple(range(-1, nodes - 1))
    problem = trees.random(chain, vocabulary, "iid", seed)
    return problem.target, problem.draft


def accepted_by_traversal(target, draft, scheme):
    def expected(parents):
        drawn = trees.drawn(TreeProblem(parents, target, draft, scheme))
        return trees.expected_accepted(drawn, drawn.laws(verifiers.traversal))

    return expected


@pytest.mark.parametrize("scheme", ["iid", "without_replacement"])
def test_search_under_exact_acceptance(scheme):
    """The joint optimum bounds every shape's verifier, so the best of one bounds the best of the
    other.
    """
    for seed in range(2):
        target, draft = models(2, 5, seed)
        best = tree_shapes.search(5, tree_shapes.joint_optimum(target, draft, scheme))
        walked = tree_shapes.search(5, accepted_by_traversal(target, draft, scheme))
        assert len(best) == len(walked) == 14
        assert [shape.accepted for shape in best] == sorted(
            (shape.accepted for shape in best), reverse=True
        )
        values = {shape.parents: shape.accepted for shape in best}
        assert all(shape.accepted <= values[shape.parents] + 1e-12 for shape in walked)
        top = trees.drawn(TreeProblem(best[0].parents, target, draft, scheme))
        assert tree_lp.solve(top).value == best[0].accepted


def test_search_finds_the_path_where_draft_and_target_agree():
    target, _ = models(2, 5, 0)
    best = tree_shapes.search(5, tree_shapes.joint_optimum(target, target, "iid"))[0]
    assert best.parents == (-1, 0, 1, 2, 3)
    assert best.accepted == pytest.approx(4, abs=1e-9)


def test_search_agrees_with_the_programme_where_acceptance_is_positional():
    """Fixed drafts, the most likely tokens, at one pair everywhere: slot b is accepted with
    probability p of the b-th token.
    """
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.3, 0.1])
    problem = trees.everywhere((-1, 0, 1, 2), p, q, "top_n")
    for shape in tree_shapes.search(
        4, tree_shapes.joint_optimum(problem.target, problem.draft, "top_n")
    ):
        assert abs(shape.accepted - accepted(shape.parents, p)) < 1e-9
    best = tree_shapes.search(4, tree_shapes.joint_optimum(problem.target, problem.draft, "top_n"))[
        0
    ]
    assert abs(best.accepted - tree_shapes.sequoia(p, 4, 3).accepted[-1, -1]) < 1e-9


def log_moments(p):
    return tree_shapes.LogMoments(-(p * np.log(p)).sum(), (p * np.log(p) ** 2).sum())


def fixed_trees(p, sizes):
    """E[ell] of the best trees that are no function of chance: slot b holds the b-th token of p."""
    falling = np.sort(p)[::-1]
    return np.array([accepted(tree_shapes.best_first(falling, nodes), falling) for nodes in sizes])


def test_the_limit_of_fixed_trees():
    """E[ell] stays below the limit, and doubling the tree buys log 2 / mu, which the limit's slope
    exceeds.
    """
    sizes = 2 ** np.arange(1, 13)
    for seed in range(3):
        p = np.random.default_rng(seed).dirichlet(np.ones(4))
        moments = log_moments(p)
        assert moments.second >= moments.first**2
        values = fixed_trees(p, sizes)
        limits = np.array([tree_shapes.random_walk_limit(moments, nodes) for nodes in sizes])
        assert (values < limits).all()
        assert abs(np.diff(values)[-1] - np.log(2) / moments.first) < 0.02
        assert np.diff(limits)[-1] > np.diff(values)[-1]


def test_drawn_trees_exceed_the_limit_of_fixed_ones():
    p = np.array([0.6, 0.4])
    problem = trees.everywhere(tuple(range(-1, 12)), p, p, "iid")
    assert verifiers.block_accepted(problem) == pytest.approx(12, abs=1e-12)
    assert tree_shapes.random_walk_limit(log_moments(p), 13) < 12
    assert closed_form.total_variation(p, p) == 0
