"""Rules and verifiers by name: a rule verifies the drafts of one node, a verifier a whole tree of
them.
"""

import inspect
from collections.abc import Callable, Sequence

from specjax import rules, verifiers
from specjax._registry import load_file
from specjax.rules import Rule
from specjax.trees import Topology
from specjax.verifiers import TopDown, Verifier


def usual() -> tuple[str, ...]:
    """The rules that are taken where none is named."""
    return tuple(make.name for make in rules.all() if make.claims.by_default)


def find(name: str) -> type:
    """The class of a rule or verifier, by its name or the path of its Python file.

    Raises:
      ValueError: there is neither.
    """
    if name in rules.names():
        return rules.get(name)
    if name in verifiers.names():
        return verifiers.get(name)
    if not name.endswith(".py"):
        known = ", ".join((*rules.names(), *verifiers.names()))
        raise ValueError(
            f"unknown rule or verifier {name!r}: expected a path to a .py file or one of {known}"
        )
    module = load_file(name)
    return (verifiers.VERIFIERS if verifiers.VERIFIERS.defined_in(module) else rules.RULES).of(
        module
    )


def made(name: str) -> Rule | Verifier:
    """What has this name, ready to decode; VERIFIER:RULE is a verifier with a rule at every node.

    Raises:
      ValueError: there is nothing; a rule holds the plan of one pair; a verifier takes a rule, or
        lacks a part.
    """
    lift, _, of = name.partition(":")
    if of and lift in verifiers.names() and lifts_rules(verifiers.get(lift)):
        rule: Rule = find(of)()
        return verifiers.get(lift)(rule)  # type: ignore[call-arg]
    make = find(name)
    if lifts_rules(make):
        raise ValueError(
            f"{name}: takes a rule to every node; name it {name}:RULE, or the rule itself"
        )
    if not is_verifier(make):
        rules.check_decodes(make)
    verifier: Rule | Verifier = make()
    if is_verifier(make) and not isinstance(verifier, Verifier):
        raise ValueError(
            f"{name}: expected a verifier that decodes, with claims, law, verify and "
            "walk(uniforms, draft, p)"
        )
    return verifier


def alone() -> list[Verifier]:
    """The verifiers that take no rule, by name."""
    return [make() for make in verifiers.all() if not lifts_rules(make)]


def whole() -> list[Verifier]:
    """Of these, those that are taken where none is named."""
    return [one for one in alone() if one.claims.by_default]


def lifted(rule: Rule) -> list[Verifier]:
    """A rule at every node of a tree, by each verifier that takes a rule."""
    makes: list[Callable[[Rule], Verifier]] = [*filter(lifts_rules, verifiers.all())]
    return [make(rule) for make in makes]


def of_whole_trees(chosen: Sequence[Rule]) -> list[Verifier]:
    """The verifiers of whole trees: those that take no rule, and those that take the optimal ones
    of the rules to every node.
    """
    best = [rule for rule in chosen if rule.claims.optimal_for < 0]
    found = [one for rule in best for one in lifted(rule) if not isinstance(one, TopDown)]
    return whole() + found


def covers(verifier: Verifier, scheme: str, topology: Topology) -> bool:
    """Whether a tree lies within a verifier's proof."""
    try:
        verifiers.check_covers(verifier, scheme, topology)
    except ValueError:
        return False
    return True


def label(verifier: Verifier) -> str:
    """The name of a verifier, with its rule's."""
    rule = verifiers.node_rule(verifier)
    return verifier.name if rule is None else f"{verifier.name}:{rule.name}"


def short(verifier: Rule | Verifier) -> str:
    """The same, but a rule that goes from the root down is named alone."""
    if not isinstance(verifier, Verifier):
        return verifier.name
    return label(verifier).removeprefix(f"{TopDown.name}:")


def is_verifier(make: type) -> bool:
    """Whether a class is a verifier's."""
    return hasattr(make, "verify")


def lifts_rules(make: type) -> bool:
    """Whether a class is that of a verifier that takes a rule to every node."""
    return is_verifier(make) and list(inspect.signature(make).parameters) == ["rule"]
