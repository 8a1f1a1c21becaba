"""Figures of measured rows: what is drawn is what the rows hold, and intervals cover as often as
they say.
"""

import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from matplotlib.colors import to_hex

from experiments import plot
from experiments.__main__ import main
from experiments.figures import kinds, stored_rows, style
from experiments.figures.kinds import acceptance, differences, efficiency, gap, phase
from specjax import rules, verifiers
from tests.helpers import fake_rows


@pytest.fixture
def stored(tmp_path):
    """A function that stores rows and gives the path."""

    def store(rows, name="merged.json"):
        path = tmp_path / name
        if path.suffix == ".parquet":
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        else:
            path.write_text(json.dumps({"rows": rows}))
        return path

    return store


@pytest.mark.parametrize("kind", kinds.kinds())
def test_every_kind_draws_its_points(kind, stored, tmp_path, capsys):
    path = stored(fake_rows.rows(temperatures=(0.5, 1.0), seeds=(0, 1)), "merged.parquet")
    figure = tmp_path / "figure.png"
    assert (
        main(
            [
                "plot",
                str(path),
                "--kind",
                kind,
                "--figure",
                str(figure),
                "--json",
                str(tmp_path / "points.json"),
            ]
        )
        == 0
    )
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "points.json").read_text())["kind"] == kind
    assert "recursive_rejection" in capsys.readouterr().out


def test_means_pool_seeds_and_their_errors():
    rows = fake_rows.rows(ns=(2,), seeds=(0, 1))
    mine = [row for row in rows if row["rule"] == "kseq"]
    (point,) = [point for point in gap.points(rows) if point["rule"] == "kseq"]
    assert point["value"] == pytest.approx(np.mean([row["gap"] for row in mine]), abs=1e-12)
    assert point["error"] == pytest.approx(
        np.sqrt(sum(row["gap_se"] ** 2 for row in mine)) / 2, abs=1e-12
    )


def test_the_optimum_is_drawn_once_above_the_rules():
    rows = fake_rows.rows(seeds=(0, 1))
    points = acceptance.points(rows)
    assert len(points) == 2 * (len(fake_rows.LOSS) + 1)
    best = {point["n"]: point["value"] for point in points if point["rule"].startswith("alpha*")}
    assert all(point["value"] <= best[point["n"]] + 1e-12 for point in points)
    assert best[1] == pytest.approx(np.mean([row["alpha_star"] for row in rows if row["n"] == 1]))


def test_the_budget_is_the_drafted_nodes():
    (row, *_) = fake_rows.rows(ns=(2,))
    points = efficiency.points(
        [{**row, "tree": tree} for tree in ("star:3", "chain:2", "full:2,2", "beam:4x3")]
    )
    assert {(point["rule"], point["budget"]) for point in points} == {
        ("kseq", 3),
        ("kseq on a chain", 2),
        ("kseq on a full", 6),
        ("kseq on a beam", 12),
    }


def test_the_phase_diagram_shows_the_share_of_the_optimum():
    rows = fake_rows.rows(temperatures=(0.5, 1.0))
    (row,) = [
        row for row in rows if (row["rule"], row["n"], row["temperature"]) == ("kseq", 2, 0.5)
    ]
    (point,) = [
        p for p in phase.points(rows) if (p["rule"], p["n"], p["temperature"]) == ("kseq", 2, 0.5)
    ]
    assert point["share"] == pytest.approx(row["acceptance"] / row["alpha_star"])
    assert phase.points(fake_rows.rows()) == []


class TestDifferences:
    """Paired, by context, against the best rule."""

    def test_the_difference_is_paired(self):
        points = {
            point["rule"]: point
            for point in differences.points(fake_rows.rows(ns=(2,), seeds=(0, 1)))
        }
        assert points.keys() == {"kseq", "recursive_rejection"}
        for rule, point in points.items():
            assert point["best"] == "optimal"
            assert point["low"] < point["value"] < point["high"] < 0
            assert point["value"] == pytest.approx(-fake_rows.LOSS[rule], abs=0.02)
            assert point["units"] == 80
        # unpaired, the spread of the contexts alone, .09, would make it six times as wide
        assert points["kseq"]["high"] - points["kseq"]["low"] < 0.02

    def test_the_interval_covers(self):
        """Of 120 intervals 103 hold the truth: fails by chance with probability 3e-5 at 95 %; of
        intervals of 80 % it passes 6 in 100.
        """
        points = [differences.points(fake_rows.rows(ns=(2,), seeds=(seed,))) for seed in range(120)]
        found = [point for three in points for point in three if point["rule"] == "kseq"]
        assert (
            sum(point["low"] <= -fake_rows.LOSS["kseq"] <= point["high"] for point in found) >= 103
        )

    def test_units_of_larger_weight_count_more(self):
        units = [
            {"weights": [1.0, 3.0], "acceptance_values": values} for values in ([0, 0.5], [1, 1])
        ]
        (point,) = differences.points(
            [row | own for row, own in zip(fake_rows.rows(ns=(2,)), units, strict=False)]
        )
        assert point["value"] == pytest.approx(0.375 - 1)

    def test_rows_of_compare_have_prompts_as_units(self):
        by_prompt = {
            "nodes": [4, 2, 6],
            "acceptance": [0.5, 0.7, 0.6],
            "alpha_star": [0.9, 0.9, 0.9],
        }
        row = {
            "pair": "bytes",
            "scheme": "iid",
            "n": 2,
            "tree": "star:2",
            "acceptance_law_mass": 0.58,
            "acceptance_law_mass_se": 0.1,
        }
        rows = [
            row | {"rule": "a", "by_prompt": by_prompt},
            row | {"rule": "b", "by_prompt": by_prompt | {"acceptance": [0.6, 0.9, 0.6]}},
        ]
        (point,) = differences.points(stored_rows.measured(rows))
        assert (point["units"], point["best"]) == (3, "b")
        assert point["value"] == pytest.approx(-(4 * 0.1 + 2 * 0.2) / 12)

    def test_rules_that_do_the_same_differ_by_nothing(self):
        first, second, _ = fake_rows.rows(ns=(2,))
        (point,) = differences.points(
            [first, second | {"acceptance_values": first["acceptance_values"]}]
        )
        assert point["low"] == point["value"] == point["high"] == 0


def test_rows_are_chosen(stored):
    path = stored(fake_rows.rows(temperatures=(0.5, 1.0), families=("zipf", "dirichlet")))
    points = plot.run(plot.Config(path, "gap", ("family=zipf", "temperature=0.5")))["points"]
    assert {point["setting"] for point in points} == {
        "zipf(exponent=1.1), V = 32, temperature 0.5, top-p 1"
    }


def test_rows_are_chosen_by_lists_in_which_a_value_may_hold_commas():
    rows = [
        {"tree": tree, "n": n}
        for tree in ("full:2", "full:2,2", "full:2,1", "star:2")
        for n in (1, 2, 4)
    ]
    cases = {
        "full:2,2": {"full:2,2"},
        "full:2,full:2,1": {"full:2", "full:2,1"},
        "star:2,full:2,2": {"star:2", "full:2,2"},
    }
    for condition, kept in cases.items():
        assert {
            row["tree"] for row in stored_rows.chosen(rows, (f"tree={condition}", "n=1,4"))
        } == kept
    assert {row["n"] for row in stored_rows.chosen(rows, ("n=1,4",))} == {1, 4}
    with pytest.raises(ValueError, match="no row has n=1,3; there are 1, 2, 4"):
        stored_rows.chosen(rows, ("n=1,3",))


def test_it_says_which_columns_vary(stored, capsys):
    path = stored(fake_rows.rows(temperatures=(0.5, 1.0), seeds=(0, 1)))
    assert main(["plot", str(path), "--kind", "gap"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "what varies: temperature = 0.5, 1; rule = kseq, optimal, recursive_rejection; n = 1, 2; "
        "tree = star:1, star:2; seed = 0, 1" in said
    )


def test_a_rule_has_one_colour_in_every_figure():
    names = (*rules.names(), *verifiers.names())
    assert len({style.colour(name) for name in names}) == len(names)
    assert style.colour("top_down:kseq") == style.colour("kseq")
    rows = [row for row in fake_rows.rows() if row["rule"] != "kseq"]
    for kind in (acceptance, gap, efficiency, differences):
        for held in (rows, fake_rows.rows()):
            lines = [line for axes in kind.draw(kind.points(held)).axes for line in axes.containers]
            found = {line.get_label(): to_hex(line.lines[0].get_color()) for line in lines}
            assert "recursive_rejection" in found
            assert all(
                colour == style.colour(name) for name, colour in found.items() if name in names
            )


def wrong(folder, stored):
    """Arguments that must be refused."""
    merged, one = (
        str(stored(fake_rows.rows(temperatures=np.linspace(0.1, 1, 7)))),
        str(stored(fake_rows.rows(), "one.json")),
    )
    broken = [
        folder / "text.parquet",
        folder / "text.json",
        folder / "none.json",
        folder / "odd.json",
        folder / "other.json",
    ]
    texts = "no table", "{", '{"rows": []}', '{"rows": [1]}', '{"rows": [{"a": 1}]}'
    for path, text in zip(broken, texts, strict=True):
        path.write_text(text)
    yield from (
        [command, str(path)]
        for path in [*broken, folder / "nowhere.json", folder]
        for command in ("plot", "report")
    )
    yield ["plot", one, "--kind", "pie"]
    yield ["plot", one, "--kind", "phase"]
    yield ["plot", merged]
    yield from (
        ["plot", one, "--where", condition]
        for condition in ("family", "colour=red", "family=pareto")
    )
    yield ["report", one, "--out", str(folder)]
    yield ["report", one, "--out", f"{one}/page.html"]


def test_wrong_input_is_one_line_and_exit_code_2(tmp_path, stored, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cases = list(wrong(tmp_path, stored))
    before = sorted(tmp_path.rglob("*"))
    for arguments in cases:
        assert main(arguments) == 2, arguments
        out, err = capsys.readouterr()
        assert (out, len(err.splitlines())) == ("", 1), (arguments, err)
        assert sorted(tmp_path.rglob("*")) == before
