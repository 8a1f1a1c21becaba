"""Who may know whom: the arrows between the rooms hold, and the files name nothing outside the
repository.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.places import ROOT

FLOORS = [
    {"_types", "_registry", "_laws", "numerics", "exact_sums"},
    {"bounds"},
    {"solvers", "targets"},
    {"trees", "drafting", "rules", "couplings", "families"},
    {"verifiers"},
    {"models", "drafters"},
    {"decode"},
    {"_generate"},
    {"training", "sharding"},
]
ROOMS = [
    {"cli"},
    {"inputs", "stats"},
    {"enumeration", "decoding"},
    {"audits", "timing"},
    {"ladders", "sweeps"},
    {"figures"},
]
RULE_SEES = {"jax", "jaxtyping", "typing", "abc", "math", "functools", "dataclasses"}
RULE_SEES |= {
    f"specjax.{room}"
    for room in (
        *("_types", "_registry", "numerics", "exact_sums", "bounds", "solvers", "targets"),
        *("rules._base", "rules._one_draft"),
    )
}
TEXTS = [
    path
    for path in ROOT.rglob("*")
    if path.suffix in {".py", ".md", ".toml", ".bib", ".cff", ".yaml", ".yml"}
    and not any(
        part.startswith(".") or part == "node_modules" for part in path.relative_to(ROOT).parts
    )
]


def imports(path: Path) -> set[str]:
    """The modules that a file imports, dotted; `from a import b` names a.b where that is a module
    of this repository.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if is_module(name) else node.module for name in inner}
    return found


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").exists()


def within(name: str, allowed: set[str]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in allowed)


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize(
    "path",
    [p for p in files("specjax/rules") if p.stem not in ("__init__", "_stated")],
    ids=lambda p: p.stem,
)
def test_a_rule_sees_the_ground_floor_only(path):
    allowed = {"specjax._laws", "specjax._types"} if path.stem == "_base" else RULE_SEES
    # the template is written as a stranger would write it
    allowed = allowed | {"specjax.rules"} if path.stem == "_template" else allowed
    assert {name for name in imports(path) if not within(name, allowed)} == set()


@pytest.mark.parametrize("path", files("specjax"), ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_down(path):
    floors = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
    parts = path.relative_to(ROOT / "specjax").with_suffix("").parts
    seen = {name.split(".")[1] for name in imports(path) if name.startswith("specjax.")} - {
        parts[0]
    }
    assert not any(within(name, {"theory", "experiments", "tests"}) for name in imports(path))
    if parts[0] != "__init__":
        assert {room for room in seen if floors[room] > floors[parts[0]]} == set()


@pytest.mark.parametrize("path", files("experiments"), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_command_imports_rooms_and_a_room_lower_rooms(path):
    assert upward(path) == set()


def upward(path: Path) -> set[str]:
    """What a file of `experiments` imports of it beside rooms below its own: a command stands above
    all of them.
    """
    floors = {room: height for height, rooms in enumerate(ROOMS) for room in rooms}
    inner, *rest = path.relative_to(ROOT / "experiments").parts
    height = floors[inner] if rest else len(ROOMS)
    seen = {name.split(".")[1] for name in imports(path) if name.startswith("experiments.")} - {
        inner
    }
    return {name for name in seen if floors.get(name, len(ROOMS)) >= height}


def test_every_file_of_experiments_is_a_command_and_every_folder_a_room():
    folder = ROOT / "experiments"
    assert {path.name for path in files("experiments") if path.name.startswith("_")} == {
        "__init__.py",
        "__main__.py",
    }
    assert {path.parent.name for path in folder.glob("*/__init__.py")} == set().union(*ROOMS)
    for path in folder.glob("[a-z]*.py"):
        assert {"Config", "run", "show"} <= {
            node.name
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.ClassDef | ast.FunctionDef)
        }


def test_an_upward_import_is_caught(monkeypatch, tmp_path):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    for name in ("cli", "stats", "figures"):
        (tmp_path / "experiments" / name).mkdir(parents=True)
    (tmp_path / "experiments" / "compare.py").touch()
    path = tmp_path / "experiments" / "stats" / "means.py"
    path.write_text(
        "from experiments import compare\nfrom experiments.figures import style\nfrom "
        "experiments.cli import tables"
    )
    assert upward(path) == {"compare", "figures"}


def says(path: Path) -> set[str]:
    """The names in a file's code that speak of devices; its texts do not count."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.attr for node in nodes if isinstance(node, ast.Attribute)
    }
    names |= {
        alias.name
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    return {
        name
        for name in names
        if re.search("device|mesh|sharding|pmap|process_", name, re.IGNORECASE)
    }


@pytest.mark.parametrize("path", files("specjax"), ids=lambda p: str(p.relative_to(ROOT)))
def test_one_file_says_device(path):
    assert bool(says(path)) == (path.name == "sharding.py")


@pytest.mark.parametrize("path", files("theory"), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_referee_does_not_play(path):
    assert {
        name for name in imports(path) if within(name, {"jax", "specjax", "experiments"})
    } == set()


def test_importing_theory_loads_no_jax():
    code = "import sys, theory; sys.exit('jax' in sys.modules or 'specjax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_texts_name_nothing_outside():
    """No absolute path of a machine, and no link that climbs out of the repository."""
    outside = re.compile(r"(?<![\w.:/])/(?:home|root|work|tmp|mnt|Users)/\w|\]\(\.\./")
    named = {
        str(path.relative_to(ROOT))
        for path in TEXTS
        if path != Path(__file__) and outside.search(path.read_text("utf-8"))
    }
    assert named == set()


LONGEST = {"specjax": 400, "theory": 400, "experiments": 400, "tests": 500}  # lines


def test_no_file_is_too_long():
    lengths = {
        path.relative_to(ROOT): len(path.read_text("utf-8").splitlines())
        for room in LONGEST
        for path in files(room)
    }
    assert {path for path, length in lengths.items() if length > LONGEST[path.parts[0]]} == set()


def test_a_wrong_import_is_caught(tmp_path):
    path = tmp_path / "rule.py"
    path.write_text(
        "from specjax import models\nimport specjax.decode\nfrom specjax.rules._base import Claims"
    )
    assert {name for name in imports(path) if not within(name, RULE_SEES)} == {
        "specjax.models",
        "specjax.decode",
    }


KEY = re.compile(r"\b[a-z]+20\d\d[a-z][a-z0-9]*\b")


@pytest.mark.parametrize("room", ["specjax", "theory", "experiments"])
def test_what_the_code_cites_is_in_the_bibliography(room):
    known = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "references.bib").read_text(), re.MULTILINE))
    cited = {key: path.name for path in files(room) for key in KEY.findall(path.read_text())}
    assert len(cited) > 1
    assert {key: name for key, name in cited.items() if key not in known} == {}
    assert set(KEY.findall("Source: nobody2026nothing, algorithm 1.")) - known == {
        "nobody2026nothing"
    }
