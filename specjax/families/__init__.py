"""Synthetic pairs of laws with a known answer, one family in each file.

A file that is dropped into this folder is available everywhere.
"""

import inspect

from specjax._registry import Registry
from specjax.families._base import Family, Laws, register
from specjax.families.dirichlet import Dirichlet
from specjax.families.log_normal import LogNormal
from specjax.families.markov import Markov
from specjax.families.temperature import Temperature
from specjax.families.zipf import Zipf

FAMILIES: Registry[Family] = Registry(__name__, "family", "sample")
names, get, all = FAMILIES.names, FAMILIES.get, FAMILIES.all


def parse(text: str) -> Family:
    """The family written as `NAME` or `NAME:parameter=value,..`.

    Parameters that are not given keep their defaults.

    Args:
      text: the name of a family, with or without values for its parameters.

    Returns:
      The family.

    Raises:
      ValueError: the family or a parameter does not exist, or a value is out of its range.

    Example:
      >>> from specjax import families
      >>> families.parse("zipf:shift=4")
      Zipf(exponent=1.1, shift=4, chance=0.5)
    """
    name, _, given = text.partition(":")
    make = get(name)
    fields = inspect.signature(make).parameters.values()
    kinds: dict[str, type] = {item.name: type(item.default) for item in fields}
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
    """All parameters of a family, in the format that `parse` reads.

    Args:
      family: any family.

    Returns:
      The text `parameter=value,..`.

    Example:
      >>> from specjax import families
      >>> families.parameters(families.Markov())
      'spread=2.0,distance=0.3'
    """
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
