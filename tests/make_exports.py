"""Writes the classes of every package of files into its __init__: `make exports` after a file was
dropped in or taken out.
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("couplings", "drafting", "families", "rules", "trees/growth", "verifiers")


def classes(folder: Path) -> dict[str, str]:
    """The registered class of each public file, by the file's name."""
    found = {}
    for path in sorted(folder.glob("[!_]*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and any(
                ast.unparse(one) == "register" for one in node.decorator_list
            ):
                found[path.stem] = node.name
    return found


def made(text: str, package: str, held: dict[str, str]) -> str:
    """The text of an __init__ that imports these classes after the package's base, and lists them
    in __all__.
    """
    line = re.compile(
        rf"from {re.escape(package)}\.([a-z]\w*) import (?:\(\s*)?([A-Z]\w*),?(?:\s*\))?\n"
    )
    stale = {name for _, name in line.findall(text)}
    text = line.sub("", text)
    imports = "".join(imported(f"{package}.{file}", name) for file, name in held.items())
    private = list(re.finditer(rf"from {re.escape(package)}\._\w+ import (\([^)]*\)|.*)\n", text))
    end = private[-1].end()
    text = text[:end] + imports + text[end:]
    listed = re.search(r"__all__ = (\[[^\]]*\])", text)
    names = (set(ast.literal_eval(listed[1])) - stale) | set(held.values())
    return (
        text[: listed.start(1)]
        + "[\n"
        + "".join(f'    "{name}",\n' for name in ordered(names))
        + "]"
        + text[listed.end(1) :]
    )


def imported(module: str, name: str) -> str:
    """The import of a class, as the formatter breaks it."""
    line = f"from {module} import {name}\n"
    return line if len(line) <= 101 else f"from {module} import (\n    {name},\n)\n"


def ordered(names: set[str]) -> list[str]:
    """Constants, classes, functions: as the linter sorts them."""
    return sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def stale() -> list[Path]:
    """The files that are not as they would be made."""
    return [path for path, text in all_made().items() if path.read_text() != text]


def all_made() -> dict[Path, str]:
    """Every __init__, as it would be made."""
    found = {}
    for folder in PACKAGES:
        path = ROOT / "specjax" / folder / "__init__.py"
        found[path] = made(
            path.read_text(), f"specjax.{folder.replace('/', '.')}", classes(path.parent)
        )
    return found


if __name__ == "__main__":
    for path, text in all_made().items():
        path.write_text(text)
    sys.exit(0)
