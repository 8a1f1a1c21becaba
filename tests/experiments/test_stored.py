"""Stored figures come from the rows beside them, and one command makes each again."""

import copy
import dataclasses
import json
import re
import shlex

import pytest
from matplotlib.testing.compare import compare_images

from experiments import plot
from experiments.__main__ import _parse
from experiments.figures import origins
from tests.helpers.places import ROOT

FIGURES = sorted(origins.RESULTS.glob("*.png"))
README = (ROOT / "README.md").read_text()
TOLERANCE = 3.0  # root mean square of 255: what another release of the drawing library may move
by_name = pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)


def redrawn(content, path, tmp_path):
    """How far the figure of these rows is from the stored one; None if not at all."""
    drawn = tmp_path / path.name
    plot.plot(content).savefig(drawn)
    return compare_images(str(path), str(drawn), TOLERANCE)


@by_name
def test_a_stored_figure_is_drawn_from_its_rows(path, tmp_path):
    assert redrawn(plot.run(plot.Config(path.with_suffix(".json"))), path, tmp_path) is None


def test_other_rows_draw_another_figure(tmp_path):
    path = origins.RESULTS / "compare-bytes.png"
    content = copy.deepcopy(plot.run(plot.Config(path.with_suffix(".json"))))
    for row in content["rows"]:
        if row["rule"] == "naive_membership":
            row["acceptance_law_mass"] += 0.1
    assert redrawn(content, path, tmp_path) is not None


@by_name
def test_its_command_asks_for_the_stored_configuration(path):
    content = json.loads(path.with_suffix(".json").read_text())
    specjax, name, *arguments = shlex.split(origins.command(content))
    module = origins.origin(content)
    assert (specjax, f"experiments.{name}") == ("specjax", module.__name__)
    options = _parse(module, name, None, arguments)
    asked = {
        field.name: getattr(options, field.name) for field in dataclasses.fields(module.Config)
    }
    assert (
        json.loads(json.dumps(asked, default=str)).items()
        >= content["provenance"]["config"].items()
    )


def test_readme_shows_figures_that_have_rows():
    shown = set(re.findall(r"experiments/results/([\w-]+)\.png", README))
    assert set() != shown <= {path.stem for path in FIGURES}


def test_rows_of_no_experiment_have_no_command():
    with pytest.raises(ValueError, match="provenance"):
        origins.command({"rows": [{"rule": "kseq"}]})
