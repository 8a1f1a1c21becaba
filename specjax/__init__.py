"""Rules of speculative sampling as conditional laws, their optimum, and jitted decoding.

`rules`, `optimal_acceptance` and `generate` are the places to start. The package `theory` is the
referee, in float64.
"""

import importlib.metadata

from specjax import bounds, couplings, decode, drafting, families, models, rules, trees, verifiers
from specjax._generate import Generated, generate
from specjax.bounds import Bracket, bracket, optimal_acceptance
from specjax.numerics import Sampling
from specjax.rules import Certificate, Claims, Rule, register
from specjax.verifiers import Verifier

try:
    __version__ = importlib.metadata.version("specjax")
except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"
__all__ = [
    "Bracket",
    "Certificate",
    "Claims",
    "Generated",
    "Rule",
    "Sampling",
    "Verifier",
    "__version__",
    "bounds",
    "bracket",
    "couplings",
    "decode",
    "drafting",
    "families",
    "generate",
    "models",
    "optimal_acceptance",
    "register",
    "rules",
    "trees",
    "verifiers",
]


def __dir__() -> list[str]:
    return sorted(__all__)
