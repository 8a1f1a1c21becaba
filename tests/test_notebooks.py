"""Each notebook is a pair of files that say the same, and holds no output; `make docs` runs them all."""

from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SCRIPTS = sorted(path for path in NOTEBOOKS.glob("*.py") if path.name != "conf.py")

jupytext = pytest.importorskip("jupytext")


def cells(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_no_notebook_stands_alone():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == {path.stem for path in SCRIPTS} != set()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_both_files_say_the_same_without_output(path):
    notebook = jupytext.read(path.with_suffix(".ipynb"))
    assert cells(jupytext.read(path)) == cells(notebook), "run: jupytext --sync notebooks/*.py"
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_it_is_on_the_first_page(path):
    assert path.stem in (NOTEBOOKS / "index.md").read_text().split()


def test_a_changed_cell_is_caught():
    notebook = jupytext.read(SCRIPTS[0])
    before = cells(notebook)
    notebook.cells[-1].source += "\n1"
    assert cells(notebook) != before
