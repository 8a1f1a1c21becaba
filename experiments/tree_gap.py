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
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import jax
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import theory
from experiments.cli.console import track
from experiments.cli.provenance import provenance
from experiments.cli.rows import Rows, numeric
from experiments.cli.tables import MEANING, Table, with_error
from experiments.enumeration import worlds
from experiments.enumeration.padded_trees import PaddedVerifier, Report, Size, padded_verifiers
from experiments.stats.means import mean
from specjax import trees
from specjax.trees import Topology

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEADER = "traversal"
NEAR_TO_FAR = ("near_10", "near_30", "random")  # families drawn, by the distance of their laws
FOLLOWER = {"iid": "top_down:optimal", "without_replacement": "top_down:transport"}
DOWN = "top_down:"
OPTIMAL = "optimal"
SHORT = {  # a scheme has but one recursive rejection
    "recursive_rejection": "recursive rejection",
    "recursive_rejection_without_replacement": "recursive rejection",
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Which trees and laws.

    Attributes:
      tree: chain:D, star:N, full:b1,b2,.. or delayed:S,K,L.
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


class Row(TypedDict):
    """A verifier on one tree: means over problems.

    Attributes:
      gap: 1 - E[ell] / optimum.
      lead: of traversal over the verifier, as a share of the optimum.
      lead_max: the largest one of a single problem.
      distance: total variation between target and draft, mean over the contexts.
      loss: the largest total variation from the target.
      off: the largest difference from theory's law, times the probability of the tree; nan if
        theory has none.
    """

    tree: str
    depth: int
    scheme: str
    vocabulary: int
    family: str
    verifier: str
    problems: int
    optimum: float
    accepted: float
    gap: float
    gap_se: float
    gap_min: float
    gap_max: float
    lead: float
    lead_se: float
    lead_max: float
    distance: float
    loss: float
    off: float


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


def run(config: Config) -> Rows[Row]:
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
    nodes = max(shape.nodes for shape in shapes)
    width = max(shape.width for shape in shapes)
    size = Size(nodes, width, max(config.vocabulary))
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


def _rows(case: Case, verifiers: list[PaddedVerifier], seeds: int) -> list[Row]:
    topology = case.topology
    parents = tuple(topology.parents.tolist())
    problems = [
        worlds.problem(case.family, parents, case.vocabulary, case.scheme, seed)
        for seed in range(seeds)
    ]
    drawn = [theory.trees.drawn(problem) for problem in problems]
    optima = np.array([theory.tree_lp.solve(one).value for one in drawn])
    distance = [
        float(np.abs(problem.target - problem.draft).sum(1).mean() / 2) for problem in problems
    ]
    reports = {}
    for verifier in verifiers:
        if verifier.covers(topology):
            reports[verifier.name] = [verifier(topology, one) for one in drawn]
    leader = _accepted(reports[LEADER])
    rows: list[Row] = []
    for name, column in reports.items():
        accepted = _accepted(column)
        gaps = 1 - accepted / optima
        gap = mean(gaps)
        leads = (leader - accepted) / optima
        lead = mean(leads)
        loss = max(report.loss for report in column)
        off = max(report.off for report in column)
        rows.append(
            {
                "tree": case.tree,
                "depth": topology.height,
                "scheme": case.scheme,
                "vocabulary": case.vocabulary,
                "family": case.family,
                "verifier": name,
                "problems": seeds,
                "optimum": float(optima.mean()),
                "accepted": float(accepted.mean()),
                "gap": gap.value,
                "gap_se": gap.error,
                "gap_min": float(gaps.min()),
                "gap_max": float(gaps.max()),
                "lead": lead.value,
                "lead_se": lead.error,
                "lead_max": float(leads.max()),
                "distance": float(np.mean(distance)),
                "loss": loss,
                "off": off,
            }
        )
    return rows


def _accepted(reports: list[Report]) -> NDArray[np.float64]:
    return np.array([report.accepted for report in reports])


def pooled(rows: list[Row], name: str) -> tuple[float, float]:
    """Mean and standard error of a column over rows of equal size, each with problems of its
    own.
    """
    values = [numeric(row, name) for row in rows]
    errors = [numeric(row, f"{name}_se") for row in rows]
    return float(np.mean(values)), math.sqrt(sum(error**2 for error in errors)) / len(rows)


def excess(rows: list[Row]) -> tuple[float, float]:
    """By what share the optimum beats the verifier: the least and the largest over all problems of
    the rows.
    """
    low = min(row["gap_min"] for row in rows)
    high = max(row["gap_max"] for row in rows)
    return low / (1 - low), high / (1 - high)


def chosen(rows: list[Row], **values: str) -> list[Row]:
    """The rows that hold these values."""
    return [row for row in rows if values.items() <= row.items()]


def distinct(rows: list[Row], name: str) -> list[str]:
    """The values of a column, in order."""
    held: list[Mapping[str, object]] = [*rows]
    return list(dict.fromkeys(str(row[name]) for row in held))


def show(content: Rows[Row], console: Console) -> None:
    """The mean gap of every verifier on every tree; and where traversal leads the top-down verifier
    of the optimal node rule, and what else sees whole trees.
    """
    rows = content["rows"]
    for scheme in distinct(rows, "scheme"):
        mine = chosen(rows, scheme=scheme)
        console.print(
            f"{scheme}: 1 - E(ell) / joint optimum in %, mean over "
            f"{len(distinct(mine, 'family'))} families of laws with {mine[0]['problems']} problems "
            "each"
        )
        lifted = [row for row in mine if row["verifier"].startswith(DOWN)]
        for part in ([row for row in mine if row not in lifted], lifted):
            console.print(_table(part, "verifier", "gap"))
        sizes = (f"{tree}: {_sizes(chosen(mine, tree=tree))}" for tree in distinct(mine, "tree"))
        console.print(f"V {', '.join(sizes)}\n")
        for other in _led(distinct(mine, "verifier"), scheme):
            if led := chosen(mine, verifier=other):
                console.print(
                    f"{scheme}: E(ell) of traversal less that of {other}, in % of the optimum, by "
                    "family"
                )
                console.print(_table(led, "family", "lead", "full:"))
                worst = max(led, key=lambda row: row["lead_max"])
                console.print(
                    f"in a single problem at most {100 * worst['lead_max']:.1f} % "
                    f"({worst['tree']}, {worst['family']})"
                )
    console.print(f"{MEANING} over problems")


def _led(names: list[str], scheme: str) -> list[str]:
    """Whom traversal is set against: the follower, and what sees whole trees, with the optimal rule
    where it takes one.
    """
    whole = [name for name in names if not name.startswith(DOWN) and name != LEADER]
    return [FOLLOWER[scheme], *[one for one in whole if one.partition(":")[2] in ("", OPTIMAL)]]


def _sizes(rows: list[Row]) -> str:
    return " ".join(map(str, sorted({row["vocabulary"] for row in rows})))


def _rule(verifier: str) -> str:
    """The node rule of a top-down verifier, else its own name, with its rule's."""
    lift, _, rule = verifier.removeprefix(DOWN).rpartition(":")
    short = SHORT.get(rule, rule)
    return f"{lift}: {short}" if lift else short


def _table(rows: list[Row], column: str, name: str, prefix: str = "") -> Table:
    """A measured column by tree and by another column; the prefix of a tree goes without saying."""
    heads = distinct(rows, column)
    table = Table(("tree", *(_rule(head) for head in heads)))
    for tree in distinct(rows, "tree"):
        groups = [chosen(rows, tree=tree, **{column: head}) for head in heads]
        cells = (_percent(*pooled(group, name)) if group else "-" for group in groups)
        table.add(tree.removeprefix(prefix), *cells)
    return table


def _percent(value: float, error: float) -> str:
    """1.2(3) for 1.2 % ± 0.3 %."""
    return with_error(100 * value, 100 * error, 1)


def plot(content: Rows[Row]) -> "Figure":
    """A lane for each tree: left the mean gap of every verifier; right the lead of traversal, from
    light to dark as the laws get farther apart.
    """
    from experiments.figures import style  # needs the extra `plots`

    rows = content["rows"]
    lines = _lanes(rows)
    families = [family for family in NEAR_TO_FAR if chosen(rows, family=family)]
    title = "verifiers on identical trees against the joint optimum (± 2 se)"
    figure, (gaps, leads) = style.lanes([label for label, _ in lines], title)
    for place, (_, held) in enumerate(lines):
        for name in distinct(held, "verifier"):
            group = chosen(held, verifier=name)
            value, error = pooled(group, "gap")
            style.dot(gaps, place, 100 * value, 200 * error, style.colour(name), 1)
        followers = [row for row in held if row["verifier"] == FOLLOWER[row["scheme"]]]
        for rank, family in enumerate(families, 1):
            if group := chosen(followers, family=family):
                value, error = pooled(group, "lead")
                shade = rank / len(families)
                style.dot(leads, place, 100 * value, 200 * error, "k", shade)
    for name in distinct(rows, "verifier"):
        style.entry(gaps, _rule(name), style.colour(name), "o")
    leads.axvline(0, color="k", linewidth=0.8)
    gaps.set_xlabel("1 - E[ell] / joint optimum, %")
    distances = ", ".join(f"{_distance(rows, family):.2f}" for family in families)
    shades = f"light to dark: mean TV(p, q) = {distances}"
    leads.set_xlabel(f"lead of traversal over the optimal node rule, %\n{shades}")
    style.legend(figure, 4)
    return figure


def _lanes(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    """The rows of each tree under each scheme, by its label; a scheme's name alone heads its
    trees.
    """
    lanes: list[tuple[str, list[Row]]] = []
    for scheme in distinct(rows, "scheme"):
        mine = chosen(rows, scheme=scheme)
        lanes.append((scheme, []))
        lanes += [(f"  {tree}", chosen(mine, tree=tree)) for tree in distinct(mine, "tree")]
    return lanes


def _distance(rows: list[Row], family: str) -> float:
    return float(np.mean([row["distance"] for row in chosen(rows, family=family)]))
