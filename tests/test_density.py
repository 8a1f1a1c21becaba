"""How much a line of code may hold."""

import ast

import pytest

from tests import print_density
from tests.helpers.places import ROOT

MOST = {  # syntax nodes a line of code
    "specjax/solvers": 7,
    "specjax/bounds": 7,
    "specjax": 6,
    "theory": 6,
    "experiments": 6,
}
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FILES = [
    path for room in ("specjax", "theory", "experiments") for path in (ROOT / room).rglob("*.py")
]


@pytest.mark.parametrize("room", MOST)
def test_a_line_holds_no_more_than_a_reader_takes_in(room):
    assert print_density.density(ROOT / room) <= MOST[room]


def test_a_dense_line_is_counted(tmp_path):
    (tmp_path / "dense.py").write_text("x = f(a[b], {c: d for c, d in e.items()})\n")
    assert print_density.density(tmp_path) > max(MOST.values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_statement_says_one_thing(path):
    assert faults(path.read_text()) == []


def test_faults_are_found():
    text = (
        "def f(a: int, b: int, c: int, d: int, e: int) -> int: ...\n"
        "x = [[b for b in a] for a in c]\n"
        "y, z = (f(a) for a in c)\n"
    )
    assert [line for line, _ in faults(text)] == [1, 2, 3]


def faults(text: str) -> list[tuple[int, str]]:
    """The lines of statements with several comprehensions, of tuples unpacked from a generator, and
    of long signatures in one line.
    """
    statements = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.stmt)]
    found = [(node.lineno, fault(node)) for node in statements]
    return sorted((line, words) for line, words in found if words)


def fault(statement: ast.stmt) -> str:
    if sum(isinstance(node, COMPREHENSIONS) for node in within(statement)) > 1:
        return "more than one comprehension"
    if isinstance(statement, ast.Assign):
        unpacked = isinstance(statement.targets[0], ast.Tuple)
        if unpacked and isinstance(statement.value, ast.GeneratorExp):
            return "a tuple unpacked from a generator"
    if isinstance(statement, ast.FunctionDef):
        arguments = statement.args
        names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        own = [name for name in names if name.arg not in ("self", "cls")]
        if len(own) >= 5 and len({name.lineno for name in own}) < len(own):
            return "five parameters or more, not one a line"
    return ""


def within(statement: ast.stmt) -> list[ast.AST]:
    """The nodes of a statement, without those of the statements in it."""
    found: list[ast.AST] = []
    waiting = list(ast.iter_child_nodes(statement))
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.stmt):
            found.append(node)
            waiting += ast.iter_child_nodes(node)
    return found
