"""A seed of 64 bits has streams of its own; what is no seed, and what is no option, is named before
anything runs.
"""

import dataclasses
import importlib
import itertools
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.__main__ import commands, main
from experiments.cli import seeds
from experiments.sweeps import grids

SEEDS = (0, 1, -1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, -(2**32), 2**63 - 1, -(2**63))
FOLDER = Path(seeds.__file__).parents[1]
COMMANDS = {name: importlib.import_module(f"experiments.{name}") for name in commands()}
SEEDED = [
    name
    for name, module in COMMANDS.items()
    if any(field.name == "seed" for field in dataclasses.fields(module.Config))
]


@pytest.mark.parametrize("wide", [False, True])
def test_seeds_are_not_confused(wide):
    with jax.enable_x64(wide):
        keys = {seed: jax.random.key_data(seeds.key(seed)).tolist() for seed in SEEDS}
        assert len({tuple(key) for key in keys.values()}) == len(SEEDS)
        assert all(
            keys[seed] == jax.random.key_data(jax.random.key(np.uint32(seed))).tolist()
            for seed in SEEDS
            if 0 <= seed < 2**32
        )
    assert len({seeds.natural(seed) for seed in SEEDS}) == len(SEEDS)
    plain = [jax.random.key_data(jax.random.key(seed)).tolist() for seed in (0, 2**32)]
    assert plain[0] == plain[1], "planted: a plain key drops the upper half"


def test_every_seed_goes_through_one_door():
    made = [
        found
        for file in FOLDER.glob("**/*.py")
        if file.name != "seeds.py"
        for found in re.findall(r"random\.key\((\w*)", file.read_text())
    ]
    assert {"config", "seed"}.isdisjoint(made)
    assert all(word.isdigit() or word.isupper() for word in made)


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1])
@pytest.mark.parametrize("name", SEEDED)
def test_what_has_more_bits_is_refused_by_every_command(name, seed, capsys, monkeypatch):
    module = COMMANDS[name]
    monkeypatch.setattr(module, "run", lambda config: pytest.fail("it ran"))
    needed = [
        field for field in dataclasses.fields(module.Config) if field.default is dataclasses.MISSING
    ]
    required = [
        ("a",) if "Positional" in str(one.type) else (f"--{one.name}", "a") for one in needed
    ]
    assert main([name, *itertools.chain(*required), "--seed", str(seed)]) == 2
    assert capsys.readouterr() == (
        "",
        f"specjax: error: seed: expected a whole number from -2^63 to 2^63 - 1, got {seed}\n",
    )


def test_what_has_more_bits_is_refused_in_a_grid(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(f"[[grid]]\nfamily = ['zipf']\nseed = [0, {2**63 - 1}]\n")
    assert grids.read(path)[0].seed == (0, 2**63 - 1)
    with pytest.raises(ValueError, match="seed: expected"):
        grids._checked(path, grids.Grid(family=("zipf",), seed=(2**63,)))


@pytest.mark.parametrize("name", commands())
def test_an_option_that_there_is_not_is_named(name, capsys):
    assert main([name, "--targt=x"]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith("specjax: error: unknown option --targt=x: expected some of --")
