"""README shows what the stored rows hold, and the stored rows hold together."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from experiments import compare

ROOT = Path(__file__).parents[1]
README = " ".join((ROOT / "README.md").read_text().split())
STORED = sorted((ROOT / "experiments" / "results").glob("compare-*.json"))


def as_printed(content):
    text = io.StringIO()
    compare.show(content, Console(file=text, width=110))
    return "\n".join(line.rstrip() for line in text.getvalue().strip("\n").splitlines())


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_every_stored_rule_was_consistent(path):
    content = json.loads(path.read_text())
    assert all(row["consistent"] for row in content["rows"])
    assert {"revision", "jax", "backend", "dtype", "config"} <= content["provenance"].keys()
    compare.plot(content)


def stored(name):
    return json.loads((ROOT / "experiments" / "results" / f"{name}.json").read_text())["rows"]


def test_readme_quotes_the_stored_worst_ratios():
    rows = [row for row in stored("worst_ratio") if row["rule"] == "kseq"]
    worst = [min(row["ratio"] for row in rows if row["n"] == n) for n in (2, 3, 4, 8)]
    assert "K-SEQ keeps {}, {}, {} and {} of it for 2, 3, 4 and 8 drafts".format(*(f"{x:.4f}"[1:] for x in worst)) in README


def test_readme_quotes_the_stored_best_temperatures():
    rows = [row for row in stored("best_draft-smollm2") if (row["study"], row["scheme"]) == ("temperature", "iid")]
    one, eight = (max((row for row in rows if row["n"] == n), key=lambda row: row["alpha_star"])["value"] for n in (1, 8))
    assert f"drawn at temperature {one:g} when there is one, and at {eight:g} when there are eight" in README


def test_readme_shows_the_stored_table():
    content = json.loads((ROOT / "experiments" / "results" / "compare-bytes.json").read_text())
    readme = (ROOT / "README.md").read_text()
    assert f"```\n{as_printed(content)}\n```" in readme, "put into README what `specjax compare` prints of the stored rows"
