"""What is shown on a terminal of 80 columns: all of it, in whole words."""

import collections
import io
import json
import re

import pytest
from rich.console import Console

from experiments import plot, rules
from experiments.cli import tables
from experiments.figures import origins
from tests.helpers import fake_rows

WIDE = 1000
CONTENTS = {path.stem: path for path in sorted(origins.RESULTS.glob("*.json"))}


def shown(show, content, width):
    text = io.StringIO()
    show(content, Console(file=text, width=width))
    return text.getvalue()


def words(text):
    """What is written, however it is laid out: words, and figures whole."""
    return collections.Counter(re.findall(r"[^\s_:,─━]+", text))


def check(show, content):
    narrow, wide = shown(show, content, 80), shown(show, content, WIDE)
    assert max(map(len, narrow.splitlines())) <= 80
    assert "…" not in narrow
    assert not re.search(r"-0\.0*(?![0-9])", narrow)
    assert words(narrow) == words(wide)


@pytest.mark.parametrize("path", CONTENTS.values(), ids=CONTENTS)
def test_stored_rows_are_shown_whole(path):
    content = json.loads(path.read_text())
    check(origins.origin(content).show, content)


def test_the_rules_are_shown_whole():
    check(rules.show, rules.run(rules.Config()))


@pytest.mark.parametrize("kind", ["acceptance", "gap", "differences"])
def test_the_points_of_a_figure_are_shown_whole(kind, tmp_path):
    path = tmp_path / "merged.json"
    path.write_text(json.dumps({"rows": fake_rows.rows()}))
    check(plot.show, plot.run(plot.Config(path, kind)))


def test_a_cut_and_a_broken_word_are_caught():
    def breaks(content, console):
        console.print("recursive_rejection" if console.width == WIDE else content)

    for content in ("recursive_reject…", "recursive_rejec\ntion"):
        with pytest.raises(AssertionError):
            check(breaks, content)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.234, 0.0056, "1.2340(56)"),
        (0.5, 0.0123, "0.500(12)"),
        (0.5, 0.00996, "0.500(10)"),
        (-1e-9, 0.0, "0.0000(0)"),
        (12.3, 3.4, "12.3(34)"),
        (123.0, 34.0, "123(34)"),
        (None, None, "-"),
        (0.25, float("nan"), "0.2500"),
    ],
)
def test_a_figure_and_its_standard_error(value, error, text):
    assert tables.with_error(value, error) == text


def test_an_interval_is_written_as_one():
    assert tables.interval(-1e-9, 0.5, 3, "+") == "+0.000 to +0.500"
