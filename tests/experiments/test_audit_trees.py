"""The harness on trees: every verifier is what it claims, and every planted error is rejected with
the right reason.
"""

import json
import re

import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import theory
from experiments.__main__ import main
from experiments.audit import Config, audit_verifier, candidate, lifted, run, show, status
from experiments.audits import verifier_checks, walk_checks
from experiments.enumeration import verifier_laws
from specjax import rules, verifiers
from specjax.rules import Claims, register
from specjax.verifiers import Block, TopDown, Traversal, TypicalPath
from tests.helpers import wrong_rules, wrong_verifiers

GOLDEN = theory.battery.Pair("golden", np.array([1 / 3, 2 / 3]), np.array([2 / 3, 1 / 3]))
HOUSE = [
    (candidate(Block), "chain:3"),
    (candidate(Traversal), "full:2,2"),
    (candidate(Traversal), "chain:2"),  # without its deepest node it is a level lower
    *(
        (lifted(TopDown, rules.get(name)), "full:2,2")
        for name in ("recursive_rejection", "greedy", "optimal")
    ),
]
GROWN = [  # test_growth.py has the others: most of the time here goes to compiling
    (
        lifted(TopDown, rules.get("recursive_rejection_without_replacement")),
        "without_replacement",
        "sampled_best_first:4x2x2",
    ),
    (candidate(Traversal), "without_replacement", "beam:2x2"),
    (candidate(Traversal), "iid", "paths:2x2"),
]
SCHEMES = [(one, scheme, tree) for one, tree in HOUSE for scheme in sorted(one.claims.drafting)]


@pytest.fixture(autouse=True)
def laws_alone(monkeypatch):
    """What is drawn is audited in test_audit_drawn.py: here it would double the time."""
    monkeypatch.setattr(walk_checks, "OF_WALKS", ())


@pytest.mark.parametrize(
    ("one", "scheme", "tree"), SCHEMES + GROWN, ids=lambda x: getattr(x, "name", x)
)
def test_a_verifier_is_what_it_claims(one, scheme, tree):
    row = audit_verifier(one, scheme, tree)
    print(row)
    assert row.verdict == "ok"
    assert row.expected_accepted <= row.optimum + 1e-9


@pytest.mark.parametrize("wrong", wrong_verifiers.PLANTED, ids=lambda cls: cls.__name__)
def test_a_planted_error_is_rejected(wrong):
    planted = wrong_verifiers.PLANTED[wrong]
    (scheme,) = wrong.claims.drafting
    row = audit_verifier(candidate(wrong), scheme, planted.tree)
    print(row)
    assert re.search(planted.reason, row.verdict)
    assert row.verdict.check is planted.check
    assert status([row]) == 1


def test_a_wrong_rule_on_a_tree_is_rejected():
    row = audit_verifier(
        lifted(TopDown, wrong_rules.WithReplacementRule), "without_replacement", "full:2,2"
    )
    print(row)
    assert row.verdict.startswith("not lossless under without_replacement on full:2,2")


@register
class ReadsTheNumber:
    """Lossless at every fixed number of drafts; says that it takes them one by one, and does
    not.
    """

    claims = Claims(lossless=True, drafting=frozenset({"without_replacement"}), sequential=True)

    def law(self, tokens, p, q, mask):
        law = rules.get("recursive_rejection_without_replacement")().law(tokens, p, q, mask)
        return jnp.where(jnp.sum(mask) == 1, p, law)


def test_a_tree_whose_drafts_tell_their_number_is_audited_as_it_is_drawn():
    one = lifted(TopDown, ReadsTheNumber)
    assert audit_verifier(one, "without_replacement", "full:2,2").verdict.startswith(
        "not sequential: whether node"
    )
    row = audit_verifier(one, "without_replacement", "beam:2x2")
    print(row)
    assert row.verdict.startswith("not lossless under without_replacement on beam:2x2")


def test_the_uncapped_joint_ratio_costs_a_ninth():
    row = audit_verifier(candidate(wrong_verifiers.UncappedAtTheEnd), "iid", "chain:2", GOLDEN)
    assert row.tv == pytest.approx(1 / 9, abs=1e-12)


LOSSY = [
    (candidate(TypicalPath), "full:2,1"),
    (lifted(TopDown, rules.get("lenience")), "chain:2"),
]


@pytest.mark.parametrize(("one", "tree"), LOSSY, ids=lambda x: getattr(x, "name", x))
def test_a_lossy_verifier_is_what_it_claims_and_never_called_lossless(one, tree):
    row = audit_verifier(one, "iid", tree)
    print(row)
    assert (row.verdict, status([row])) == ("ok, lossy", 0)
    assert row.tv > 0.1
    front = re.search("nobody accepts more than (.*), the joint front of 33 worlds", row.scope)
    assert row.optimum < row.expected_accepted < float(front[1])


def test_where_float32_cannot_tell_which_token_is_likelier_either_is_right(monkeypatch):
    p = np.array([0.4, 0.4 + 1e-9, 0.2 - 1e-9])
    pair = theory.battery.Pair("near-tied", p, np.array([0.2, 0.3, 0.5]))
    one = candidate(TypicalPath)
    assert audit_verifier(one, "iid", "chain:1", pair).verdict == "ok, lossy"
    monkeypatch.setattr(verifier_checks, "NEARBY", 0)
    verdict = audit_verifier(one, "iid", "chain:1", pair).verdict
    assert verdict == "in float32 it emits other texts than in float64, by 1 on near-tied"


def test_who_loses_nothing_but_claims_to_is_not_called_lossless():
    lossy = register(type("Lossy", (Block,), {"claims": Block.claims._replace(lossless=False)}))
    row = audit_verifier(candidate(lossy), "iid", "chain:2")
    assert row.verdict == "ok, lossy"
    assert row.tv < 1e-12


def test_it_is_shown_whose_total_variation_the_row_holds(capsys):
    show([audit_verifier(candidate(TypicalPath), "top_n", "chain:2", GOLDEN)], Console(width=120))
    said = capsys.readouterr().out
    assert "TV of texts" in said
    assert "ok, lossy" in said


@pytest.mark.short
def test_a_given_pair_has_the_golden_fractions(tmp_path):
    for name, law in zip("pq", GOLDEN[1:], strict=True):
        np.save(tmp_path / f"{name}.npy", law)
    rows = run(
        Config(
            names=("block",), tree=("chain:3",), target=tmp_path / "p.npy", draft=tmp_path / "q.npy"
        )
    )
    assert [(row.tree, row.scheme) for row in rows] == [
        ("chain:3", scheme) for scheme in sorted(Block.claims.drafting)
    ]
    for row in rows:
        assert row.verdict == "ok"
        assert (row.expected_accepted, row.optimum) == pytest.approx((5 / 3, 5 / 3), abs=1e-9)


def test_the_optimum_is_null_beyond_the_program(monkeypatch):
    monkeypatch.setattr(theory.tree_lp, "CONTEXTS", 2)
    row = audit_verifier(candidate(Block), "iid", "chain:2", GOLDEN)
    assert (row.optimum, row.verdict) == (None, "ok")
    assert row.expected_accepted == pytest.approx(11 / 9, abs=1e-12)


def test_smaller_trees_in_the_nodes_of_the_whole():
    cases = verifier_laws.cases("full:2,1", "iid", GOLDEN)
    lacking = {instance.missing: instance.drawn for instance in cases.instances}
    assert sorted(lacking, key=str) == [0, 1, 2, 3, 4, None]
    assert lacking[1].active.tolist() == [[True, False, True, False, True]] * 4
    assert lacking[3].active.all(0).tolist() == [True, True, True, False, True]
    assert lacking[0].active.tolist() == [[True] + [False] * 4]
    assert all(drawn.mass.sum() == pytest.approx(1, abs=1e-14) for drawn in lacking.values())


def test_what_is_disturbed():
    rows = verifier_laws.rows(verifier_laws.cases("full:2,1", "iid", GOLDEN))
    other = verifier_laws.disturbed(rows)
    assert (np.where(rows.active, rows.tokens, 0) == np.where(rows.active, other.tokens, 0)).all()
    assert ((rows.p == other.p).all(-1) == rows.active).all()
    drawn = np.where(rows.active, rows.parents, -1)
    drawn_below = (drawn[:, None] == np.arange(5)[:, None]).any(-1)
    assert ((rows.q == other.q).all(-1) == (rows.active & drawn_below)).all()


MINE = '''
from specjax.rules import Claims
from specjax.verifiers import Block, register

@register
class Mine:
    """Block verification, or nearly."""
    claims = Claims(lossless=True, drafting=frozenset({"iid"}))
    def law(self, draft, p):
        return Block().law(draft, FACTOR)
    def verify(self, key, draft, p):
        return Block().verify(key, draft, p)
'''


@pytest.mark.parametrize(
    ("factor", "code", "words"), [("p", 0, "ok"), ("p[:, ::-1]", 1, "not lossless")]
)
def test_a_verifier_in_any_file_is_audited(factor, code, words, tmp_path):
    (tmp_path / "mine.py").write_text(MINE.replace("FACTOR", factor))
    assert (
        main(
            [
                "audit",
                str(tmp_path / "mine.py"),
                "--tree",
                "chain:2",
                "--json",
                str(tmp_path / "rows.json"),
            ]
        )
        == code
    )
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert list(row) == [
        "verifier",
        "scheme",
        "tree",
        "tv",
        "expected_accepted",
        "optimum",
        "verdict",
        "scope",
    ]
    assert (row["verifier"], row["scheme"], row["tree"]) == ("mine", "iid", "chain:2")
    assert row["verdict"].startswith(words)


def test_rules_and_verifiers_together():
    rows = run(Config(names=("single", "block"), n=(1,), tree=("chain:2",)))
    kinds = [row._asdict() for row in rows]
    assert {row["rule"] for row in kinds if "rule" in row} == {"single"}
    assert {(row["verifier"], row["tree"]) for row in kinds if "verifier" in row} == {
        ("block", "chain:2")
    }
    assert status(rows) == 0


WRONG = {
    "no such verifier": ["nobody"],
    "no tree": ["block", "--tree", "ring:3"],
    "a tree that is not covered": ["block", "--tree", "star:2"],
    "none of the names": ["kseq", "--tree", "chain:2"],
    "a grown tree without its sizes": ["traversal", "--tree", "beam:2"],
    "drafts that tell their number": ["top_down:optimal", "--tree", "beam:2x2"],
    "another scheme": ["traversal", "--tree", "best_first:4x2x2"],
    "a rule for block": ["block:kseq"],
    "a rule that holds one pair": ["top_down:transport"],
    "no such rule": ["top_down:nobody"],
    "too large": ["traversal", "--tree", "full:3,3,3"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_what_cannot_be_audited_is_one_line_and_exit_code_2(arguments, capsys):
    assert main(["audit", *arguments]) == 2
    out, err = capsys.readouterr()
    print(err)
    assert out == ""
    # beside what those who wait are told
    assert len([line for line in err.splitlines() if " done, " not in line]) == 1
    assert len(err) > 30


def test_without_names_every_verifier_has_rows():
    from experiments import audit

    chosen = audit._everything()
    held = [
        one
        for group in chosen.verifiers
        for one, _, _ in audit._covered(group, ("chain:2", "full:2,2"))[0]
    ]
    assert {one.name.partition(":")[0] for one in held} == set(verifiers.names())
