"""Synthetic laws of target and draft with a known answer, one family per file; a file dropped in
here is a family everywhere.
"""

from specjax._registry import Registry, parts
from specjax.families._base import Family, Laws, register
from specjax.families.dirichlet import Dirichlet
from specjax.families.log_normal import LogNormal
from specjax.families.markov import Markov
from specjax.families.temperature import Temperature
from specjax.families.zipf import Zipf

FAMILIES: Registry[Family] = Registry(__name__, "family", "sample")
names, get, all = FAMILIES.names, FAMILIES.get, FAMILIES.all


def parse(text: str) -> Family:
    """The family written as `NAME` or `NAME:parameter=value,..`; what is not given keeps its
    default.

    Raises:
      ValueError: there is no such family or parameter, or a value is out of its range.
    """
    name, _, given = text.partition(":")
    make = get(name)
    kinds: dict[str, type] = {field.name: type(field.default) for field in parts(make)}
    values = {}
    for part in given.split(",") if given else ():
        parameter, _, value = part.partition("=")
        if parameter not in kinds:
            raise ValueError(
                f"family {name}: unknown parameter {parameter!r}, expected some of "
                f"{', '.join(kinds)}"
            )
        try:
            values[parameter] = kinds[parameter](value)
        except ValueError:
            raise ValueError(
                f"family {name}: {parameter}: expected {kinds[parameter].__name__}, got {value!r}"
            ) from None
    return make(**values)


def parameters(family: Family) -> str:
    """All parameters of a family, as `parse` reads them."""
    return ",".join(f"{name}={value}" for name, value in vars(family).items())


__all__ = [
    "Dirichlet",
    "Family",
    "Laws",
    "LogNormal",
    "Markov",
    "Temperature",
    "Zipf",
    "all",
    "get",
    "names",
    "parameters",
    "parse",
    "register",
]


def __dir__() -> list[str]:
    return sorted(__all__)
