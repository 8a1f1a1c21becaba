"""README shows what the stored rows hold, and the stored rows hold together."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from experiments import compare

ROOT = Path(__file__).parents[1]
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


def test_readme_shows_the_stored_table():
    content = json.loads((ROOT / "experiments" / "results" / "compare-bytes.json").read_text())
    readme = (ROOT / "README.md").read_text()
    assert f"```\n{as_printed(content)}\n```" in readme, "put into README what `specjax compare` prints of the stored rows"
