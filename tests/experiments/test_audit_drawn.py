"""What rests on draws: trees of a scheme in any file, and the walks of a verifier beside its
law.
"""

import json
import re
from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.audit import audit_verifier, candidate, lifted
from experiments.audits import walk_checks
from experiments.enumeration import sampled_trees, verifier_laws
from specjax import rules
from specjax.trees import growth
from specjax.trees.growth import paths
from specjax.verifiers import Block, TopDown, Traversal
from tests.helpers import wrong_verifiers

REJECTION = lifted(TopDown, rules.get("recursive_rejection"))
KEYS = ["verifier", "scheme", "tree", "tv", "expected_accepted", "optimum", "verdict", "scope"]
WRONG = {
    "the likeliest for independent draws": (
        "draw(q[place], u)",
        "jnp.argmax(q[place])",
        "biased under iid on .*mine.py:2x2: total",
    ),
    "drops unlikely drafts": (
        "jnp.ones(self.count, bool)",
        "(q[state, tokens] > 0.3) | (depth == 0)",
        "biased under iid",
    ),
    "drops what others hang under": (
        "jnp.ones(self.count, bool)",
        "jnp.full(self.count, depth > 0)",
        "no tree: node 3 .* hangs nowhere",
    ),
    "tokens of other nodes": (
        "np.arange(sizes.nodes)",
        "np.array([0, 2, 1, 3, 4])",
        "no tree: node . does not stand for the prefix",
    ),
    "children backwards": (
        "Grown(grown(sizes, sizes.depth, parents, active)",
        "Grown(dataclasses.replace(grown(sizes, sizes.depth, parents, active), "
        "children=_backwards(sizes, parents, active))",
        "no tree: the children of node 0 are not listed",
    ),
    "more children than it says": (
        "return blank(self.widths, self.count)",
        "return dataclasses.replace(blank(self.widths, self.count), arities=(0, 1))",
        "no tree: node 0 has 2 children",
    ),
    "raises": ("draw(q[place], u)", "{}['law']", "raises KeyError: 'law'"),
}
BACKWARDS = (
    "\ndef _backwards(sizes, parents, active):\n    return grown(sizes, sizes.depth, parents, "
    "active).children[:, ::-1]\n"
)


def mine(folder: Path, old: str = "", new: str = "") -> str:
    """A tree: two independent paths, from a file of somebody else's, with some of its text
    replaced.
    """
    text = Path(paths.__file__).read_text()
    assert old in text
    (folder / "mine.py").write_text(text.replace(old, new) + BACKWARDS)
    return f"{folder / 'mine.py'}:2x2"


def test_a_tree_scheme_in_any_file_is_drawn_and_audited(tmp_path, monkeypatch):
    monkeypatch.setattr(sampled_trees, "DRAWS", 1 << 16)
    tree = mine(tmp_path)
    assert (
        main(["audit", REJECTION.name, "--tree", tree, "--json", str(tmp_path / "rows.json")]) == 0
    )
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    print(row)
    assert list(row) == KEYS
    assert (row["verifier"], row["scheme"], row["tree"], row["optimum"]) == (
        REJECTION.name,
        "iid",
        tree,
        None,
    )
    stated = re.fullmatch(
        rf"lossless within TV (\S+) \({sampled_trees.DRAWS} trees\)", row["verdict"]
    )
    assert row["tv"] < float(stated[1]) < 0.03


@pytest.mark.thorough
@pytest.mark.parametrize("one", [REJECTION, candidate(Traversal)], ids=lambda one: one.name)
def test_drawn_trees_are_worth_what_theory_says(one, tmp_path):
    row, known = (audit_verifier(one, "iid", tree) for tree in (mine(tmp_path), "paths:2x2"))
    print(row, known)
    assert known.verdict == "ok"
    assert row.expected_accepted == pytest.approx(known.expected_accepted, abs=0.01)


QUICK = {"the likeliest for independent draws", "tokens of other nodes", "raises"}
PARAMETERS = [
    pytest.param(*WRONG[name], id=name, marks=[] if name in QUICK else pytest.mark.thorough)
    for name in WRONG
]


@pytest.mark.parametrize(("old", "new", "reason"), PARAMETERS)
def test_a_wrong_tree_scheme_is_rejected(old, new, reason, tmp_path, monkeypatch):
    monkeypatch.setattr(sampled_trees, "DRAWS", 1 << 15)
    row = audit_verifier(REJECTION, "iid", mine(tmp_path, old, new))
    print(row)
    assert re.match(reason, row.verdict)


def test_trees_of_one_file_are_equal_until_it_changes(tmp_path):
    tree = mine(tmp_path)
    first = growth.parse(tree, "iid")
    assert growth.parse(tree, "iid") == first
    assert first != growth.parse("paths:2x2", "iid")
    with pytest.raises(ValueError, match="scheme: mine draws iid, got greedy"):
        growth.parse(tree, "greedy")
    with pytest.raises(ValueError, match=r"expected .*mine.py:COUNTxDEPTH with numbers >= 1, got"):
        growth.parse(tree.removesuffix("x2"), "iid")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such Python file"),
        ("a = 1", "expected one registered class with 'expand', got 0"),
    ],
)
def test_a_file_without_a_tree_scheme_is_one_line(text, words, tmp_path, capsys):
    if text:
        (tmp_path / "mine.py").write_text(text)
    assert main(["audit", "traversal", "--tree", f"{tmp_path / 'mine.py'}:2x2"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert words in err


LONG = {wrong_verifiers.ForgetsThePath, wrong_verifiers.TakesWhatWasNeverDrawn}
WALKS = [
    pytest.param(cls, id=cls.__name__, marks=[pytest.mark.thorough] if cls in LONG else [])
    for cls in wrong_verifiers.MISDRAWN
]
HOUSE = [
    (candidate(Block), "iid", "chain:2"),
    pytest.param(candidate(Traversal), "iid", "full:2,2", marks=pytest.mark.thorough),
    pytest.param(
        candidate(Traversal), "without_replacement", "beam:2x2", marks=pytest.mark.thorough
    ),
    pytest.param(lifted(TopDown, rules.get("kseq")), "iid", "full:2,2", marks=pytest.mark.thorough),
    pytest.param(
        lifted(TopDown, rules.get("one_hot")),
        "top_n",
        "best_first:4x2x2",
        marks=pytest.mark.thorough,
    ),
]


@pytest.mark.parametrize("wrong", WALKS)
def test_draws_that_do_not_have_the_right_law_are_rejected(wrong):
    row = audit_verifier(candidate(wrong), "iid", "chain:2")
    print(row)
    planted = wrong_verifiers.MISDRAWN[wrong]
    assert re.match(planted.reason, row.verdict)
    assert row.verdict.check is planted.check


@pytest.mark.parametrize(("one", "scheme", "tree"), HOUSE)
def test_house_verifiers_draw_their_laws(one, scheme, tree):
    """By one program, where `verify` is `walk` on the uniforms of its key."""
    assert audit_verifier(one, scheme, tree).verdict == "ok"
    cases = verifier_laws.cases(tree, scheme, None)
    assert list(
        walk_checks._faces(
            one.verifier, cases.drafting, walk_checks._part(verifier_laws.rows(cases), slice(0, 1))
        )
    ) == ["walk"]


def test_a_walk_for_uniforms_of_one_word_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "old.py").write_text(OLD)
    assert main(["audit", str(tmp_path / "old.py"), "--tree", "chain:2"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "verifier old: its walk takes uniforms [N + 1]; they now have two words" in err


OLD = '''
import jax.numpy as jnp
from specjax.rules import Claims
from specjax.trees import NO_NODE, ROOT, Verdict
from specjax.verifiers import Block, Walk, register

@register
class Old:
    """Draws the first token from the target, as walks did before a uniform had two words."""
    claims = Claims(lossless=True, drafting=frozenset({"iid"}))
    def law(self, draft, p):
        return Block().law(draft, p)
    def walk(self, uniforms, draft, p):
        steps = draft.topology.height + 1
        first = jnp.arange(steps) == 0
        token = jnp.argmax(jnp.cumsum(p[ROOT]) > uniforms[-1])
        verdict = Verdict(jnp.where(first, token, 0), jnp.int32(1), jnp.where(first, ROOT, NO_NODE))
        return Walk(verdict, jnp.zeros(steps, jnp.int32), jnp.zeros(steps))
    def verify(self, key, draft, p):
        return Block().verify(key, draft, p)
'''
