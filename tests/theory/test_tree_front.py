"""The front of trees: the joint program, and what rules reach of it node by node."""

import numpy as np
import pytest

from theory import Problem, front, tree_front, tree_lp, trees, verifiers

SHAPES = {"chain:2": (-1, 0, 1), "chain:3": (-1, 0, 1, 2), "full:2,1": (-1, 0, 0, 1, 2)}


def problems(parents, count: int = 3):
    return [trees.random(parents, 3, "iid", seed=seed) for seed in range(count)]


def reached(problem, verifier, price: float) -> tuple[float, float]:
    """TV of the text and E[ell] of a verifier at a price."""
    drawn = trees.drawn(problem)
    laws = drawn.laws(tree_front.at_price(verifier, price))
    return trees.loss(drawn, laws), trees.expected_accepted(drawn, laws)


@pytest.mark.parametrize("shape", SHAPES)
def test_without_bias_it_is_the_joint_optimum(shape):
    for problem in problems(SHAPES[shape]):
        drawn = trees.drawn(problem)
        assert tree_front.accepted(drawn, 0.0) == pytest.approx(
            tree_lp.solve(drawn).value, abs=1e-9
        )


def test_of_one_draft_it_is_the_line():
    for problem in problems((-1, 0), 6):
        node = Problem(problem.target[0], problem.draft[0], 1, "iid")
        for tv in (0.05, 0.2):
            found = tree_front.accepted(trees.drawn(problem), tv)
            assert found == pytest.approx(front.line(node, tv), abs=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_verifier_at_a_price_is_above_the_joint_front(shape):
    """Equal price at every node: what is reached of what the joint program gains at this TV."""
    verifier = verifiers.block if shape.startswith("chain") else verifiers.traversal
    shares = []
    for problem in problems(SHAPES[shape]):
        drawn = trees.drawn(problem)
        best = tree_front.accepted(drawn, 0.0)
        for price in (0.2, 0.5, 1.0):
            tv, accepted = reached(problem, verifier, price)
            most = tree_front.accepted(drawn, tv)
            laws = drawn.laws(tree_front.at_price(verifier, price))
            # the token after a leaf comes from the target
            assert tree_front.bias(drawn, laws) == pytest.approx(tv, abs=1e-12)
            assert accepted <= most + 1e-9
            _, lossless = reached(problem, verifier, 0.0)
            shares.append((accepted - lossless) / (most - best))
    print(f"{shape}: {np.mean(shares):.2f} of the joint gain, {min(shares):.2f} at least")
    assert min(shares) > 0.3


def test_the_front_of_texts_is_concave_and_steeper_than_one():
    """A block kept whole accepts several drafts for its bias."""
    drawn = trees.drawn(trees.everywhere((-1, 0, 1), [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], "iid"))
    values = [tree_front.accepted(drawn, tv) for tv in (0.0, 0.02, 0.04, 0.2)]
    slopes = np.diff(values) / np.diff([0.0, 0.02, 0.04, 0.2])
    print(f"first slopes {slopes.round(3)}")
    assert slopes[0] >= slopes[1] - 1e-9 >= slopes[2] - 2e-9
    assert slopes[0] > 1.5


def test_the_token_after_a_leaf_is_no_bias_of_the_text():
    drawn = trees.drawn(trees.everywhere((-1, 0), [0.5, 0.3, 0.2], [0.5, 0.3, 0.2], "iid"))
    laws = drawn.laws(verifiers.typical_path)
    kept = drawn.tokens[:, 1]
    assert laws[:, 1].sum(1).tolist() == [1.0] * len(kept)
    assert tree_front.bias(drawn, laws) == pytest.approx(0, abs=1e-15)
    assert trees.loss(drawn, laws) == pytest.approx(0.5)
