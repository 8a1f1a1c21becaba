"""How far each verifier of draft trees falls below the joint optimum, on identical trees, by
enumeration.

The joint optimum is the most drafts that any lossless verifier accepts, from a linear program over
all trees that can be drawn (`theory.tree_lp`). The laws of the verifiers come from `specjax`;
theory finds every one of them lossless, and equal to its own where it has one. Under drafting
without replacement the rule `transport` is run by theory, with one of many optimal plans at each
node.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np
from rich.console import Console

import theory
from experiments.cli.console import track
from experiments.cli.provenance import provenance
from experiments.cli.tables import MEANING, Table, with_error
from experiments.enumeration import worlds
from experiments.enumeration.padded_trees import PaddedVerifier, Size, padded_verifiers
from experiments.stats.means import Mean, mean
from specjax import trees
from specjax.trees import Topology

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEADER = "traversal"
NEAR_TO_FAR = ("near_10", "near_30", "random")  # families, by the distance of their laws
FOLLOWER = {"iid": "top_down:optimal", "without_replacement": "top_down:transport"}
SHORT = {  # a scheme has but one recursive rejection
    "recursive_rejection": "recursive rejection",
    "recursive_rejection_without_replacement": "recursive rejection",
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Which trees and laws.

    Attributes:
      tree: chain:D, star:N or full:b1,b2,..
      scheme: how the children of a node are drawn: iid, without_replacement.
      family: of laws.
      vocabulary: values of V.
      rules: node rules of the top-down verifiers; on one path only single.
      seeds: problems in each row, each with laws of its own.
      trees: a case of more drawn trees is left out.
    """

    tree: tuple[str, ...] = (
        *("chain:2", "full:1,2", "full:2,1", "full:2,2", "full:3,1", "full:3,2"),
        *("chain:3", "full:1,1,2", "full:2,1,1", "full:3,1,1", "full:2,2,1", "full:2,1,1,1"),
    )
    scheme: tuple[str, ...] = ("iid", "without_replacement")
    family: tuple[str, ...] = worlds.names()
    vocabulary: tuple[int, ...] = (2, 3, 4)
    rules: tuple[str, ...] = (
        "single",
        "recursive_rejection",
        "recursive_rejection_without_replacement",
        "kseq",
        "optimal",
        "transport",
    )
    seeds: int = 5
    trees: int = 2000


class Case(NamedTuple):
    """One tree, drawn in one way from one family of laws."""

    tree: str
    scheme: str
    vocabulary: int
    family: str

    @property
    def topology(self) -> Topology:
        """Its shape."""
        return trees.parse(self.tree)


def run(config: Config) -> dict:
    """One row per tree, scheme, V, family and verifier: the mean relative gap 1 - E[ell] / optimum
    over the seeds.

    Raises:
      ValueError: a number out of its range, an unknown name, or no case that is small enough.
      RuntimeError: theory disagrees with `specjax`.
    """
    if config.seeds < 2 or min(config.vocabulary, default=0) < 2:
        raise ValueError(
            f"expected seeds >= 2 and vocabulary >= 2, got {config.seeds} and {config.vocabulary}"
        )
    if unknown := set(config.scheme) - FOLLOWER.keys():
        raise ValueError(f"unknown scheme {min(unknown)!r}: expected one of {', '.join(FOLLOWER)}")
    cases = list(_cases(config))
    if not cases:
        raise ValueError(f"trees: expected a tree that is drawn in at most {config.trees} ways")
    shapes = [case.topology for case in cases]
    size = Size(
        max(shape.nodes for shape in shapes),
        max(shape.width for shape in shapes),
        max(config.vocabulary),
    )
    verifiers = {
        scheme: padded_verifiers(scheme, _node_rules(config, scheme), size)
        for scheme in config.scheme
    }
    with jax.enable_x64(True):
        rows = [
            row
            for case in track(cases, f"{len(cases)} cases")
            for row in _rows(case, verifiers[case.scheme], config.seeds)
        ]
        return {"rows": rows, "provenance": provenance(config)}


def _node_rules(config: Config, scheme: str) -> list[str]:
    """The rule `optimal` does for independent drafts what a plan does, with ties that mean
    something.
    """
    return [
        name
        for name in config.rules
        if not (name == "transport" and scheme == "iid" and "optimal" in config.rules)
    ]


def _cases(config: Config) -> Iterator[Case]:
    """Those that are small enough and are not the same as others: without replacement one draft, or
    all tokens, leave nothing to draw.
    """
    for scheme, tree, vocabulary in itertools.product(
        config.scheme, config.tree, config.vocabulary
    ):
        topology = trees.parse(tree)
        distinct = 1 < topology.width < vocabulary or scheme == "iid"
        if distinct and _ways(topology, scheme, vocabulary) <= config.trees:
            yield from (Case(tree, scheme, vocabulary, family) for family in config.family)


def _ways(topology: Topology, scheme: str, vocabulary: int) -> int:
    """How many trees can be drawn."""
    arities = [len(below) for below in theory.trees.children(topology.parents.tolist())]
    each = math.perm if scheme == "without_replacement" else pow
    return math.prod(each(vocabulary, arity) for arity in arities)


def _rows(case: Case, verifiers: list[PaddedVerifier], seeds: int) -> list[dict]:
    topology = case.topology
    covering = [verifier for verifier in verifiers if verifier.covers(topology)]
    problems = [
        worlds.problem(
            case.family, tuple(topology.parents.tolist()), case.vocabulary, case.scheme, seed
        )
        for seed in range(seeds)
    ]
    drawn = [theory.trees.drawn(problem) for problem in problems]
    optima = np.array([theory.tree_lp.solve(one).value for one in drawn])
    distance = [
        float(np.abs(problem.target - problem.draft).sum(1).mean() / 2) for problem in problems
    ]
    reports = {verifier.name: [verifier(topology, one) for one in drawn] for verifier in covering}
    accepted = {
        name: np.array([report.accepted for report in column]) for name, column in reports.items()
    }
    return [
        {
            "tree": case.tree,
            "depth": topology.height,
            "scheme": case.scheme,
            "vocabulary": case.vocabulary,
            "family": case.family,
            "verifier": name,
            "problems": seeds,
            "optimum": float(optima.mean()),
            "accepted": float(values.mean()),
            **_named("gap", mean(1 - values / optima)),
            "gap_min": float((1 - values / optima).min()),
            "gap_max": float((1 - values / optima).max()),
            **_named("lead", mean((accepted[LEADER] - values) / optima)),
            "distance": float(np.mean(distance)),
            "loss": max(report.loss for report in reports[name]),
            "off": max(report.off for report in reports[name]),
        }
        for name, values in accepted.items()
    ]


def _named(name: str, found: Mean) -> dict:
    return {name: found.value, f"{name}_se": found.error}


def pooled(rows: list[dict], name: str) -> tuple[float, float]:
    """Mean and standard error of a column over rows of equal size, each with problems of its
    own.
    """
    return float(np.mean([row[name] for row in rows])), math.sqrt(
        sum(row[f"{name}_se"] ** 2 for row in rows)
    ) / len(rows)


def excess(rows: list[dict]) -> tuple[float, float]:
    """By what share the optimum beats the verifier: the least and the largest over all problems of
    the rows.
    """
    low = min(row["gap_min"] for row in rows)
    high = max(row["gap_max"] for row in rows)
    return low / (1 - low), high / (1 - high)


def chosen(rows: list[dict], **values: str) -> list[dict]:
    """The rows that hold these values."""
    return [row for row in rows if all(row[name] == value for name, value in values.items())]


def distinct(rows: list[dict], name: str) -> list[str]:
    """The values of a column, in order."""
    return list(dict.fromkeys(row[name] for row in rows))


def show(content: dict, console: Console) -> None:
    """The mean gap of every verifier on every tree; and where traversal leads the top-down verifier
    of the optimal node rule.
    """
    rows = content["rows"]
    for scheme in distinct(rows, "scheme"):
        mine = chosen(rows, scheme=scheme)
        console.print(f"{scheme}: 1 - E(ell) / joint optimum in %, mean over {_families_of(mine)}")
        console.print(_gaps(mine))
        console.print(
            "V "
            + ", ".join(
                f"{tree}: {_sizes(chosen(mine, tree=tree))}" for tree in distinct(mine, "tree")
            )
            + "\n"
        )
        if led := chosen(mine, verifier=FOLLOWER.get(scheme, "")):
            console.print(
                f"{scheme}: E(ell) of traversal less that of {FOLLOWER[scheme]}, in % of the "
                "optimum, by family"
            )
            console.print(_leads(led))
    console.print(f"{MEANING} over problems")


def _families_of(rows: list[dict]) -> str:
    return (
        f"{len(distinct(rows, 'family'))} families of laws with {rows[0]['problems']} problems each"
    )


def _sizes(rows: list[dict]) -> str:
    return " ".join(map(str, sorted({row["vocabulary"] for row in rows})))


def _gaps(rows: list[dict]) -> Table:
    names = distinct(rows, "verifier")
    cells = {
        tree: [chosen(rows, tree=tree, verifier=name) for name in names]
        for tree in distinct(rows, "tree")
    }
    return _table([_rule(name) for name in names], cells, "gap")


def _rule(verifier: str) -> str:
    """The node rule of a top-down verifier, else its own name."""
    return verifier.removeprefix("top_down:")


def _leads(rows: list[dict]) -> Table:
    families = distinct(rows, "family")
    cells = {
        tree: [chosen(rows, tree=tree, family=family) for family in families]
        for tree in distinct(rows, "tree")
    }
    return _table(
        families, {tree.removeprefix("full:"): groups for tree, groups in cells.items()}, "lead"
    )


def _table(heads: list[str], cells: dict[str, list[list[dict]]], name: str) -> Table:
    table = Table(("tree", *(SHORT.get(head, head) for head in heads)))
    for tree, groups in cells.items():
        table.add(tree, *(_percent(*pooled(group, name)) if group else "-" for group in groups))
    return table


def _percent(value: float, error: float) -> str:
    """1.2(3) for 1.2 % ± 0.3 %."""
    return with_error(100 * value, 100 * error, 1)


def plot(content: dict) -> "Figure":
    """A lane for each tree: left the mean gap of every verifier; right the lead of traversal, from
    light to dark as the laws get farther apart.
    """
    from experiments.figures import style  # needs the extra `plots`

    rows = content["rows"]
    lines = _lanes(rows)
    title = "verifiers on identical trees against the joint optimum (± 2 se)"
    figure, (gaps, leads) = style.lanes([label for label, _ in lines], title)
    for place, (_, held) in enumerate(lines):
        for name in distinct(held, "verifier"):
            group = chosen(held, verifier=name)
            value, error = pooled(group, "gap")
            style.dot(gaps, place, 100 * value, 200 * error, style.colour(name), 1)
        leaders = [row for row in held if row["verifier"] == FOLLOWER[row["scheme"]]]
        for depth, family in enumerate(NEAR_TO_FAR, 1):
            if group := chosen(leaders, family=family):
                value, error = pooled(group, "lead")
                shade = depth / len(NEAR_TO_FAR)
                style.dot(leads, place, 100 * value, 200 * error, "k", shade)
    for name in dict.fromkeys(_rule(row["verifier"]) for row in rows):
        style.entry(gaps, name, style.colour(name), "o")
    leads.axvline(0, color="k", linewidth=0.8)
    gaps.set_xlabel("1 - E[ell] / joint optimum, %")
    distances = ", ".join(f"{_distance(rows, family):.2f}" for family in NEAR_TO_FAR)
    shades = f"light to dark: mean TV(p, q) = {distances}"
    leads.set_xlabel(f"lead of traversal over the optimal node rule, %\n{shades}")
    style.legend(figure, 4)
    return figure


def _lanes(rows: list[dict]) -> list[tuple[str, list[dict]]]:
    """The rows of each tree under each scheme, by its label; a scheme's name alone heads its
    trees.
    """
    lanes: list[tuple[str, list[dict]]] = []
    for scheme in distinct(rows, "scheme"):
        mine = chosen(rows, scheme=scheme)
        lanes.append((scheme, []))
        lanes += [(f"  {tree}", chosen(mine, tree=tree)) for tree in distinct(mine, "tree")]
    return lanes


def _distance(rows: list[dict], family: str) -> float:
    return float(np.mean([row["distance"] for row in chosen(rows, family=family)]))
