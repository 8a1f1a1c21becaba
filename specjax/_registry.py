"""How a file becomes a rule, a scheme, a verifier or a pair: by lying in its folder, or by its
path.
"""

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
from typing import Generic, TypeVar, cast, dataclass_transform

import jax

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def register(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass and a pytree (numeric fields are traced leaves), named after
    its file.
    """
    cls = dataclasses.dataclass(frozen=True)(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]

    def flatten(value: T) -> tuple[list[object], tuple[object, ...]]:
        held = vars(value)
        # The class is part of the structure. `register_dataclass` leaves it out of the comparison
        # (seen in jax 0.10.2): two rules with equal fields then compare equal, and once in some
        # hundred calls jit runs the program of the wrong one.
        static = tuple(held[field.name] for field in fields if field.metadata.get("static"))
        return [held[field.name] for field in fields if not field.metadata.get("static")], (
            cls,
            *static,
        )

    def unflatten(structure: tuple[object, ...], leaves: Iterable[object]) -> T:
        value = object.__new__(cls)
        parts = iter(leaves)
        static = iter(structure[1:])
        vars(value).update(
            {
                field.name: next(static if field.metadata.get("static") else parts)
                for field in fields
            }
        )
        return value

    jax.tree_util.register_pytree_node(cls, flatten, unflatten)
    module = cls.__module__.rpartition(".")[2]
    snake_case = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
    setattr(cls, "name", snake_case if module == "__main__" else module)  # noqa: B010 (mypy knows no such attribute of T)
    return cls


class Registry(Generic[T]):
    """The registered classes of a package, one a file: a file dropped into its folder is one of
    them.

    Attributes:
      kind: what an error calls them.
      files: whether `get` takes the path of a file like those of the package.
      mark: the attribute by which a class is told to be one, so that a stranger's need not be
        derived from the package's base.
    """

    def __init__(
        self,
        package: str,
        kind: str,
        mark: str,
        files: bool = False,
    ) -> None:
        self.kind, self.mark, self.files = kind, mark, files
        self._classes: dict[str, type[T]] = {
            name: self.of(module) for name, module in discover(package).items()
        }

    def names(self) -> tuple[str, ...]:
        """The names of all, sorted: the names of their files."""
        return tuple(self._classes)

    def all(self) -> tuple[type[T], ...]:
        """All classes, by name."""
        return tuple(self._classes.values())

    def get(self, name: str) -> type[T]:
        """The class called `name`, or the one in the Python file at that path.

        Raises:
          ValueError: there is no such class or file.
        """
        if self.files and name not in self._classes and name.endswith(".py"):
            return self.of(load_file(name))
        expected = "a path to a .py file or one of" if self.files else "one of"
        return find(self._classes, self.kind, name, expected)

    def of(self, module: ModuleType) -> type[T]:
        """The one class that a module defines.

        Raises:
          ValueError: there is none, or more than one, or it lacks a part of what it derives from.
        """
        found = self._found(module)
        if len(found) != 1:
            raise ValueError(
                f"{module.__file__}: expected one registered class with '{self.mark}', got "
                f"{len(found)}"
            )
        if lacking := sorted(getattr(found[0], "__abstractmethods__", ())):
            raise ValueError(f"{module.__file__}: {found[0].__name__} lacks {', '.join(lacking)}")
        return found[0]

    def defined_in(self, module: ModuleType) -> bool:
        """Whether a module defines one."""
        return bool(self._found(module))

    def _found(self, module: ModuleType) -> list[type[T]]:
        classes = [
            c
            for _, c in inspect.getmembers(module, inspect.isclass)
            if c.__module__ == module.__name__
        ]
        return [
            cast("type[T]", c) for c in classes if hasattr(c, self.mark) and vars(c).get("name")
        ]


def parts(cls: type) -> tuple[dataclasses.Field, ...]:
    """The fields of a registered class."""
    return dataclasses.fields(cls)


def discover(package: str) -> dict[str, ModuleType]:
    """Import every public module of a package: name -> module, sorted. Files that begin with `_`
    are not public.
    """
    return {
        name: importlib.import_module(f"{package}.{name}")
        for name in public(importlib.import_module(package).__path__)
    }


def public(path: Iterable[str]) -> tuple[str, ...]:
    """The names of the public modules in folders, sorted."""
    return tuple(
        sorted(
            module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_")
        )
    )


def find(
    held: Mapping[str, T],
    what: str,
    name: str,
    expected: str = "one of",
) -> T:
    """What is held under a name.

    Raises:
      ValueError: nothing is.
    """
    if name not in held:
        raise ValueError(f"unknown {what} {name!r}: expected {expected} {', '.join(held)}")
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
