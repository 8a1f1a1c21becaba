"""The version of the code behind a number: a hash of the sources that could change it."""

import ast
import functools
import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIGITS = 16


@functools.cache
def version(module: str) -> str:
    """Changes with any file of specjax, weights included, and with any file outside it that
    `module` imports, directly or not.

    Figures, tables and other experiments may change without it.
    """
    files = {
        path
        for path in (ROOT / "specjax").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    digest = hashlib.sha256()
    for path in sorted(files | _behind(module)):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(ROOT).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:DIGITS]


def _behind(module: str) -> set[Path]:
    """The files of this module and of all that it imports from `experiments` and `theory`."""
    seen: set[Path] = set()
    left = {module}
    while left:
        path = _file(left.pop())
        if path and path not in seen:
            seen.add(path)
            left |= _imported(path)
    return seen


def _file(module: str) -> Path | None:
    """Where a module of this repository lies; None for all others and for specjax, which counts as
    a whole.
    """
    base = ROOT / module.replace(".", "/")
    found = [path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()]
    return found[0] if found and module.partition(".")[0] in ("experiments", "theory") else None


def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found
