"""The worst ratio of each rule's acceptance to the optimum, over all pairs of laws: found by
gradient search, proven where it can be.

The proofs stand in `theory.worst_pairs`. Nothing better than 1/n holds for naive_first, whose alpha
>= sum min(p, q) >= sum min(p, n q) / n >= alpha* / n (p even on many tokens that q hardly drafts),
and nothing at all for naive_membership (p = q, flat).
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from numpy.typing import NDArray
from rich.console import Console

import theory
from experiments.cli import seeds
from experiments.cli.console import track
from experiments.cli.provenance import provenance
from experiments.cli.rows import Rows
from experiments.cli.tables import Table, number
from experiments.enumeration import rule_laws
from experiments.inputs import named_verifiers
from specjax import bounds, drafting, rules
from specjax.numerics import tiny
from specjax.rules import Law, Rule, Scalar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROMISED = 1 - np.exp(-1)  # SpecTr's theorem for K-SEQ
# step sizes of Adam: the worst pairs lie at kinks, so that steps must shrink to nothing
FIRST, LAST = 0.3, 1e-9
STEEPEST = 9.0  # no logit is larger: an acceptance of 1e-7 still has nine digits
# logits, Adam's moments, the best logits so far and their log ratio
State = tuple[Array, optax.OptState, Array, Array]
SAME = 1e-4  # starts whose ratios differ by no more reached the same worst pair


@dataclasses.dataclass(frozen=True)
class Config:
    """Where to search.

    Attributes:
      rules: names of rules, or paths of Python files; if none is named all that state their
        acceptance, do not search and do not claim the optimum.
      n: numbers of drafts.
      vocabulary: values of V.
      starts: random pairs to start from at each V, beside those of the battery.
      steps: of Adam from each start.
      seed: of the starts.
    """

    rules: tuple[str, ...] = ()
    n: tuple[int, ...] = (2, 3, 4, 8)
    vocabulary: tuple[int, ...] = (2, 3, 5, 16)
    starts: int = 32
    steps: int = 600
    seed: int = 0


class Row(TypedDict):
    """The worst pair of laws that was found for a rule with n drafts.

    Attributes:
      floor: the proven minimum of the ratio; None without a proof.
      agreeing: how many of the starts came to the same ratio.
    """

    rule: str
    scheme: str
    n: int
    vocabulary: int
    ratio: float
    alpha: float
    alpha_star: float
    floor: float | None
    starts: int
    agreeing: int
    p: list[float]
    q: list[float] | list[list[float]]


class Case(NamedTuple):
    """A rule with n drafts of a scheme."""

    rule: Rule
    n: int
    scheme: str

    def laws(self, logits: Float[Array, "slots V"]) -> tuple[Law, Array]:
        """p, and q: one law, or one for each slot."""
        p, *q = jax.nn.softmax(
            STEEPEST * jnp.tanh(logits / STEEPEST) + jnp.where(jnp.isneginf(logits), -jnp.inf, 0)
        )
        return p, jnp.stack(q) if self.scheme == "independent" else q[0]

    def log_ratio(self, logits: Float[Array, "slots V"]) -> Scalar:
        """Log of what the rule attains of alpha*."""
        p, q = self.laws(logits)
        attained = jnp.asarray(rules.expected_acceptance(self.rule, p, q, self.n, self.scheme))
        optimum = bounds.optimal_acceptance(p, q, self.n, self.scheme)
        return jnp.log(jnp.maximum(attained, tiny(p))) - jnp.log(jnp.maximum(optimum, tiny(p)))


def run(config: Config) -> Rows[Row]:
    """One row per rule, n and V: the worst pair that was found, and what theory says of it.

    Raises:
      ValueError: a number out of its range; a named rule that states no acceptance at some n, or
        attains the optimum there.
      RuntimeError: theory disagrees with `specjax`.
    """
    if (
        min(config.n, default=0) < 1
        or min(config.vocabulary, default=0) < 2
        or config.starts < 1
        or config.steps < 1
    ):
        raise ValueError(
            f"expected n >= 1, vocabulary >= 2, starts >= 1 and steps >= 1, got {config}"
        )
    cases = _cases(config)
    with jax.enable_x64(True):
        rows = [
            row for case in track(cases, f"{len(cases)} searches") for row in _rows(case, config)
        ]
        return {"rows": rows, "provenance": provenance(config)}


def _cases(config: Config) -> list[Case]:
    cases = []
    for name in config.rules or named_verifiers.usual():
        make: type[Rule] = rules.get(name)
        claims = make.claims
        scheme = drafting.first(claims) or "independent"
        for n in config.n:
            below = (
                claims.lossless
                and claims.admits(n)
                and not claims.per_pair
                and not claims.optimal_at(n)
                and scheme in bounds.schemes()
            )
            if below and _states(case := Case(make(), n, scheme)):
                cases.append(case)
            elif config.rules:
                raise ValueError(f"rule {name}: states no acceptance below the optimum for n = {n}")
    return cases


def _states(case: Case) -> bool:
    flat = jnp.full(2, 0.5)
    q = jnp.stack([flat] * case.n) if case.scheme == "independent" else flat
    return rules.expected_acceptance(case.rule, flat, q, case.n, case.scheme) is not None


def _rows(case: Case, config: Config) -> list[Row]:
    slots = 1 + (case.n if case.scheme == "independent" else 1)
    starts = [_starts(vocabulary, slots, config) for vocabulary in config.vocabulary]
    widest = max(config.vocabulary)
    padded = [
        np.pad(s, ((0, 0), (0, 0), (0, widest - s.shape[-1])), constant_values=-np.inf)
        for s in starts
    ]
    p, q, values = jax.tree.map(
        np.asarray, _search(case, config.steps)(jnp.asarray(np.concatenate(padded)))
    )
    edges = np.cumsum([0, *map(len, starts)])
    parts = zip(config.vocabulary, edges[:-1], edges[1:], strict=True)
    return [
        _row(case, vocabulary, p[a:b, :vocabulary], q[a:b, ..., :vocabulary], values[a:b])
        for vocabulary, a, b in parts
    ]


def _starts(vocabulary: int, slots: int, config: Config) -> NDArray[np.float64]:
    """Logits [R, slots, V]: normal ones of several widths, and the battery's."""
    rng = np.random.default_rng((seeds.natural(config.seed), vocabulary, slots))
    drawn = rng.normal(size=(config.starts, slots, vocabulary)) * rng.choice(
        (0.1, 1.0, 4.0), (config.starts, 1, 1)
    )
    with np.errstate(divide="ignore"):
        known = [
            np.log([p, *[q] * (slots - 1)])
            for _, p, q in theory.battery.laws(vocabulary, seeds.natural(config.seed))
        ]
    return np.concatenate((drawn, np.clip(known, -STEEPEST, None)))


def _search(case: Case, steps: int) -> Callable[[Array], tuple[Array, Array, Array]]:
    """From each start the pair of smallest ratio on Adam's way, and its log ratio."""
    optimiser = optax.adam(optax.exponential_decay(FIRST, steps, LAST / FIRST))
    slope = jax.vmap(jax.value_and_grad(case.log_ratio))

    def step(state: State, _: None) -> tuple[State, None]:
        logits, moments, best, least = state
        value, gradient = slope(logits)
        better = value < least
        best = jnp.where(better[:, None, None], logits, best)
        least = jnp.where(better, value, least)
        change, moments = optimiser.update(jnp.nan_to_num(gradient, posinf=0, neginf=0), moments)
        return (logits + change, moments, best, least), None

    @jax.jit
    def search(starts: Float[Array, "R slots V"]) -> tuple[Array, Array, Array]:
        state = (starts, optimiser.init(starts), starts, jnp.full(len(starts), jnp.inf))
        (_, _, best, least), _ = jax.lax.scan(step, state, None, steps)
        return (*jax.vmap(case.laws)(best), least)

    return search


def _row(
    case: Case,
    vocabulary: int,
    p: NDArray[np.float64],
    q: NDArray[np.float64],
    values: NDArray[np.float64],
) -> Row:
    """Raises RuntimeError where theory does not say the same of the worst pair."""
    worst = int(np.argmin(values))
    problem = theory.Problem(p[worst], q[worst], case.n, case.scheme)
    alpha, alpha_star = referee(case.rule, problem)
    ratio = alpha / alpha_star
    found = float(np.exp(values[worst]))
    if abs(ratio - found) > 1e-6:
        raise RuntimeError(
            f"rule {case.rule.name}, n = {case.n}, V = {vocabulary}: specjax has the ratio "
            f"{found:.9g}, theory {ratio:.9g}"
        )
    return {
        "rule": case.rule.name,
        "scheme": case.scheme,
        "n": case.n,
        "vocabulary": vocabulary,
        "ratio": ratio,
        "alpha": alpha,
        "alpha_star": alpha_star,
        "floor": floor(case.rule.name, case.n),
        "starts": len(values),
        "agreeing": int(np.sum(np.exp(values) <= found + SAME)),
        "p": problem.p.tolist(),
        "q": problem.q.tolist(),
    }


def referee(rule: Rule, problem: theory.Problem) -> tuple[float, float]:
    """The rule's acceptance and alpha*, in float64 by theory; the acceptance of a rule unknown to
    theory by enumeration.

    Raises:
      ValueError: there is too much to enumerate.
    """
    p, q, n, scheme = problem.p, problem.q, problem.n, problem.drafting
    alpha_star = theory.subsets.optimum(problem).value
    if hasattr(theory.closed_form, rule.name):
        return getattr(theory.closed_form, rule.name)(p, q, n, scheme), alpha_star
    if len(p) ** n > theory.lp.PLAN_CELLS:
        raise ValueError(
            f"rule {rule.name}: unknown to theory, and V^n = {len(p)}^{n} is too large to enumerate"
        )
    return rule_laws.acceptance(rule, problem), alpha_star


def floor(rule: str, n: int) -> float | None:
    """The proven minimum of the ratio over all pairs of laws; None where there is no proof."""
    if not hasattr(theory.worst_pairs, rule) or n < 2:
        return None
    problem = getattr(theory.worst_pairs, rule)(n)
    acceptance = getattr(theory.closed_form, rule)
    return float(acceptance(problem.p, problem.q, n, problem.drafting))


def show(content: Rows[Row], console: Console) -> None:
    """For each rule and n the worst pair over all V."""
    starts = content["rows"][0]["starts"]
    console.print(
        f"worst acceptance / alpha* found, its proven minimum, and how many of {starts} starts "
        "came to the same"
    )
    table = Table(("rule, n", "V", "ratio", "proven", "alpha*", "same"))
    for rule, group in itertools.groupby(_worst(content["rows"]), key=lambda row: row["rule"]):
        table.add_section()
        table.add(f"[bold]{rule}[/]")
        for row in group:
            figures = (
                number(row["ratio"], 6),
                number(row["floor"], 6),
                number(row["alpha_star"]),
                str(row["agreeing"]),
            )
            table.add(f"  {row['n']}", str(row["vocabulary"]), *figures)
    console.print(table)


def _worst(rows: list[Row]) -> list[Row]:
    """For each rule and n the row of least ratio."""
    worst: dict[tuple[str, int], Row] = {}
    for row in rows:
        cell = row["rule"], row["n"]
        worst[cell] = min(worst.get(cell, row), row, key=lambda row: row["ratio"])
    return list(worst.values())


def plot(content: Rows[Row]) -> "Figure":
    """The worst ratio against n; and against V at the largest n. Lines without marks are proven."""
    from experiments.figures import style  # needs the extra `plots`

    rows = content["rows"]
    worst = _worst(rows)
    figure, (left, right) = style.panels(2, "worst pair of laws found; lines: proven minimum")
    for rule in dict.fromkeys(row["rule"] for row in rows):
        colour = style.colour(rule)
        mine = [row for row in worst if row["rule"] == rule]
        tried = [row["n"] for row in mine]
        left.plot(tried, [row["ratio"] for row in mine], "o", color=colour, label=rule)
        if hasattr(theory.worst_pairs, rule):
            ns = np.unique(np.geomspace(2, 512, 60).astype(int))
            left.plot(ns, np.array([floor(rule, int(n)) for n in ns], float), color=colour)
        deepest = [row for row in rows if row["rule"] == rule and row["n"] == tried[-1]]
        vocabularies = [row["vocabulary"] for row in deepest]
        right.plot(vocabularies, [row["ratio"] for row in deepest], "o:", color=colour)
    for panel, name in (
        (left, "drafts n at a node"),
        (right, "vocabulary V, at the largest n of each rule"),
    ):
        promised = "1 - 1/e, promised for K-SEQ"
        panel.axhline(PROMISED, color="k", linestyle="--", label=promised)
        panel.set_xscale("log", base=2)
        panel.set_ylim(0, 1)
        panel.set_xlabel(name)
    ticks = sorted({row["vocabulary"] for row in rows})
    right.set_xticks(ticks, [str(tick) for tick in ticks])
    left.set_ylabel("worst acceptance / alpha*")
    style.legend(figure, 2)
    return figure
