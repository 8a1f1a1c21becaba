"""`specjax bound`: the ladder of a pair of laws in files."""

import json

import numpy as np
import pytest

import theory
from experiments import bound
from experiments.__main__ import main
from specjax import rules

REVERSED = ([0.5, 0.3, 0.2], [0.2, 0.3, 0.5])


@pytest.fixture
def files(tmp_path):
    def save(p, q, dtype=np.float64):
        for name, law in (("p", p), ("q", q)):
            np.save(tmp_path / f"{name}.npy", np.asarray(law, dtype))
        return tmp_path / "p.npy", tmp_path / "q.npy"

    return save


def test_the_contract(files, tmp_path, capsys):
    target, draft = files(*REVERSED)
    out = tmp_path / "new" / "bound.json"
    assert main(["bound", "--target", str(target), "--draft", str(draft), "--n", "2", "--json", str(out)]) == 0
    content = json.loads(out.read_text())
    assert list(content) == ["n", "alpha_star", "acceptance"]
    assert content["n"] == 2
    assert list(content["alpha_star"]) == ["iid", "without_replacement", "greedy", "hub", "top_n"]
    assert content["alpha_star"] == pytest.approx(
        {"iid": 0.86, "without_replacement": 0.9857142857, "greedy": 0.9, "hub": 0.9, "top_n": 0.5}
    )
    assert set(content["acceptance"]) == set(rules.names())
    golden = {
        "naive_membership": 0.483,
        "naive_first": 0.76,
        "recursive_rejection": 0.76,
        "kseq": 0.791355,
        "greedy": 0.9,
        "transport": 0.86,
    }
    golden["recursive_rejection_without_replacement"] = 0.82
    assert {name: content["acceptance"][name] for name in golden} == pytest.approx(golden, abs=1e-6)
    assert content["acceptance"]["single"] is None
    assert "|H*|" in capsys.readouterr().out


def test_null_where_it_does_not_apply(files):
    rng = np.random.default_rng(0)
    target, draft = files(*rng.dirichlet(np.ones(400), 2))
    ladder = bound.run(bound.Config(target, draft, 3))
    assert ladder.alpha_star["hub"] is None
    assert ladder.alpha_star["iid"] > 0
    missing = {"single", "recursive_rejection_without_replacement", "transport"}
    assert {rule for rule, value in ladder.acceptance.items() if value is None} == missing
    for rule in missing:
        with pytest.raises(ValueError, match=f"rule {rule}: "):
            bound.run(bound.Config(target, draft, 3, (rule,)))


def test_no_lossless_rule_exceeds_the_optimum(files):
    for pair in theory.battery.laws(5, seed=0)[:6]:
        ladder = bound.run(bound.Config(*files(pair.p, pair.q), 2))
        for rule, scheme in ladder.under.items():
            assert scheme is None or ladder.acceptance[rule] <= ladder.alpha_star[scheme] + 1e-9, (pair.name, rule)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_float_is_read_and_computed_in_float64(files, dtype):
    target, draft = files(*REVERSED, dtype)
    ladder = bound.run(bound.Config(target, draft, 2, ("transport",)))
    exact = theory.lp.solve(theory.Problem(*(theory.problem.as_law("x", np.load(path)) for path in (target, draft)), 2, "iid")).value
    assert abs(ladder.alpha_star["iid"] - exact) < 1e-9
