"""Each notebook is a pair of files that say the same, runs, and holds what it shows; `make
notebooks` stores that anew.
"""

import os
import runpy

import pytest

from tests.helpers.places import ROOT

NOTEBOOKS = ROOT / "notebooks"
SCRIPTS = sorted(path for path in NOTEBOOKS.glob("*.py") if path.name not in ("conf.py", "_run.py"))

LARGEST = 250_000  # bytes
LONG = {"couplings", "measured", "sweeps"}  # they run for long what other tests run in short
jupytext = pytest.importorskip("jupytext")


def cells(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_no_notebook_stands_alone():
    assert (
        {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
        == {path.stem for path in SCRIPTS}
        != set()
    )


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_both_files_say_the_same_and_the_second_shows_its_results(path):
    notebook = jupytext.read(path.with_suffix(".ipynb"))
    assert cells(jupytext.read(path)) == cells(notebook), "run: make notebooks"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), (
        "run: make notebooks"
    )
    kinds = [output.output_type for cell in code for output in cell.outputs]
    assert kinds
    assert "error" not in kinds
    assert path.with_suffix(".ipynb").stat().st_size < LARGEST


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.thorough] * (path.stem in LONG)) for path in SCRIPTS],
    ids=lambda path: path.stem,
)
def test_it_runs(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XLA_FLAGS", os.environ.get("XLA_FLAGS", ""))  # one of them sets it
    runpy.run_path(str(path))
    assert capsys.readouterr().out


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_it_is_on_the_first_page(path):
    assert path.stem in (NOTEBOOKS / "index.md").read_text().split()


def test_a_changed_cell_is_caught():
    notebook = jupytext.read(SCRIPTS[0])
    before = cells(notebook)
    notebook.cells[-1].source += "\n1"
    assert cells(notebook) != before
