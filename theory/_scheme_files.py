"""Schemes that lie one in a file: the modules by name."""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from types import ModuleType


def load(package: str, folders: Iterable[str]) -> dict[str, ModuleType]:
    """The public modules of a package, sorted by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(folders))
    modules = {}
    for name in names:
        if not name.startswith("_"):
            modules[name] = importlib.import_module(f"{package}.{name}")
    return modules


def find(modules: Mapping[str, ModuleType], kind: str, name: str) -> ModuleType:
    """The module called `name`; a name that is not known is a ValueError."""
    if name not in modules:
        known = ", ".join(modules)
        raise ValueError(f"unknown {kind} {name!r}: expected one of {known}")
    return modules[name]
