"""Draft trees by enumeration: what is drawn, what verifiers emit, and the joint optimum as a linear
program with its dual.
"""

import dataclasses
import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from theory import (
    Drawn,
    Problem,
    TreeProblem,
    _linear_program,
    battery,
    drafting,
    lp,
    tree_lp,
    trees,
    verifiers,
)

P, Q = (1 / 3, 2 / 3), (2 / 3, 1 / 3)
SHAPES = {
    "chain": (-1, 0, 1),
    "star": (-1, 0, 0),
    "binary": (-1, 0, 0, 1, 1, 2, 2),
    "ragged": (-1, 0, 0, 1, 1, 2),
    "lopsided": (-1, 0, 0, 0, 1, 1),
}
NODE_RULES = {
    "iid": verifiers.recursive_rejection,
    "without_replacement": verifiers.recursive_rejection_without_replacement,
}
VERIFIERS = {
    "top_down": lambda scheme: verifiers.top_down(NODE_RULES[scheme]),
    "top_down_optimal": lambda scheme: verifiers.top_down(verifiers.optimal(scheme)),
    "traversal": lambda _: verifiers.traversal,
}
CASES = [(shape, scheme) for shape in SHAPES for scheme in NODE_RULES]


def chain(depth):
    return tuple(range(-1, depth))


def problems(shape, scheme, vocabulary=3):
    parents = SHAPES.get(shape, shape)
    return [
        make(parents, vocabulary, scheme, seed)
        for make in (trees.random, trees.mixed)
        for seed in range(2)
    ]


def audited(problem, verifier):
    """The loss and E[ell] of a verifier."""
    drawn = trees.drawn(problem)
    laws = drawn.laws(verifier)
    return trees.loss(drawn, laws), trees.expected_accepted(drawn, laws)


@pytest.mark.parametrize(("shape", "scheme"), CASES)
def test_drawn_trees_have_the_mass_of_their_nodes(shape, scheme):
    """Node by node from the joint law of the children, and no tree is missing or twice."""
    for problem in problems(shape, scheme):
        drawn, below = trees.drawn(problem), trees.children(problem.parents)
        assert len(np.unique(drawn.contexts, axis=0)) == len(drawn.mass)
        assert abs(drawn.mass.sum() - 1) < 1e-13
        for contexts, tokens, mass in list(
            zip(drawn.contexts, drawn.tokens, drawn.mass, strict=True)
        )[::7]:
            expected = 1.0
            for node, kids in enumerate(below):
                live = [kid for kid in kids if contexts[kid] != trees.ABSENT]
                if contexts[node] == trees.ABSENT or not kids:
                    assert live == []
                    continue
                law = problem.draft[contexts[node]]
                joint = drafting.get(scheme).joint(law, len(kids))
                assert [int(c) for c in (contexts[live] - 1) // problem.vocabulary] == [
                    contexts[node]
                ] * len(live)
                expected *= dict(zip(map(tuple, joint.tokens.tolist()), joint.mass, strict=True))[
                    tuple(tokens[live].tolist())
                ]
            assert abs(mass - expected) < 1e-14


def test_nodes_that_cannot_be_drawn_are_absent_with_all_below_them():
    drawn = trees.drawn(
        trees.everywhere(SHAPES["binary"], (0.5, 0.5, 0.0), (0.0, 1.0, 0.0), "without_replacement")
    )
    np.testing.assert_array_equal(drawn.active, [[True, True, False, True, False, False, False]])
    np.testing.assert_array_equal(drawn.tokens, [[0, 1, 0, 1, 0, 0, 0]])
    np.testing.assert_array_equal(drawn.contexts[0, [1, 3]], [2, 8])


@pytest.mark.parametrize("name", VERIFIERS)
@pytest.mark.parametrize(("shape", "scheme"), CASES)
def test_verifiers_are_lossless_and_below_the_joint_optimum(shape, scheme, name):
    for problem in problems(shape, scheme):
        drawn = trees.drawn(problem)
        laws = drawn.laws(VERIFIERS[name](scheme))
        assert trees.is_lossless(drawn, laws, 1e-12)
        bound = tree_lp.solve(drawn)
        assert trees.expected_accepted(drawn, laws) <= bound.value + 1e-12
        assert bound.value <= tree_lp.inclusion_bound(drawn) + 1e-12


GOLDENS = [
    (1, 2 / 3, 2 / 3),
    (2, 11 / 9, 10 / 9),
    (3, 5 / 3, 38 / 27),
    (4, 166 / 81, 130 / 81),
    (5, 64 / 27, 422 / 243),
]


@pytest.mark.parametrize(("depth", "by_block", "by_token"), GOLDENS)
def test_goldens_of_one_path(depth, by_block, by_token):
    problem = trees.everywhere(chain(depth), P, Q, "iid")
    assert abs(verifiers.block_accepted(problem) - by_block) < 1e-15 * 4
    assert abs(verifiers.token_by_token_accepted(problem) - by_token) < 1e-15 * 4
    assert audited(problem, verifiers.block) == pytest.approx((0, by_block), abs=1e-14)
    assert audited(problem, verifiers.top_down(verifiers.recursive_rejection)) == pytest.approx(
        (0, by_token), abs=1e-14
    )
    assert abs(tree_lp.solve(trees.drawn(problem)).value - by_block) < 1e-12


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_block_is_the_joint_optimum_of_one_path_and_traversal_is_block(depth):
    for problem in problems(chain(depth), "iid"):
        drawn = trees.drawn(problem)
        laws, bound = drawn.laws(verifiers.block), tree_lp.solve(drawn)
        assert trees.is_lossless(drawn, laws, 1e-12)
        assert abs(bound.value - verifiers.block_accepted(problem)) < 1e-9
        assert abs(trees.expected_accepted(drawn, laws) - verifiers.block_accepted(problem)) < 1e-12
        assert abs(tree_lp.inclusion_bound(drawn) - verifiers.block_accepted(problem)) < 1e-12
        np.testing.assert_allclose(drawn.laws(verifiers.traversal), laws, atol=1e-12)
        by_token = trees.expected_accepted(
            drawn, drawn.laws(verifiers.top_down(verifiers.recursive_rejection))
        )
        assert abs(by_token - verifiers.token_by_token_accepted(problem)) < 1e-12


@pytest.mark.parametrize("scheme", ["iid", "without_replacement", "greedy", "hub", "top_n"])
@pytest.mark.parametrize("vocabulary", [2, 4])
def test_joint_optimum_of_one_node_is_the_transport_optimum(scheme, vocabulary):
    for problem in problems("star", scheme, vocabulary):
        single = lp.solve(Problem(problem.target[0], problem.draft[0], 2, scheme))
        assert abs(tree_lp.solve(trees.drawn(problem)).value - single.value) < 1e-9


@pytest.mark.thorough
@pytest.mark.parametrize(("shape", "scheme"), CASES)
def test_the_plan_attains_the_joint_optimum_without_loss(shape, scheme):
    for problem in problems(shape, scheme):
        drawn = trees.drawn(problem)
        bound = tree_lp.solve(drawn)
        assert -1e-13 < bound.gap < 1e-9, f"gap {bound.gap:.1e}"
        laws = tree_lp.plan_laws(bound, drawn)
        assert trees.is_lossless(drawn, laws, 1e-12)
        assert abs(trees.expected_accepted(drawn, laws) - (bound.value - bound.gap)) < 1e-12


def textbook(drawn: Drawn, continued: bool) -> float:
    """The joint optimum with a variable per (tree, end node, next token) and a row per sequence of
    D + 1 tokens, nothing merged.
    """
    vocabulary, length = drawn.target.shape[1], len(trees.levels(drawn.target))
    sequences = np.array(list(itertools.product(range(vocabulary), repeat=length)))
    steps = np.empty(sequences.shape)
    above = np.zeros(len(sequences), np.int64)
    numbers = [above]
    for d in range(length):
        steps[:, d] = drawn.target[above, sequences[:, d]]
        above = above * vocabulary + 1 + sequences[:, d]
        numbers.append(above)
    columns, owners, gains = [], [], []
    for tree, contexts in enumerate(drawn.contexts):
        for context in contexts[contexts != trees.ABSENT]:
            depth = next(
                d for d, level in enumerate(trees.levels(drawn.target)) if context < level.stop
            )
            for token in range(vocabulary):
                extends = numbers[depth + 1] == context * vocabulary + 1 + token
                rest = (
                    steps[:, depth + 1 :].prod(axis=1)
                    if continued
                    else vocabulary ** -(length - depth - 1.0)
                )
                columns.append(extends * rest)
                owners.append(tree)
                gains.append(depth)
    mass_rows = (np.arange(len(drawn.mass))[:, None] == owners).astype(float)
    solution = linprog(
        -np.array(gains),
        A_eq=np.vstack((mass_rows, np.array(columns).T)),
        b_eq=np.concatenate((drawn.mass, steps.prod(axis=1))),
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    return -solution.fun if solution.status == 0 else -np.inf


@pytest.mark.parametrize(
    ("shape", "vocabulary"),
    [("chain", 3), ("star", 3), ("ragged", 2), ("binary", 2), ("lopsided", 2)],
)
@pytest.mark.parametrize("scheme", NODE_RULES)
def test_the_short_program_equals_the_textbook_program(shape, vocabulary, scheme):
    for seed in range(3):
        drawn = trees.drawn(trees.random(SHAPES[shape], vocabulary, scheme, seed))
        assert abs(tree_lp.solve(drawn).value - textbook(drawn, continued=True)) < 1e-9


def test_a_program_without_the_target_s_continuation_is_caught():
    drawn = trees.drawn(trees.random(SHAPES["ragged"], 2, "iid", 0))
    assert abs(tree_lp.solve(drawn).value - textbook(drawn, continued=False)) > 1e-3


def test_a_program_with_contexts_off_by_one_is_caught():
    drawn = trees.drawn(trees.random(SHAPES["ragged"], 2, "iid", 0))
    above = np.maximum(np.arange(len(drawn.target)) - 1, 0) // 2
    wrong = tree_lp.solve(dataclasses.replace(drawn, target=drawn.target[above]))
    assert abs(wrong.value - textbook(drawn, continued=True)) > 1e-3
    assert trees.loss(drawn, tree_lp.plan_laws(wrong, drawn)) > 1e-3


@pytest.mark.parametrize("scheme", NODE_RULES)
def test_any_prices_bound_the_optimum(scheme, seed):
    drawn = trees.drawn(trees.random(SHAPES["binary"], 3, scheme, 0))
    rng = np.random.default_rng(seed)
    bound = tree_lp.solve(drawn)
    for spread in (0.01, 0.1, 1.0):
        prices = np.maximum(bound.prices + spread * rng.standard_normal(len(bound.prices)), 0)
        assert tree_lp.priced(bound.sets, drawn.target, prices) > bound.value


def test_a_loose_plan_is_made_feasible():
    """A plan that breaks every constraint by far more than any tolerance still is a lossless
    verifier.
    """
    drawn = trees.drawn(trees.random(SHAPES["binary"], 3, "iid", 0))
    bound, rng = tree_lp.solve(drawn), np.random.default_rng(0)
    ends = tree_lp._feasible(
        bound.ends + rng.normal(0.0, 0.01, bound.ends.shape), bound.sets, drawn.target
    )
    laws = tree_lp.plan_laws(
        tree_lp.TreeBound(bound.value, np.nan, bound.prices, ends, bound.sets), drawn
    )
    assert trees.is_lossless(drawn, laws, 1e-12)
    assert trees.expected_accepted(drawn, laws) < bound.value - 1e-3


def test_the_solver_bears_what_is_hardly_ever_drawn():
    """In units of 1e-12 this program passed for an unbounded one."""
    _, p, q = next(pair for pair in battery.laws(3, seed=0) if pair.name == "peaked_apart")
    bound = tree_lp.solve(trees.drawn(trees.everywhere(SHAPES["binary"], p, q, "iid")))
    assert 0 < bound.value < 1e-6
    assert abs(bound.gap) < 1e-12


def test_solver_failure_is_an_error(monkeypatch):
    class Failed:
        status, message = 4, "numerical difficulties"

    monkeypatch.setattr(_linear_program, "linprog", lambda *_, **__: Failed())
    with pytest.raises(RuntimeError, match="status 4: numerical difficulties"):
        tree_lp.solve(trees.drawn(trees.everywhere((-1, 0), P, Q, "iid")))


def test_trees_whose_shape_is_drawn():
    """A fair coin between a path and a star: verifiers see one tree at a time, the joint optimum
    all of them.
    """
    path = trees.drawn(trees.random(SHAPES["chain"], 3, "iid", 1))
    star = trees.drawn(trees.random(SHAPES["star"], 3, "iid", 1))
    drawn = Drawn(
        np.vstack((path.parents, star.parents)),
        np.vstack((path.contexts, star.contexts)),
        np.concatenate((path.mass, star.mass)) / 2,
        path.target,
        path.draft,
        "iid",
    )
    laws = drawn.laws(verifiers.traversal)
    bound = tree_lp.solve(drawn)
    assert trees.is_lossless(drawn, laws, 1e-12)
    apart = tree_lp.solve(path).value / 2 + tree_lp.solve(star).value / 2
    assert trees.expected_accepted(drawn, laws) <= apart <= bound.value + 1e-12
    assert trees.is_lossless(drawn, tree_lp.plan_laws(bound, drawn), 1e-12)


@pytest.mark.parametrize(("shape", "scheme"), CASES)
def test_accepted_by_branching_equals_enumeration(shape, scheme):
    rule, rng = NODE_RULES[scheme], np.random.default_rng(len(shape))
    p, q = rng.dirichlet(np.ones(3), 2)

    def branch(siblings):
        return verifiers.branching(rule, Problem(p, q, siblings, scheme))

    _, accepted = audited(trees.everywhere(SHAPES[shape], p, q, scheme), verifiers.top_down(rule))
    assert abs(verifiers.accepted_by_branching(SHAPES[shape], branch) - accepted) < 1e-12
    if shape == "lopsided":  # elsewhere the slots are alike from above
        assert (
            abs(
                verifiers.accepted_by_branching(
                    SHAPES[shape], lambda siblings: branch(siblings)[::-1]
                )
                - accepted
            )
            > 1e-3
        )


def below(table, context, depth):
    """The rows of a table for the contexts of at most `depth` tokens that follow one context."""
    vocabulary, rows = table.shape[1], [np.array([context])]
    for _ in range(depth):
        rows.append((rows[-1][:, None] * vocabulary + 1 + np.arange(vocabulary)).ravel())
    return table[np.concatenate(rows)]


def rejections(problem, context, left):
    """Expected rejections while `left` more tokens are emitted: from the walks on a fresh path of
    `left` drafts.
    """
    if left == 0:
        return 0.0
    rest = TreeProblem(
        chain(left),
        below(problem.target, context, left),
        below(problem.draft, context, left),
        "iid",
    )
    drawn = trees.drawn(rest)
    laws = drawn.laws(verifiers.top_down(verifiers.recursive_rejection))
    total, vocabulary = 0.0, problem.vocabulary
    for tokens, law, mass in zip(drawn.tokens, laws, drawn.mass, strict=True):
        here = context
        for depth in range(left):
            after = [
                1 + rejections(problem, here * vocabulary + 1 + y, left - depth - 1)
                for y in range(vocabulary)
            ]
            total += mass * float(law[depth] @ after)
            here = here * vocabulary + 1 + int(tokens[depth + 1])
    return total


def test_rejections_of_a_whole_decode():
    for seed in range(3):
        problem = trees.random(chain(3), 2, "iid", seed)
        counted = rejections(problem, 0, 3)
        assert abs(verifiers.expected_rejections(problem) - counted) < 1e-12
        # the draft's prefixes in place of the target's
        swapped = TreeProblem(problem.parents, problem.draft, problem.target, "iid")
        assert abs(verifiers.expected_rejections(swapped) - counted) > 1e-3


def uncapped_last(tree):
    """Accepts the last draft with min(1, P/Q) of the whole path."""
    law, node = verifiers.block(tree), len(tree.p) - 1
    steps = [tree.p[i][tree.tokens[i + 1]] / tree.q[i][tree.tokens[i + 1]] for i in range(node)]
    accept = min(1.0, float(np.prod(steps)))
    return np.vstack(
        (
            law[:node] / law[:node].sum() * (1 - accept) if law[:node].any() else law[:node],
            accept * tree.p[node:],
        )
    )


def prefix_off_by_one(tree):
    return verifiers.traversal(tree._replace(p=tree.p[np.maximum(tree.parents, 0)]))


def bonus_of_another_node(tree):
    law = verifiers.traversal(tree)
    leaves = [node for node in range(len(law)) if not len(tree.below(node))]
    law[leaves] = law[leaves].sum(axis=1, keepdims=True) * tree.p[tree.parents[leaves]]
    return law


def another_draft_law(tree):
    return verifiers.traversal(tree._replace(q=tree.q[::-1]))


def with_replacement(tree):
    return verifiers.traversal(tree._replace(scheme="iid"))


def absent_nodes_as_drawn(tree):
    return verifiers.traversal(tree._replace(active=np.ones_like(tree.active)))


def equal_siblings_twice(tree):
    law = verifiers.top_down(verifiers.recursive_rejection)(tree)
    twins = [
        j
        for i in range(len(law))
        for j in tree.below(i)[1:]
        if tree.tokens[j] == tree.tokens[tree.below(i)[0]]
    ]
    law[twins] += law[tree.parents[twins] + 1]
    return law


MISTAKES = [
    (prefix_off_by_one, "ragged", "iid"),
    (bonus_of_another_node, "binary", "iid"),
    (another_draft_law, "ragged", "without_replacement"),
    (with_replacement, "binary", "without_replacement"),
    (equal_siblings_twice, "binary", "iid"),
]


@pytest.mark.parametrize(("mistake", "shape", "scheme"), MISTAKES)
def test_a_mistaken_verifier_is_caught(mistake, shape, scheme):
    drawn = trees.drawn(trees.random(SHAPES[shape], 3, scheme, 0))
    check = trees.is_lossless(drawn, drawn.laws(mistake), 1e-12)
    print(check.reason)
    assert check.error > 1e-3


def test_a_mask_that_is_ignored_is_caught():
    drawn = trees.drawn(
        trees.everywhere((-1, 0, 0, 1), (0.2, 0.3, 0.5), (0.6, 0.4, 0.0), "without_replacement")
    )
    absent = Drawn(
        drawn.parents,
        np.where(np.arange(4) < 2, drawn.contexts, trees.ABSENT),
        drawn.mass,
        drawn.target,
        drawn.draft,
        "iid",
    )
    assert trees.is_lossless(absent, absent.laws(verifiers.traversal), 1e-12)
    assert trees.loss(absent, absent.laws(absent_nodes_as_drawn)) > 1e-3


def test_the_uncapped_last_position_is_caught():
    """The released error: total variation 1/9 on the two-token pair at depth 2."""
    assert audited(trees.everywhere(chain(2), P, Q, "iid"), uncapped_last)[0] == pytest.approx(
        1 / 9, abs=1e-12
    )


def test_what_is_no_law_is_caught():
    drawn = trees.drawn(trees.everywhere((-1, 0), P, Q, "iid"))
    check = trees.is_lossless(drawn, 0.9 * drawn.laws(verifiers.block))
    assert not check
    assert "not a law" in check.reason


TABLE = np.full((3, 2), 0.5)


@pytest.mark.parametrize(
    ("parents", "target", "draft", "scheme", "reason"),
    [
        ((), TABLE, TABLE, "iid", "parents: expected \\[-1"),
        ((-1, 1), TABLE, TABLE, "iid", "parents: expected \\[-1"),
        ((-1, 0, 1, 0), TABLE, TABLE, "iid", "level order"),
        ((-1, 0, 1), TABLE, TABLE, "iid", "expected 7 contexts"),
        ((-1, 0), TABLE, np.full((3, 3), 1 / 3), "iid", "one vocabulary"),
        ((-1, 0), TABLE * 1.1, TABLE, "iid", "target: expected a sum"),
        ((-1, 0), TABLE, TABLE, "rings", "unknown drafting scheme"),
        ((-1, 0), TABLE, TABLE, "hub", "scheme hub drafts pairs"),
        ((-1, 0), TABLE, TABLE, "independent", "scheme independent"),
    ],
)
def test_what_is_no_problem(parents, target, draft, scheme, reason):
    with pytest.raises(ValueError, match=reason):
        TreeProblem(parents, target, draft, scheme)


def test_what_is_too_large():
    with pytest.raises(ValueError, match="at most 500000 trees"):
        trees.drawn(trees.random((-1, *[0] * 3, *[1] * 3, *[2] * 3), 6, "iid", 0))
    with pytest.raises(ValueError, match="expected one path"):
        verifiers.block_accepted(trees.random(SHAPES["star"], 2, "iid", 0))


def test_a_program_that_is_too_large(monkeypatch):
    monkeypatch.setattr(tree_lp, "ROWS", 5)
    with pytest.raises(ValueError, match="at most 5 pairs"):
        tree_lp.solve(trees.drawn(trees.random(SHAPES["star"], 3, "iid", 0)))
