"""Block efficiency at a budget: the rows, trees within their limits, a choice of width that no gain
leaks through, and the claims.
"""

import dataclasses

import numpy as np
import pytest
from rich.console import Console

from experiments import tree_budget
from experiments.decoding.pair_profile import profile
from experiments.decoding.published_trees import METHODS, REJECTION, SINGLE, WIDTHS, Limits
from experiments.inputs.sampling_options import PairSampling
from specjax import decode
from specjax.models import pairs
from specjax.numerics import AS_IS
from specjax.trees import growth

pytestmark = pytest.mark.thorough

CONFIG = tree_budget.Config(
    pair="markov", methods=(SINGLE, "RSD-S"), budget=(4,), depth=4, prompts=4, calls=8
)
HALVING = 0.6 * 0.5 ** np.arange(16)


@pytest.fixture(scope="module")
def content():
    return tree_budget.run(CONFIG)


def test_a_run_gives_a_row_for_every_verifier_of_a_method(content):
    found = [(row["method"], row["tree"], row["verifier"]) for row in content["rows"]]
    assert found == [
        *((SINGLE, "chain:4", verifier) for verifier in ("recursive_rejection", "block")),
        ("RSD-S", "beam:2x2", REJECTION),
    ]
    for row in content["rows"]:
        assert row["drafts"] == 4
        assert row["calls"] == 32
        assert 1 <= row["block_efficiency"] <= (5 if row["method"] == SINGLE else 3)
        assert row["block_efficiency"] == pytest.approx(np.mean(row["by_prompt"]))


def test_the_profile_is_that_of_the_pair(key):
    """Markov's laws have a mean entropy of 2 nats, and recursive rejection accepts the first draft
    as often as min(p, q) says: .7. Over 256 calls the standard errors are .02 and .03.
    """
    pair = pairs.load("markov")
    prompts = decode.padded([pair.tokenizer.encode(text) for text in pair.prompts[:4]])
    known = profile(pair, PairSampling(AS_IS, AS_IS), key, *prompts, calls=64, slots=4)
    assert abs(known.moments.first - 2) < 0.12
    assert abs(known.acceptance[0] - 0.7) < 0.1
    assert known.moments.second > known.moments.first**2
    assert known.acceptance.sum() <= 1 + 1e-6


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("budget", [4, 8, 16, 32, 64])
@pytest.mark.parametrize("depth", [8, 64])
def test_trees_stay_within_their_limits(name, budget, depth):
    trees = METHODS[name].trees(Limits(budget, depth, HALVING))
    assert trees
    for text in trees:
        topology = growth.parse(text, METHODS[name].scheme).topology
        assert topology.nodes - 1 <= budget
        assert topology.height <= depth


@pytest.mark.parametrize("name", METHODS)
def test_no_method_is_kept_from_the_depth_that_another_may_have(name):
    """Where the first child is all but sure, every tree goes as deep as the limit, or as its least
    width lets the budget go.
    """
    sure = np.array([0.999, 0.0005])
    for budget, depth in ((64, 64), (64, 16), (16, 16)):
        heights = [
            growth.parse(tree, METHODS[name].scheme).topology.height
            for tree in METHODS[name].trees(Limits(budget, depth, sure))
        ]
        least = WIDTHS[0] if name in ("RSD-S", "SpecTr") else 1
        assert max(heights) == min(depth, budget // least)


def test_what_a_method_draws_hangs_on_no_other(content):
    """One method and budget alone emit what they emit in company."""
    alone = tree_budget.run(dataclasses.replace(CONFIG, methods=("RSD-S",)))
    (row,) = alone["rows"]
    assert row == content["rows"][-1]
    assert alone["claims"] == []


def rows(method, verifier, table):
    """One row for each line of a table, a column for each prompt."""
    named = {"method": method, "verifier": verifier, "budget": 4}
    return [{**named, "tree": f"tree {i}", "by_prompt": list(line)} for i, line in enumerate(table)]


def test_a_width_is_not_chosen_by_what_it_is_measured_by():
    """Ten trees that are all alike: the best mean lies above the true one, the mean after the other
    half's choice does not.
    """
    tables = np.random.default_rng(0).normal(2, 1, (200, 10, 16))
    held = [
        tree_budget.chosen(rows("RSD-S", REJECTION, table), "RSD-S", REJECTION, 4)
        for table in tables
    ]
    assert np.mean([table.mean(1).max() for table in tables]) > 2.3
    assert abs(np.mean([values.mean() for values, _ in held]) - 2) < 4 / np.sqrt(200 * 16)
    assert {len(trees) for _, trees in held} <= {1, 2}


@pytest.mark.parametrize(("gain", "reproduced"), [(0.5, True), (0.0, False), (-0.5, False)])
def test_a_claim_is_reproduced_where_the_paired_interval_lies_above_zero(gain, reproduced):
    rng = np.random.default_rng(1)
    single = rng.normal(2, 1, 16)
    both = [
        *(row for name in METHODS[SINGLE].verifiers for row in rows(SINGLE, name, [single])),
        *rows("SpecTr", "kseq", [single + gain + rng.normal(0, 0.1, 16)]),
    ]
    found = tree_budget.claims(both)
    assert [row["against"] for row in found] == list(METHODS[SINGLE].verifiers)
    for row in found:
        assert row["reproduced"] is reproduced
        assert row["low"] < row["difference"] < row["high"]
        assert abs(row["difference"] - gain) < 0.1


def test_the_figure_and_the_table_draw(content, tmp_path, capsys):
    tree_budget.show(content, Console(width=120))
    assert "beam:2x2" in capsys.readouterr().out
    tree_budget.plot(content).savefig(tmp_path / "figure.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": (1,)}, "expected budget >= 2"),
        ({"budget": ()}, "expected budget >= 2"),
        ({"calls": 0}, "calls >= 1"),
        ({"methods": ("telepathy",)}, "unknown method 'telepathy'"),
        ({"pair": "nonsense"}, "unknown pair"),
    ],
)
def test_bad_input_is_refused_before_any_work(change, message):
    with pytest.raises(ValueError, match=message):
        tree_budget.run(dataclasses.replace(CONFIG, **change))
