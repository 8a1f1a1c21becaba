"""The tree called sequoia is the dynamic programme's, for the acceptance that is measured on the
pair.
"""

import dataclasses

import numpy as np
import pytest

from experiments import compare, decode
from experiments.__main__ import main
from experiments.decoding import pair_profile, sequoia
from specjax.models import pairs
from specjax.numerics import AS_IS
from theory import tree_shapes
from theory.tree_shapes import LogMoments

ACCEPTANCE = np.array([0.6, 0.3, 0.05])


@pytest.fixture
def measured(monkeypatch):
    monkeypatch.setattr(
        pair_profile, "profile", lambda *_: pair_profile.Profile(ACCEPTANCE, LogMoments(1.0, 1.0))
    )


def of(nodes, depth):
    parents = tree_shapes.sequoia(ACCEPTANCE, nodes, depth).parents(nodes, depth)
    return f"branching:{','.join(map(str, np.bincount(parents[1:])))}"


def test_names_become_trees_and_are_said(measured, capsys):
    found = sequoia.resolved(
        ("chain:2", "sequoia:6", "sequoia:6x2"), pairs.load("markov"), AS_IS, 0
    )
    assert found == ("chain:2", of(7, 6), of(7, 2))
    assert found[1] != found[2]
    err = capsys.readouterr().err
    assert f"sequoia:6 is {found[1]}, by the acceptance of each slot: 0.600 0.300 0.050" in err


def test_what_is_not_named_is_not_measured(monkeypatch):
    monkeypatch.setattr(pair_profile, "profile", None)
    assert sequoia.resolved(("chain:2",), pairs.load("markov"), AS_IS, 0) == ("chain:2",)


@pytest.mark.parametrize(
    "text", ["sequoia", "sequoia:0", "sequoia:4x0", "sequoia:4x2x2", "sequoia:many"]
)
@pytest.mark.parametrize(
    "arguments",
    [["compare", "--pair", "none"], ["decode", "a text", "--pair", "none"]],
    ids=lambda x: x[0],
)
def test_sizes_are_asked_for_before_any_work(text, arguments, capsys):
    assert main([*arguments, "--tree", text]) == 2
    assert (
        capsys.readouterr().err
        == "specjax: error: tree: expected sequoia:N or sequoia:NxDEPTH with numbers >= 1, "
        f"got {text!r}\n"
    )


@pytest.mark.thorough
def test_a_decode_on_the_tree(measured):
    config = decode.Config("0 1 2", pair="markov", rule="traversal", tree="sequoia:4x2", tokens=8)
    named = decode.run(config)
    assert named["tokens"] == decode.run(dataclasses.replace(config, tree=of(5, 2)))["tokens"]


@pytest.mark.thorough
def test_measured_on_a_pair():
    rows = compare.run(
        compare.Config(pair="markov", rules=("traversal",), tree=("sequoia:4",), contexts=64)
    )["rows"]
    (row,) = rows
    print(row["tree"])
    assert row["tree"].startswith("branching:")
