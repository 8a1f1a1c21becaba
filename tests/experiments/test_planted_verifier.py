"""A verifier that lies in its folder appears by itself in the gap table and in the bench."""

import pytest

from experiments import tree_gap
from experiments.inputs.named_verifiers import label
from experiments.timing import trees as timing
from specjax import verifiers
from specjax.verifiers import node_rule

FILE = '''
from specjax.rules import Claims
from specjax.verifiers import Traversal, register

@register
class Planted(Traversal):
    """Traversal under another name, and for independent drafts alone."""
    claims = Claims(lossless=True, drafting=frozenset({"iid"}))
'''


@pytest.fixture(autouse=True)
def planted(tmp_path, monkeypatch):
    path = tmp_path / "planted.py"
    path.write_text(FILE)
    monkeypatch.setitem(verifiers.VERIFIERS._classes, "planted", verifiers.get(str(path)))


def test_it_has_rows_in_the_gap_table():
    config = tree_gap.Config(
        tree=("full:1,2",),
        scheme=("iid",),
        family=("random",),
        vocabulary=(2,),
        rules=("recursive_rejection",),
        seeds=2,
    )
    rows = {row["verifier"]: row for row in tree_gap.run(config)["rows"]}
    lifted = ["layer:recursive_rejection", "top_down:recursive_rejection"]
    assert list(rows) == ["traversal", "planted", *lifted]
    assert rows["planted"]["accepted"] == rows["traversal"]["accepted"]
    # theory has no law of this name
    assert rows["planted"]["off"] != rows["planted"]["off"]


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        ("chain:63", ["block", "greedy_multi_path_block", "traversal", "planted"]),
        ("full:1,2,2,2,2,2", ["traversal", "planted"]),
        (timing.BEAM, []),
    ],
)
def test_it_is_timed_on_the_trees_that_it_covers(tree, names):
    shape = timing._shape(tree)
    found = timing._verifiers(tree, shape)
    whole = [one for one in found if not node_rule(one)]
    assert [one.name for one in whole] == names
    lifted = {label(one).partition(":")[0] for one in found if node_rule(one)}
    assert lifted == ({"top_down"} if tree == timing.BEAM else {"layer", "top_down"})
    times = {f"{tree} {label(one)}": 2.0 for one in found} | {"pass": 1.0}
    rows = [timing._row(tree, shape, one, 40, times) for one in whole]
    assert all((row["limit"] is None) == (row["verifier"] == "planted") for row in rows)
