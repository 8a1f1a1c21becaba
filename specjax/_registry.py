"""Registration: a file in a folder, or at a path, becomes a rule, scheme, verifier or pair."""

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
    """Make a class a frozen dataclass and a pytree, and name it after its file.

    Numeric fields become traced leaves. Fields with the metadata `static` become part of the
    structure.
    """
    cls = dataclasses.dataclass(frozen=True)(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    traced = [field.name for field in fields if not field.metadata.get("static")]
    static = [field.name for field in fields if field.metadata.get("static")]

    def flatten(value: T) -> tuple[list[object], tuple[object, ...]]:
        held = vars(value)
        # The class is part of the structure. `register_dataclass` leaves it out of the comparison
        # (seen in jax 0.10.2): two rules with equal fields then compare equal, and once in some
        # hundred calls jit runs the program of the wrong one.
        structure = (cls, *[held[name] for name in static])
        return [held[name] for name in traced], structure

    def unflatten(structure: tuple[object, ...], leaves: Iterable[object]) -> T:
        value = object.__new__(cls)
        held = vars(value)
        held.update(zip(traced, leaves, strict=True))
        held.update(zip(static, structure[1:], strict=True))
        return value

    jax.tree_util.register_pytree_node(cls, flatten, unflatten)
    module = cls.__module__.rpartition(".")[2]
    snake_case = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
    setattr(cls, "name", snake_case if module == "__main__" else module)  # noqa: B010 (mypy knows no such attribute of T)
    return cls


class Registry(Generic[T]):
    """The registered classes of a package, one in each file.

    A file that is dropped into the package's folder is registered too.

    Attributes:
      kind: the noun for these classes in error messages.
      files: whether `get` also takes the path of a file like those of the package.
      mark: the attribute that tells such a class from others, so that a stranger's class need not
        derive from the package's base.
    """

    def __init__(self, package: str, kind: str, mark: str, files: bool = False) -> None:
        self.kind, self.mark, self.files = kind, mark, files
        self._classes: dict[str, type[T]] = {
            name: self.of(module) for name, module in discover(package).items()
        }

    def names(self) -> tuple[str, ...]:
        """The names of all classes, sorted; a class has the name of its file."""
        return tuple(self._classes)

    def all(self) -> tuple[type[T], ...]:
        """All classes, sorted by name."""
        return tuple(self._classes.values())

    def get(self, name: str) -> type[T]:
        """The class called `name`, or the class in the Python file at that path.

        Raises:
          ValueError: there is no such class or file.
        """
        if self.files and name not in self._classes and name.endswith(".py"):
            return self.of(load_file(name))
        expected = "a path to a .py file or one of" if self.files else "one of"
        return find(self._classes, self.kind, name, expected)

    def of(self, module: ModuleType) -> type[T]:
        """The one registered class that a module defines.

        Raises:
          ValueError: the module defines none or several, or the class leaves out a method of its
            base.
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
        """Whether a module defines a registered class."""
        return bool(self._found(module))

    def _found(self, module: ModuleType) -> list[type[T]]:
        classes = [c for _, c in inspect.getmembers(module, inspect.isclass)]
        own = [c for c in classes if c.__module__ == module.__name__ and vars(c).get("name")]
        return [cast("type[T]", c) for c in own if hasattr(c, self.mark)]


def discover(package: str) -> dict[str, ModuleType]:
    """Import every public module of a package, and return the modules by name, sorted.

    Files whose names begin with `_` are not public.
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


def find(held: Mapping[str, T], what: str, name: str, expected: str = "one of") -> T:
    """The value held under a name.

    Raises:
      ValueError: there is no such name.
    """
    if name not in held:
        raise ValueError(f"unknown {what} {name!r}: expected {expected} {', '.join(held)}")
    return held[name]


def load_file(path: str | Path) -> ModuleType:
    """Import a Python file from anywhere, under the name of its stem.

    Raises:
      ValueError: the file cannot be read or does not import; the message holds the reason.
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
