"""Prints how dense the code is: syntax nodes and lines of each room.

Run `python tests/print_density.py`.

A node is an expression or a statement of the syntax tree; a line counts if it holds code, not a
documentation or a comment.
"""

import ast
import io
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("specjax/solvers", "specjax/bounds", "specjax", "theory", "experiments", "tests")
BLANK = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)


def nodes(text: str) -> int:
    """Expressions and statements."""
    return sum(isinstance(node, ast.expr | ast.stmt) for node in ast.walk(ast.parse(text)))


def code_lines(text: str) -> int:
    """Lines that hold code."""
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in BLANK:
            held |= set(range(token.start[0], token.end[0] + 1))
    return len(held - documentation(text))


def documentation(text: str) -> set[int]:
    """The lines of docstrings."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            found |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return found


def density(room: Path) -> float:
    """Syntax nodes a line of code, over all files of a folder."""
    texts = [path.read_text() for path in room.rglob("*.py")]
    return sum(map(nodes, texts)) / sum(map(code_lines, texts))


def main() -> None:
    """One line for each room."""
    print(f"{'room':16} {'files':>5} {'lines':>6} {'code':>6} {'nodes':>6} {'nodes a line':>12}")
    for room in ROOMS:
        texts = [path.read_text() for path in (ROOT / room).rglob("*.py")]
        lines = sum(len(text.splitlines()) for text in texts)
        code = sum(map(code_lines, texts))
        syntax = sum(map(nodes, texts))
        print(
            f"{room:16} {len(texts):5} {lines:6} {code:6} {syntax:6} {density(ROOT / room):12.2f}"
        )


if __name__ == "__main__":
    main()
