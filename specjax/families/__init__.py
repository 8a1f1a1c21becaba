"""Synthetic laws of target and draft with a known answer, one family per file; a file dropped in here is a family everywhere."""

import dataclasses

from specjax._registry import discover, find, registered
from specjax.families._base import Family, Laws, register

_CLASSES = {name: registered(module, "sample") for name, module in discover(__name__).items()}


def names() -> tuple[str, ...]:
    """The names of all families, sorted: the names of their files."""
    return tuple(_CLASSES)


def parse(text: str) -> Family:
    """The family written as `NAME` or `NAME:parameter=value,..`; what is not given keeps its default.

    Raises:
      ValueError: there is no such family or parameter, or a value is out of its range.
    """
    name, _, given = text.partition(":")
    make = find(_CLASSES, "family", name)
    kinds: dict[str, type] = {field.name: type(field.default) for field in dataclasses.fields(make)}
    values = {}
    for part in given.split(",") if given else ():
        parameter, _, value = part.partition("=")
        if parameter not in kinds:
            raise ValueError(f"family {name}: unknown parameter {parameter!r}, expected some of {', '.join(kinds)}")
        try:
            values[parameter] = kinds[parameter](value)
        except ValueError:
            raise ValueError(f"family {name}: {parameter}: expected {kinds[parameter].__name__}, got {value!r}") from None
    return make(**values)


def parameters(family: Family) -> str:
    """All parameters of a family, as `parse` reads them."""
    return ",".join(f"{name}={value}" for name, value in vars(family).items())


__all__ = ["Family", "Laws", "names", "parameters", "parse", "register"]
