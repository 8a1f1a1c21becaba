"""The worst ratios: what is stored is what theory says, what is proven is attained and never
undercut, and the search gets there.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import theory
from experiments import worst_ratio
from specjax import rules
from tests.helpers.places import ROOT

STORED = json.loads((ROOT / "experiments" / "results" / "worst_ratio.json").read_text())
CONFIG = worst_ratio.Config(
    rules=("kseq", "recursive_rejection"), n=(2,), vocabulary=(2, 3), starts=4, steps=250
)
EXACT, REACHED = 1e-9, 1e-5
PROVEN = [
    (rule, n)
    for rule in rules.names()
    if hasattr(theory.worst_pairs, rule)
    for n in (2, 3, 4, 8, 64)
    if n <= 8 or rule != "multi_drafter"
]  # theory's LP


def off(row):
    """How far a row is from what theory says of its laws."""
    problem = theory.Problem(np.array(row["p"]), np.array(row["q"]), row["n"], row["scheme"])
    alpha, alpha_star = worst_ratio.referee(rules.get(row["rule"])(), problem)
    return max(
        abs(alpha - row["alpha"]),
        abs(alpha_star - row["alpha_star"]),
        abs(alpha / alpha_star - row["ratio"]),
    )


def undercuts(row):
    return row["floor"] is not None and row["ratio"] < row["floor"] - EXACT


@pytest.fixture(scope="module")
def content():
    return worst_ratio.run(CONFIG)


@pytest.mark.parametrize(
    "row", STORED["rows"], ids=lambda row: f"{row['rule']}-{row['n']}-{row['vocabulary']}"
)
def test_a_stored_row_is_what_theory_says_of_its_laws(row):
    assert off(row) < EXACT
    assert not undercuts(row)
    assert row["floor"] == worst_ratio.floor(row["rule"], row["n"])


@pytest.mark.parametrize(
    "row",
    [
        row
        for row in STORED["rows"]
        if row["vocabulary"] ** row["n"] <= 1024 and row["scheme"] != "independent"
    ],
)
def test_the_linear_program_has_the_same_optimum_at_stored_laws(row):
    solved = theory.lp.solve(
        theory.Problem(np.array(row["p"]), np.array(row["q"]), row["n"], row["scheme"])
    )
    assert abs(solved.value - row["alpha_star"]) < 1e-8 + solved.gap


def test_planted_errors_in_a_row_are_caught():
    row = next(row for row in STORED["rows"] if row["rule"] == "kseq" and row["vocabulary"] == 3)
    other = next(
        r
        for r in STORED["rows"]
        if r["rule"] == "recursive_rejection" and r["n"] == row["n"] and r["vocabulary"] == 3
    )
    assert off({**row, "p": row["p"][::-1]}) > 1e-3
    assert off({**row, "alpha": row["alpha"] + 1e-8}) > EXACT
    assert undercuts({**other, "floor": row["floor"]}), (
        "the worst pair of a poorer rule lies below the floor of K-SEQ"
    )


@pytest.mark.parametrize(("rule", "n"), PROVEN)
def test_what_is_proven_is_attained_and_nothing_drawn_undercuts_it(rule, n, seed):
    worst, least = getattr(theory.worst_pairs, rule)(n), worst_ratio.floor(rule, n)
    assert abs(theory.subsets.optimum(worst).value - 1) < EXACT
    independent = worst.drafting == "independent"
    for _, p, q in theory.battery.laws(5, seed):
        laws = np.stack([np.roll(q, slot) for slot in range(n)]) if independent else q
        attained, optimum = worst_ratio.referee(
            rules.get(rule)(), theory.Problem(p, laws, n, worst.drafting)
        )
        assert attained >= least * optimum - EXACT


def test_the_floors_tend_to_their_limits():
    n = 10**4
    assert abs(worst_ratio.floor("recursive_rejection", n) - 0.75) < 1e-4
    assert abs(worst_ratio.floor("kseq", n) - 0.8263627146890076) < 1e-4
    assert all(
        worst_ratio.floor("kseq", n) > worst_ratio.floor("kseq", n + 1) > worst_ratio.PROMISED
        for n in range(2, 30)
    )
    y = -np.log(1 - 0.8263627146890076) - 1
    assert abs(np.exp(y) - (1 + y + np.exp(-1))) < 1e-12


def test_two_tokens_are_as_bad_as_any_law(seed):
    """Planted in the proof: a polygon through a point of P that is not the minimiser may be better
    than P.
    """
    rng = np.random.default_rng(seed)
    for n in (2, 3, 8):
        p, q = rng.dirichlet(np.full(6, 0.5), 2)
        order = np.argsort(p / q)
        attained, optimum = worst_ratio.referee(rules.get("kseq")(), theory.Problem(p, q, n, "iid"))
        pairs = [(p[order[:k]].sum(), q[order[:k]].sum()) for k in range(1, 6)]
        merged = [
            theory.Problem(np.array([x, 1 - x]), np.array([c, 1 - c]), n, "iid") for x, c in pairs
        ]
        recomputed = [worst_ratio.referee(rules.get("kseq")(), problem) for problem in merged]
        assert min(alpha for alpha, _ in recomputed) == pytest.approx(attained, abs=EXACT)
        assert all(best >= optimum - EXACT for _, best in recomputed)


def test_the_search_reaches_the_proven_minimum(content):
    rows = content["rows"]
    assert [(row["rule"], row["n"], row["vocabulary"]) for row in rows] == [
        (rule, 2, v) for rule in CONFIG.rules for v in CONFIG.vocabulary
    ]
    for row in rows:
        assert off(row) < EXACT
        assert row["floor"] - EXACT <= row["ratio"] < row["floor"] + REACHED
    assert content["provenance"]["config"]["seed"] == 0


def test_a_search_that_does_not_move_is_seen_not_to_reach_it():
    (row,) = worst_ratio.run(
        dataclasses.replace(CONFIG, rules=("kseq",), vocabulary=(3,), steps=1)
    )["rows"]
    assert row["ratio"] > row["floor"] + REACHED


def test_the_figure_and_the_table_draw(tmp_path, capsys):
    from rich.console import Console

    worst_ratio.show(STORED, Console(width=140))
    assert "kseq" in capsys.readouterr().out
    worst_ratio.plot(STORED).savefig(tmp_path / "figure.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rules": ("nonsense",)}, "unknown rule 'nonsense'"),
        ({"rules": ("optimal",)}, "states no acceptance below the optimum"),
        ({"rules": ("transport",)}, "states no acceptance below the optimum"),
        ({"n": (0,)}, "expected n >= 1"),
        ({"vocabulary": (1,)}, "vocabulary >= 2"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        worst_ratio.run(dataclasses.replace(CONFIG, **change))


def test_a_rule_unknown_to_theory_is_enumerated_while_that_is_small(tmp_path):
    source = Path(rules.__file__).with_name("naive_first.py").read_text()
    path = tmp_path / "stranger.py"
    path.write_text(
        source.replace("specjax.rules._base", "specjax.rules").replace("NaiveFirst", "Stranger")
    )
    rule, known = rules.get(str(path))(), rules.get("naive_first")()
    problem = theory.Problem(np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5]), 2, "iid")
    assert worst_ratio.referee(rule, problem) == pytest.approx(
        worst_ratio.referee(known, problem), abs=EXACT
    )
    with pytest.raises(ValueError, match="too large to enumerate"):
        worst_ratio.referee(
            rule, theory.Problem(np.full(16, 1 / 16), np.full(16, 1 / 16), 8, "iid")
        )
