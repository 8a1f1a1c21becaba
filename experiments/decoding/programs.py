"""Which rules and verifiers are measured side by side: one program for each tree and drafting
scheme.
"""

import warnings
from typing import NamedTuple

from experiments.inputs import named_verifiers, scheme_choice
from specjax import decode, drafting, rules
from specjax._types import Claims, Rule
from specjax.trees import TreeDrafting, growth
from specjax.verifiers import Verifier


class Program(NamedTuple):
    """The rules and verifiers of one scheme on one tree."""

    scheme: str
    tree: str
    verifiers: tuple[Rule | Verifier, ...]


class Chosen(NamedTuple):
    """What to compare: rules of one node, verifiers of whole paths."""

    rules: list[Rule]
    verifiers: list[Verifier]


def programs(names: tuple[str, ...], trees: tuple[str, ...]) -> list[Program]:
    """Every named rule and verifier on every tree that it fits; all of both that are usual where
    none is named.

    Raises:
      ValueError: there is no such name or tree; what is named fits none of the trees.
    """
    for tree in trees:
        if next(iter(growth.drawable(tree).values())).topology.height == 0:
            raise ValueError(
                f"tree {tree}: has no drafts to verify; `specjax profile` times plain decoding"
            )
    chosen = _chosen(names)
    found = [program for tree in trees for program in _programs_of(tree, chosen, bool(names))]
    placed = {named_verifiers.short(one) for program in found for one in program.verifiers}
    for rule in chosen.rules if names else ():
        if rule.name not in placed:
            raise ValueError(scheme_choice.refusal(rule, trees))
    for one in chosen.verifiers if names else ():
        name = named_verifiers.short(one)
        if name not in placed and not placed:
            raise ValueError(scheme_choice.refusal(one, trees))
        if name not in placed:
            warnings.warn(f"verifier {name} fits none of {', '.join(trees)}", stacklevel=2)
    return found


def _chosen(names: tuple[str, ...]) -> Chosen:
    """What is named; otherwise the rules that one model can draft for, and all verifiers of whole
    paths.
    """
    if not names:
        makes: list[type[Rule]] = [rules.get(name) for name in named_verifiers.usual()]
        plain = [
            make() for make in makes if not make.claims.per_pair and drafting.first(make.claims)
        ]
        return Chosen(plain, named_verifiers.of_whole_trees(plain))
    found = [named_verifiers.made(name) for name in names]
    plain = [one for one in found if not isinstance(one, Verifier)]
    return Chosen(plain, [one for one in found if isinstance(one, Verifier)])


def _programs_of(tree: str, chosen: Chosen, named: bool) -> list[Program]:
    """Every rule under the first scheme that both it and the tree cover; each verifier beside the
    rules it can join, or on its own.

    On one level nobody sees more than a node rule does: there verifiers are left out unless named.
    """
    drawable = growth.drawable(tree)
    held: dict[str, list[Rule | Verifier]] = {scheme: [] for scheme in drawable}
    for rule in chosen.rules:
        _check_drawn(rule)
        scheme = fitting(rule.claims, drawable)
        if scheme:
            held[scheme].append(rule)
    ruled = [scheme for scheme in held if held[scheme]]
    for one in (
        chosen.verifiers if named or next(iter(drawable.values())).topology.height > 1 else ()
    ):
        covered = [scheme for scheme, drawn in drawable.items() if not _refusal(one, drawn)]
        for scheme in [scheme for scheme in covered if scheme in ruled] or covered[:1]:
            held[scheme].append(one)
    return [
        Program(scheme, tree, tuple(verifiers)) for scheme, verifiers in held.items() if verifiers
    ]


def _refusal(one: Verifier, tree: TreeDrafting) -> str:
    """Why a verifier does not take a tree; empty if it does."""
    try:
        decode.verifier(one, tree.scheme, tree.topology)
    except ValueError as error:
        return str(error)
    return ""


def _check_drawn(rule: Rule) -> None:
    if drafting.first(rule.claims) is None:
        raise ValueError(
            f"rule {rule.name}: covers {', '.join(sorted(rule.claims.drafting))}, none of which "
            "one draft model can draw"
        )


def fitting(claims: Claims, drawable: dict[str, TreeDrafting]) -> str | None:
    """The first scheme of a tree that a rule with these claims covers, if the rule takes the tree
    that is drawn by it.
    """
    scheme = next((scheme for scheme in drawable if scheme in claims.drafting), None)
    if scheme is None:
        return None
    tree = drawable[scheme]
    one_by_one = tree.scheme != growth.SEQUENTIAL or claims.sequential
    return (
        scheme
        if one_by_one and all(claims.admits(n) for n in tree.topology.arities if n > 0)
        else None
    )
