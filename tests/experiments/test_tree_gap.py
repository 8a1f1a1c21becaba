"""The gap table: what is stored is what theory says, padding changes no law, and a verifier that
theory does not confirm is refused.
"""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theory
from experiments import tree_gap
from experiments.enumeration import padded_trees, worlds
from experiments.enumeration.padded_trees import PaddedVerifier, Size
from specjax import rules, trees
from specjax.trees import Draft
from specjax.verifiers import Block, GreedyMultiPathBlock, TopDown, Traversal
from tests.helpers.places import ROOT
from theory import verifiers

STORED = json.loads((ROOT / "experiments" / "results" / "tree_gap.json").read_text())
CONFIG = tree_gap.Config(
    tree=("chain:2", "full:1,2"),
    scheme=("iid",),
    family=("random", "zipf"),
    vocabulary=(2,),
    rules=("single", "recursive_rejection"),
    seeds=2,
)
EXACT = 1e-12
ON_A_PATH = ("block", "greedy_multi_path_block", "traversal", "top_down:single")
REFEREES = {
    "block": verifiers.block,
    "greedy_multi_path_block": verifiers.greedy_multi_path_block,
    "traversal": verifiers.traversal,
    "top_down:single": verifiers.top_down(verifiers.recursive_rejection),
    "top_down:recursive_rejection": verifiers.top_down(verifiers.recursive_rejection),
    "top_down:recursive_rejection_without_replacement": verifiers.top_down(
        verifiers.recursive_rejection_without_replacement
    ),
}
SMALL = [
    row
    for row in STORED["rows"]
    if row["tree"] in ("chain:3", "full:2,1")
    and row["vocabulary"] == 3
    and row["verifier"] in REFEREES
]


def problem_of(tree, scheme="iid", vocabulary=3, family="random", seed=0):
    """A topology, and the law over drawn trees."""
    topology = trees.parse(tree)
    return topology, theory.trees.drawn(
        worlds.problem(family, tuple(topology.parents.tolist()), vocabulary, scheme, seed)
    )


@functools.cache
def problems_of(tree, scheme, vocabulary, family, problems):
    """The laws over drawn trees of all problems, and their joint optima."""
    drawn = [problem_of(tree, scheme, vocabulary, family, seed)[1] for seed in range(problems)]
    return drawn, np.array([theory.tree_lp.solve(one).value for one in drawn])


def off(row):
    """How far a row's means are from what theory says of the same problems."""
    drawn, optima = problems_of(
        row["tree"], row["scheme"], row["vocabulary"], row["family"], row["problems"]
    )
    accepted = np.array(
        [theory.trees.expected_accepted(one, one.laws(REFEREES[row["verifier"]])) for one in drawn]
    )
    return max(
        abs(accepted.mean() - row["accepted"]),
        abs(optima.mean() - row["optimum"]),
        abs((1 - accepted / optima).mean() - row["gap"]),
    )


@pytest.fixture(scope="module")
def content():
    return tree_gap.run(CONFIG)


@pytest.mark.parametrize(
    "row", SMALL, ids=lambda row: f"{row['tree']}-{row['scheme']}-{row['family']}-{row['verifier']}"
)
def test_a_stored_row_is_what_theory_says_of_its_problems(row):
    assert off(row) < 1e-9


def test_a_row_of_another_verifier_is_seen():
    row = next(row for row in SMALL if row["verifier"] == "traversal" and row["tree"] == "full:2,1")
    assert off(row | {"verifier": "top_down:recursive_rejection"}) > 1e-3


def test_stored_verifiers_are_lossless_equal_to_theory_s_and_below_the_optimum():
    for row in STORED["rows"]:
        assert row["loss"] < EXACT
        rule = row["verifier"].rpartition(":")[2]
        assert (row["off"] is None) == (rule in ("kseq", "optimal"))
        assert row["off"] is None or row["off"] < EXACT
        assert row["gap_min"] > -1e-9
        assert row["gap_min"] <= row["gap"] <= row["gap_max"]
    assert {"revision", "jax", "backend", "dtype", "config"} <= STORED["provenance"].keys()


def test_on_one_path_block_and_traversal_attain_the_optimum():
    rows = [
        row
        for row in STORED["rows"]
        if row["tree"].startswith("chain") and row["verifier"] in ("block", "traversal")
    ]
    assert rows
    assert max(row["gap_max"] for row in rows) < 1e-9


def test_stored_rows_hold_every_case_of_the_default_configuration():
    held = {
        (row["tree"], row["scheme"], row["vocabulary"], row["family"]) for row in STORED["rows"]
    }
    assert held == {
        (case.tree, case.scheme, case.vocabulary, case.family)
        for case in tree_gap._cases(tree_gap.Config())
    }


@pytest.mark.thorough
def test_a_run_gives_a_row_for_every_verifier_that_covers_the_tree(content):
    found = [(row["tree"], row["verifier"]) for row in content["rows"] if row["family"] == "random"]
    assert found == [
        *(("chain:2", name) for name in ON_A_PATH),
        *(("full:1,2", name) for name in ("traversal", "top_down:recursive_rejection")),
    ]
    assert max(off(row) for row in content["rows"]) < 1e-9


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("tree", "verifier"),
    [
        ("chain:2", Block()),
        ("full:2,1", Traversal()),
        ("full:2,1", GreedyMultiPathBlock()),
        ("full:2,1", TopDown(rules.get("kseq")())),
    ],
    ids=["block", "traversal", "greedy_multi_path_block", "kseq"],
)
def test_room_for_more_changes_no_law(tree, verifier):
    topology, drawn = problem_of(tree)
    roomy = padded_trees._compiled(verifier.law, "iid", Size(6, 3, 4))(topology, drawn)
    with jax.enable_x64(True):
        columns = [jnp.asarray(column) for column in (drawn.tokens, drawn.q, drawn.p)]
        alone = jax.jit(lambda tokens, q, p: verifier.law(Draft(topology, tokens, q, "iid"), p))
        each = [alone(*row) for row in zip(*columns, strict=True)]
    np.testing.assert_allclose(roomy, each, atol=EXACT)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("tree", "scheme"), [("full:2,1", "iid"), ("full:2,2", "without_replacement")]
)
def test_laws_for_trees_that_are_alike_are_the_laws_of_each(tree, scheme):
    rule = {"iid": verifiers.recursive_rejection, "without_replacement": verifiers.optimal(scheme)}[
        scheme
    ]
    topology, drawn = problem_of(tree, scheme)
    np.testing.assert_allclose(
        padded_trees.top_down_laws(rule, topology, drawn),
        drawn.laws(verifiers.top_down(rule)),
        atol=EXACT,
    )


def plain(verifier):
    return lambda _, drawn: drawn.laws(verifier)


def resampled(tokens, p, q):
    """Draws from p after a rejection."""
    accept = min(1.0, p[tokens[0]] / q[tokens[0]])
    return accept * np.eye(len(p))[tokens[0]] + (1 - accept) * p


@pytest.mark.parametrize(
    ("laws", "referee"),
    [
        (plain(verifiers.top_down(resampled)), None),
        (plain(verifiers.traversal), verifiers.top_down(verifiers.recursive_rejection)),
    ],
    ids=["biased", "another"],
)
def test_a_verifier_that_theory_does_not_confirm_is_refused(laws, referee):
    with pytest.raises(RuntimeError, match="verifier planted: theory disagrees"):
        PaddedVerifier("planted", lambda _: True, laws, referee)(*problem_of("full:2,1"))


@pytest.mark.parametrize("family", worlds.names())
def test_laws_of_a_family_are_positive_and_one_seed_gives_them_to_every_tree(family):
    short, long = (
        worlds.problem(family, parents, 3, "iid", 1) for parents in ((-1, 0), (-1, 0, 0, 1))
    )
    for name in ("target", "draft"):
        assert (getattr(long, name) > 0).all()
        np.testing.assert_array_equal(getattr(short, name), getattr(long, name)[:4])
    assert (len(np.unique(long.target, axis=0)) == 1) == (family == "constant")
    assert not np.array_equal(short.target, worlds.problem(family, (-1, 0), 3, "iid", 2).target)


def test_cases_are_counted_before_they_are_drawn():
    for tree, scheme in (
        ("full:2,1", "iid"),
        ("full:2,2", "without_replacement"),
        ("full:1,2", "without_replacement"),
    ):
        topology, drawn = problem_of(tree, scheme)
        assert tree_gap._ways(topology, scheme, 3) == len(drawn.mass)


@pytest.mark.thorough
def test_the_figure_and_the_table_draw(tmp_path, capsys):
    from rich.console import Console

    tree_gap.show(STORED, Console(width=140))
    assert "top_down:optimal" in capsys.readouterr().out
    tree_gap.plot(STORED).savefig(tmp_path / "figure.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 1}, "expected seeds >= 2"),
        ({"vocabulary": (1,)}, "vocabulary >= 2"),
        ({"family": ("telepathic",)}, "unknown family 'telepathic'"),
        ({"tree": ("bush:3",)}, "tree: expected none, chain:D"),
        ({"scheme": ("greedy",)}, "unknown scheme 'greedy'"),
        ({"rules": ("nonsense",)}, "unknown rule 'nonsense'"),
        ({"trees": 1}, "at most 1 ways"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        tree_gap.run(dataclasses.replace(CONFIG, **change))
