"""Couplings of drafts and token without communication, one in each file.

A file that is dropped into this folder is available everywhere.
"""

from specjax._registry import Registry
from specjax.couplings._base import Coupling, register
from specjax.couplings.gumbel import Gumbel
from specjax.couplings.gumbel_list import GumbelList
from specjax.couplings.minhash import Minhash

COUPLINGS: Registry[Coupling] = Registry(__name__, "coupling", "couple")
names, get, all = COUPLINGS.names, COUPLINGS.get, COUPLINGS.all

__all__ = [
    "Coupling",
    "Gumbel",
    "GumbelList",
    "Minhash",
    "all",
    "get",
    "names",
    "register",
]


def __dir__() -> list[str]:
    return sorted(__all__)
