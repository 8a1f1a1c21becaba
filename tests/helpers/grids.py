"""What the tests of sweeps share: a small grid, and the command line in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.helpers.places import ROOT

GRID = """
[[grid]]
family = ["markov", "zipf"]
vocabulary = 16
rule = ["recursive_rejection", "naive_first"]
n = 2
seed = [SEEDS]
contexts = 4
"""


def grid(path: Path, seeds: int) -> Path:
    """A file that spells out four cells a seed."""
    path.write_text(GRID.replace("SEEDS", ", ".join(map(str, range(seeds)))))
    return path


def environment(**more: str) -> dict[str, str]:
    return (
        os.environ
        | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        | more
    )


def start(*arguments: object, **more: str) -> subprocess.Popen:
    """`specjax ...` in a process of its own."""
    line = [sys.executable, "-m", "experiments", *map(str, arguments)]
    return subprocess.Popen(
        line, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
