"""How a file becomes a rule, a scheme, a verifier or a pair: by lying in its folder, or by its path."""

import dataclasses
import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TypeVar, dataclass_transform

import jax

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def register(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass and a pytree (numeric fields are traced leaves), named after its file."""
    cls = dataclasses.dataclass(frozen=True)(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]

    def flatten(value: T) -> tuple[list[object], tuple[object, ...]]:
        held = vars(value)
        # The class is part of the structure. `register_dataclass` leaves it out of the comparison (seen in jax 0.10.2): two rules with
        # equal fields then compare equal, and once in some hundred calls jit runs the program of the wrong one.
        static = tuple(held[field.name] for field in fields if field.metadata.get("static"))
        return [held[field.name] for field in fields if not field.metadata.get("static")], (cls, *static)

    def unflatten(structure: tuple[object, ...], leaves: Iterable[object]) -> T:
        value, parts, static = object.__new__(cls), iter(leaves), iter(structure[1:])
        vars(value).update({field.name: next(static if field.metadata.get("static") else parts) for field in fields})
        return value

    jax.tree_util.register_pytree_node(cls, flatten, unflatten)
    module = cls.__module__.rpartition(".")[2]
    snake_case = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
    setattr(cls, "name", snake_case if module == "__main__" else module)  # noqa: B010 (mypy knows no such attribute of T)
    return cls


def discover(package: str) -> dict[str, ModuleType]:
    """Import every public module of a package: name -> module, sorted. Files that begin with `_` are not public."""
    path = importlib.import_module(package).__path__
    names = sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_"))
    return {name: importlib.import_module(f"{package}.{name}") for name in names}


def find(held: Mapping[str, T], what: str, name: str) -> T:
    """What is held under a name.

    Raises:
      ValueError: nothing is.
    """
    if name not in held:
        raise ValueError(f"unknown {what} {name!r}: expected one of {', '.join(held)}")
    return held[name]


def load_file(path: str | Path) -> ModuleType:
    """Import a Python file from anywhere under the name of its stem.

    Raises:
      ValueError: the file cannot be read or does not import; the reason is in the message.
    """
    path = Path(path)
    name = f"specjax_file.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ValueError(f"{path}: no such Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ValueError(f"{path}: does not import: {type(error).__name__}: {error}") from error
    return module


def find_or_load(held: Mapping[str, type], what: str, name: str, mark: str) -> type:
    """The class held under a name, or the one with the attribute `mark` in the Python file at that path.

    Raises:
      ValueError: there is no such class or file.
    """
    if name not in held and name.endswith(".py"):
        return registered(load_file(name), mark)
    if name not in held:
        raise ValueError(f"unknown {what} {name!r}: expected a path to a .py file or one of {', '.join(held)}")
    return held[name]


def registered(module: ModuleType, mark: str) -> type:
    """The one class that `module` defines and that has the attribute `mark` (e.g. "claims" for a rule).

    Raises:
      ValueError: there is none, or more than one.
    """
    found = _marked(module, mark)
    if len(found) != 1:
        raise ValueError(f"{module.__file__}: expected one registered class with '{mark}', got {len(found)}")
    return found[0]


def defines(module: ModuleType, mark: str) -> bool:
    """Whether `module` defines a registered class that has the attribute `mark`."""
    return bool(_marked(module, mark))


def _marked(module: ModuleType, mark: str) -> list[type]:
    classes = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
    return [c for c in classes if hasattr(c, mark) and hasattr(c, "name")]
