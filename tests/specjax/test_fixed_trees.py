"""Trees that hang on no draw, in the audit, in `Draft.reach`, and in the calls of a decode."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

import theory
from experiments import compare
from experiments.audit import audit_verifier, lifted
from experiments.audits import walk_checks
from experiments.decoding import comparison, paired
from specjax import rules
from specjax.trees import Draft, parse
from specjax.verifiers import Layer, TopDown

ATTAINING = lifted(TopDown, rules.get("one_hot"))
OTHERS = [lifted(Layer, rules.get("one_hot")), lifted(TopDown, rules.get("naive_membership"))]


@pytest.fixture(autouse=True)
def laws_alone(monkeypatch):
    monkeypatch.setattr(walk_checks, "OF_WALKS", ())


@pytest.mark.parametrize("tree", ["chain:3", "full:2,1", "delayed:1,2,1", "best_first:5x3x2"])
def test_one_hot_attains_the_bound_in_the_audit(tree):
    row = audit_verifier(ATTAINING, "top_n", tree)
    print(row)
    assert row.verdict == "ok"
    assert row.expected_accepted == pytest.approx(row.optimum, abs=1e-12)


@pytest.mark.parametrize("one", OTHERS, ids=lambda one: one.name)
def test_no_verifier_exceeds_it(one):
    row = audit_verifier(one, "top_n", "full:2,1")
    print(row)
    assert row.verdict == "ok"
    assert row.expected_accepted <= row.optimum + 1e-12


def test_the_audit_needs_no_program_for_it(monkeypatch):
    monkeypatch.setattr(theory.tree_lp, "CONTEXTS", 0)
    assert audit_verifier(ATTAINING, "top_n", "chain:3").optimum is not None


@pytest.mark.parametrize("tree", ["none", "chain:3", "full:2,2", "delayed:2,2,1"])
def test_reach_is_the_probability_of_each_path(tree):
    shape = parse(tree)
    parents = tuple(np.asarray(shape.parents).tolist())
    drawn = theory.trees.drawn(theory.trees.random(parents, 3, "top_n", 1))
    tokens, p, q = (jnp.asarray(column[0]) for column in (drawn.tokens, drawn.p, drawn.q))
    reach = Draft(shape, tokens, q, "top_n").reach(p)
    expected = 1 + theory.trees.fixed_tree_bound(drawn)
    assert float(reach.sum()) == pytest.approx(expected, abs=1e-6)


def test_what_was_not_drawn_is_not_reached():
    shape = dataclasses.replace(parse("chain:3"), active=np.array([True, True, False, False]))
    p = jnp.full((4, 2), 0.5)
    assert Draft(shape, jnp.zeros(4, int), p, "top_n").reach(p).tolist() == [1, 0.5, 0, 0]


def test_compare_shows_it_beside_what_is_emitted():
    """Both are means over the same calls: they differ by the chance of the walks alone."""
    config = compare.Config(pair="markov", rules=("one_hot",), tree=("full:2,1",), contexts=720)
    (row,) = compare.run(config)["rows"]
    print(row["block_efficiency"], row["fixed_tree_bound"], row["calls"])
    drawn = paired.Calls(np.ones((1, 1), bool), np.ones((1, 1), int), np.ones((1, 1)))
    assert comparison.fixed_tree_bound("iid", drawn).value is None
    # a call emits 1 to 3 tokens: five standard errors of their mean at most
    assert abs(row["block_efficiency"] - row["fixed_tree_bound"]) < 5 / np.sqrt(row["calls"])
