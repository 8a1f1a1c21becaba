"""Verification rules at one node, one per file; a file dropped in here is a rule everywhere."""

from specjax._registry import discover, load_file, registered
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register

_CLASSES = {name: registered(module, "claims") for name, module in discover(__name__).items()}


def names() -> tuple[str, ...]:
    """The names of all rules, sorted: the names of their files."""
    return tuple(_CLASSES)


def get(name: str) -> type:
    """The rule class called `name`, or the one in the Python file at that path.

    Raises:
      ValueError: there is no such rule or file.
    """
    if name in _CLASSES:
        return _CLASSES[name]
    if name.endswith(".py"):
        return registered(load_file(name), "claims")
    raise ValueError(f"unknown rule {name!r}: expected a path to a .py file or one of {', '.join(_CLASSES)}")


def expected_acceptance(rule: Rule, p: Law, q: Law, n: int, scheme: str) -> Scalar | None:
    """The rule's own exact acceptance, or None where it offers none under this scheme."""
    covered = rule.claims.expectation_under or rule.claims.drafting
    if not hasattr(rule, "expected_acceptance") or scheme not in covered:
        return None
    return rule.expected_acceptance(p, q, n)


def check_decodes(rule: Rule | type[Rule]) -> None:
    """Refuse a rule that serves one pair of laws only where laws change from node to node.

    Raises:
      ValueError: the rule holds the plan of one pair.
    """
    if rule.claims.per_pair:
        raise ValueError(f"rule {rule.name}: holds the plan of one (p, q, n), so it cannot decode; use specjax bound or audit")


def check_scheme(rule: Rule | type[Rule], scheme: str, n: int) -> None:
    """Refuse a rule outside its proof.

    Raises:
      ValueError: the rule's proof does not cover this scheme or this n.
    """
    claims = rule.claims
    if scheme not in claims.drafting:
        raise ValueError(f"rule {rule.name}: its proof covers the schemes {', '.join(sorted(claims.drafting))}, not {scheme}")
    if not claims.admits(n):
        low, high = claims.n_range
        raise ValueError(f"rule {rule.name}: takes n from {low} to {high or 'any'}, got n = {n}")


__all__ = [
    "Claims",
    "Law",
    "Mask",
    "Rule",
    "Scalar",
    "Tokens",
    "check_decodes",
    "check_scheme",
    "expected_acceptance",
    "get",
    "names",
    "register",
]
