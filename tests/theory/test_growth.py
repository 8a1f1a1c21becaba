"""Trees whose levels are coupled, by enumeration: what is drawn, and which verifiers stay lossless
on it.
"""

import dataclasses
import itertools

import numpy as np
import pytest

from theory import TreeProblem, drafting, growth, trees, verifiers
from theory.trees import ABSENT, ROOT

SIZES = {
    "beam": [(1, 2), (2, 2), (3, 2), (2, 3)],
    "paths": [(1, 2), (2, 2), (3, 2), (2, 3)],
    "best_first": [(4, 3, 2), (5, 2, 3)],
    "sampled_best_first": [(2, 1, 1), (4, 3, 2), (5, 4, 2), (5, 2, 3)],
}
CASES = [(name, sizes) for name, found in SIZES.items() for sizes in found]
NODE_RULES = {
    "iid": [verifiers.recursive_rejection, verifiers.optimal("iid")],
    "without_replacement": [verifiers.recursive_rejection_without_replacement],
    "top_n": [lambda tokens, p, q: p.copy()],
}
TOLERANCE = 1e-12


def worlds(depth, vocabulary=3):
    """Tables of laws that differ from context to context: even ones, and mixtures of the battery's
    pairs.
    """
    chain = tuple(range(-1, depth))
    vocabulary = 2 if depth > 2 else vocabulary
    return [
        make(chain, vocabulary, "iid", seed)
        for make in (trees.random, trees.mixed)
        for seed in range(2)
    ]


def drawn(name, sizes):
    return [
        growth.get(name).drawn(world.target, world.draft, *sizes) for world in worlds(sizes[-1])
    ]


def loss(tree, verifier):
    return trees.loss(tree, tree.laws(verifier))


def covering(scheme):
    found = [verifiers.top_down(rule) for rule in NODE_RULES[scheme]]
    return found if scheme == "top_n" else [*found, verifiers.traversal]


def test_every_scheme_is_audited():
    assert growth.names() == tuple(sorted(SIZES))
    with pytest.raises(ValueError, match="unknown tree scheme 'bush'"):
        growth.get("bush")


@pytest.mark.parametrize(("name", "sizes"), CASES)
def test_trees_are_trees(name, sizes):
    """Mass 1, no tree twice, every node under the node of its prefix, and siblings all different
    but on merged paths.
    """
    for tree in drawn(name, sizes):
        assert abs(tree.mass.sum() - 1) < 1e-13
        rows = np.concatenate([tree.contexts, np.where(tree.active, tree.parents, ABSENT)], axis=1)
        assert len(np.unique(rows, axis=0)) == len(rows)
        for parents, contexts in zip(tree.parents, tree.contexts, strict=True):
            live = np.flatnonzero(contexts > ROOT)
            assert (contexts[parents[live]] == (contexts[live] - 1) // tree.target.shape[1]).all()
            assert (parents[live] < live).all()
            assert name == "paths" or len(set(contexts[live])) == len(live)


@pytest.mark.parametrize(("name", "sizes"), CASES)
def test_verifiers_that_take_drafts_one_by_one_are_lossless(name, sizes):
    found = drawn(name, sizes)
    worst = [max(loss(tree, verifier) for tree in found) for verifier in covering(found[0].scheme)]
    print(
        f"{name} {sizes}: {max(len(tree.mass) for tree in found)} trees, total variation "
        f"{', '.join(f'{x:.1e}' for x in worst)}"
    )
    assert max(worst) < TOLERANCE


@pytest.mark.parametrize("name", ["beam", "sampled_best_first"])
def test_a_rule_that_reads_how_many_drafts_there_are_is_caught(name):
    """The plan that is optimal for as many drafts as there are."""
    for sizes in SIZES[name][1:]:
        losses = [
            loss(tree, verifiers.top_down(verifiers.optimal("without_replacement")))
            for tree in drawn(name, sizes)
        ]
        print(f"{name} {sizes}: loses up to {max(losses):.3f}")
        assert max(losses) > 1e-3


def test_the_number_of_siblings_tells_which_they_are():
    """The first child of the first node, by how many children there are; over all of them it is a
    draw from q.
    """
    q = np.array([0.7, 0.2, 0.1])
    table = np.tile(q, (trees.contexts_within(3, 2), 1))
    tree = growth.get("beam").drawn(table, table, 2, 2)
    below = (tree.parents[:, 3:] == 1).sum(axis=1)
    for count, expected in ((1, (0.766, 0.158, 0.076)), (2, (0.585, 0.272, 0.142))):
        law = np.bincount(tree.tokens[below == count, 3], tree.mass[below == count], 3)
        np.testing.assert_allclose(law / law.sum(), expected, atol=5e-4)
    np.testing.assert_allclose(np.bincount(tree.tokens[:, 3], tree.mass, 3), q, atol=1e-15)


@pytest.mark.parametrize("sizes", SIZES["beam"])
def test_a_level_of_a_beam_is_plackett_luce_over_prefixes(sizes):
    width, depth = sizes
    for world, tree in zip(worlds(depth), drawn("beam", sizes), strict=True):
        mass = np.ones(1)
        for level, rows in enumerate(trees.levels(world.draft)[:-1]):
            mass = (mass[:, None] * world.draft[rows]).ravel()
            joint = drafting.get("without_replacement").joint(mass / mass.sum(), width)
            first = 1 + level * width
            slots = tree.contexts[:, first : first + joint.tokens.shape[1]] - rows.stop
            found = dict.fromkeys(map(tuple, joint.tokens.tolist()), 0.0)
            for row, chance in zip(map(tuple, slots.tolist()), tree.mass, strict=True):
                found[row] += chance
            np.testing.assert_allclose(list(found.values()), joint.mass, atol=1e-13)
            assert (tree.contexts[:, first + joint.tokens.shape[1] : first + width] == ABSENT).all()


@pytest.mark.parametrize("name", ["beam", "paths"])
def test_one_wide_is_a_chain(name):
    for world, tree in zip(worlds(2), drawn(name, (1, 2)), strict=True):
        chain = trees.drawn(TreeProblem((-1, 0, 1), world.target, world.draft, "iid"))
        np.testing.assert_array_equal(tree.contexts, chain.contexts)
        np.testing.assert_allclose(tree.mass, chain.mass, atol=1e-15)


def test_merged_paths_without_their_multiplicity_are_caught():
    """Equal siblings counted once: the number of drafts then tells which they are."""
    losses = []
    for tree in drawn("paths", (2, 2)):
        contexts = tree.contexts.copy()
        for node in (2, 4):
            twin = (contexts[:, node] == contexts[:, node - 1]) & (
                tree.parents[:, node] == tree.parents[:, node - 1]
            )
            contexts[twin, node] = ABSENT
        losses.append(
            loss(
                dataclasses.replace(tree, contexts=contexts),
                verifiers.top_down(verifiers.recursive_rejection),
            )
        )
    print(f"loses up to {max(losses):.3f}")
    assert max(losses) > 1e-3


def test_a_tree_trimmed_by_what_was_drawn_is_caught():
    """Of all draws the likeliest tokens kept, in place of the likeliest draws."""
    losses = []
    for world in worlds(2):
        tree = growth.get("sampled_best_first").drawn(world.target, world.draft, 5, 2, 2)
        mass = np.append(path_mass(world), 0.0)[tree.contexts]
        last = np.argsort(-mass, axis=1, kind="stable")[:, 3:]
        contexts = tree.contexts.copy()
        np.put_along_axis(contexts, last, ABSENT, axis=1)
        losses.append(
            loss(
                dataclasses.replace(tree, contexts=contexts),
                verifiers.top_down(verifiers.recursive_rejection_without_replacement),
            )
        )
    print(f"loses up to {max(losses):.3f}")
    assert max(losses) > 1e-3


def path_mass(world):
    mass = np.ones(1)
    found = [np.ones(1)]
    for rows in trees.levels(world.draft)[:-1]:
        mass = (mass[:, None] * world.draft[rows]).ravel()
        found.append(mass)
    return np.concatenate(found)


def test_the_likeliest_tree_is_the_likeliest_of_all():
    """Among all sets of nodes that hold what is above them, by brute force; wide enough that no
    level is full.
    """
    for world in worlds(2, 2):
        tree = growth.get("best_first").drawn(world.target, world.draft, 4, 4, 2)
        mass = path_mass(world)
        sets = [set(chosen) for chosen in itertools.combinations(range(1, 7), 3)]
        closed = [
            chosen for chosen in sets if all((node - 1) // 2 in chosen | {0} for node in chosen)
        ]
        best = max(mass[list(chosen)].sum() for chosen in closed)
        np.testing.assert_allclose(
            mass[tree.contexts[0, tree.active[0]]].sum() - 1, best, atol=1e-15
        )


def test_a_rule_for_drawn_drafts_on_fixed_ones_is_caught():
    losses = [
        loss(tree, verifiers.top_down(verifiers.recursive_rejection_without_replacement))
        for tree in drawn("best_first", (4, 3, 2))
    ]
    assert max(losses) > 1e-3


def test_a_table_that_is_too_short_is_refused():
    table = np.full((3, 2), 0.5)
    with pytest.raises(ValueError, match="expected 7 laws or more"):
        growth.get("beam").drawn(table, table, 2, 2)
