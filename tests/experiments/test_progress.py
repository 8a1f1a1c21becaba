"""Who waits is told, also where there is no terminal."""

import re
import time

import pytest

from experiments import compare
from experiments.cli import console, pool
from experiments.decoding import comparison


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(console, "EVERY", 0.05)


@pytest.mark.usefixtures("hasty")
def test_programs_say_how_many_are_done_and_the_last_one(capsys):
    def work(task):
        time.sleep(0.1 * task)
        return task

    assert pool.run(work, [5, 1], "a pair", lambda result: f"row {result}") == [5, 1]
    first, *lines = capsys.readouterr().err.splitlines()
    assert first.startswith("specjax: a pair: 2 programs, up to 1 min on ")
    assert re.fullmatch(r"specjax: a pair: programs: 0 of 2 done, \d s", lines[0])
    assert any(
        re.fullmatch(r"specjax: a pair: programs: 1 of 2 done, \d s; row 1", line) for line in lines
    )


@pytest.mark.usefixtures("hasty")
def test_items_are_counted_and_the_lines_end_with_them(capsys):
    for _ in console.track("ab", "letters"):
        time.sleep(0.08)
    said = capsys.readouterr().err
    assert "specjax: letters: 1 of 2 done" in said
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_an_error_stops_what_has_not_begun():
    begun = []

    def work(task):
        begun.append(task)
        time.sleep(0.02)  # 500 of them take longer than a refusal does
        raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        pool.run(work, list(range(500)), "a pair", str)
    assert len(begun) < 500


def test_rows_keep_the_order_of_the_trees_whichever_program_is_first(monkeypatch):
    monkeypatch.setattr(comparison, "measure", lambda *arguments: None)

    def row(plan, cell, *_):
        return {"tree": cell.tree, "rule": "", "scheme": cell.scheme, "block_efficiency": 1}

    monkeypatch.setattr(comparison, "_row", row)
    rows = compare.run(
        compare.Config(pair="markov", rules=("kseq", "recursive_rejection", "greedy"), n=(1, 2))
    )["rows"]
    assert [(row["tree"], row["scheme"]) for row in rows] == [
        (f"star:{n}", scheme) for n in (1, 2) for scheme in ("iid", "iid", "greedy")
    ]
