"""Where numbers come from: which command was asked what, by which code, on what."""

import dataclasses
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from experiments.cli.rows import Record
from specjax.models import pairs

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def provenance(config: "DataclassInstance") -> Record:
    """The command that asked, its configuration, the versions, revision, backend and dtype.

    The git revision ends in `+` where files differ from it. It is None outside a checkout.
    """
    return {
        "command": type(config).__module__.rpartition(".")[2],
        "config": {name: _plain(name, value) for name, value in dataclasses.asdict(config).items()},
        "specjax": importlib.metadata.version("specjax"),
        "jax": jax.__version__,
        "python": platform.python_version(),
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "dtype": str(jnp.zeros(()).dtype),
        "revision": _revision(),
    }


def _plain(name: str, value: object) -> object:
    if name == "pair" and isinstance(value, str):
        return pairs.label(value)
    return str(value) if isinstance(value, Path) else value


def _revision() -> str | None:
    describe = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty=+",
        "--abbrev=12",
    ]
    result = subprocess.run(describe, capture_output=True, text=True, check=False)
    return result.stdout.strip() or None
