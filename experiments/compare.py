"""Measured against theoretical acceptance of verification rules on a pair of language models, and the speed of path verifiers."""

import dataclasses
import itertools
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np
from rich.console import Console
from rich.markup import escape

from experiments import _consistency, _contexts, _file_audit, _judges, _programs, _prompts, _schemes, _seeds, _sequoia
from experiments._measure import Measured, clustered_mean, measure
from experiments._provenance import provenance
from experiments._written import MEANING, Table, with_error
from specjax import decode, rules, verifiers
from specjax._types import Claims, Rule
from specjax.models import pairs
from specjax.numerics import Sampling
from specjax.trees import TreeDrafting, growth
from specjax.verifiers import Verifier, node_rule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DELTA = 3e-5  # chance that a sound row is inconsistent; it is the same in every company of rules
DECODED = 4  # a rule's own decode makes one target call for so many contexts
FIGURES = {"accepted": "acceptance_count", "law mass": "acceptance_law_mass", "expected": "expected"}


@dataclasses.dataclass(frozen=True)
class Config:
    """What to measure.

    Attributes:
      pair: target and draft model: bytes (embedded), smollm2 (make smollm2), markov.
      rules: names of rules or verifiers (block, traversal), or paths of Python files; if none is named all rules but those
        that search, on deeper trees with all verifiers.
      n: drafts at one node, one star of n drafts for each.
      tree: draft trees in place of n: chain:D, star:N, full:b1,b2,.., sequoia:N (N drafts, best by the acceptance measured on the pair), or
        grown while drafting: paths:KxD, beam:WxD, best_first:NxWxD, .., or by a file: my_tree.py:KxD.
      temperature: of target and draft alike; 0 is greedy decoding.
      top_p: nucleus of target and draft alike.
      contexts: tokens that the target draws after the prompts, at least; before each of them every rule judges one draft. If not
        given, 2048 where V is at most 1024, else 256. A text that ends has fewer.
      prompts: a file in place of the pair's held-out prompts: text, one prompt a line, or .jsonl with `prompt`, `turns` or `messages`.
      seed: of all random streams.
    """

    pair: str = "bytes"
    rules: tuple[str, ...] = ()
    n: tuple[int, ...] = (1, 2, 4)
    tree: tuple[str, ...] = ()
    temperature: float = 1.0
    top_p: float = 1.0
    contexts: int | None = None
    prompts: Path | None = None
    seed: int = 0


class Cell(NamedTuple):
    """One program: the rules and verifiers of one scheme on one tree."""

    scheme: str
    tree: str
    judges: tuple[Rule | Verifier, ...]


class Chosen(NamedTuple):
    """What to compare: rules of one node, verifiers of whole paths."""

    rules: list[Rule]
    verifiers: list[Verifier]


def run(config: Config) -> dict:
    """One row per rule and tree, and per verifier, scheme and tree; see `Config`. What cannot be stated of a verifier is null.

    Raises:
      ValueError: a pair, rule, tree or file that cannot be used; a named rule that fits none of the trees.
    """
    if config.contexts is not None and config.contexts < 1:
        raise ValueError(f"contexts: expected >= 1, got {config.contexts}")
    if min(config.n, default=0) < 1:
        raise ValueError(f"n: expected numbers >= 1, got {config.n}")
    sampling = Sampling(config.temperature, top_p=config.top_p)
    cells = [] if _sequoia.check(config.tree) else _cells(config)
    texts = _prompts.read(config.prompts) if config.prompts else ()
    pair = pairs.load(config.pair)
    cells = cells or _cells(dataclasses.replace(config, tree=_sequoia.resolved(config.tree, pair, sampling, config.seed)))
    prompts, lengths = _prompts.padded([pair.tokenizer.encode(text) for text in texts or pair.prompts])
    params = decode.Params(pair.target_params, pair.draft_params)
    of_contexts, of_drafts = (jax.random.fold_in(_seeds.key(config.seed), purpose) for purpose in range(2))
    contexts = config.contexts or (2048 if pair.target.vocabulary <= 1024 else 256)
    each = math.ceil(contexts / len(prompts))
    audits = _file_audit.findings(config.rules)
    spoken = _contexts.drawn(pair, sampling, of_contexts, prompts, lengths, each)

    def rows(cell: Cell) -> list[dict]:
        tree = _schemes.drawable(cell.tree)[cell.scheme]
        decoder = decode.decoder(pair, tree, cell.scheme, sampling)
        judges = tuple(decode.verifier(judge, tree.scheme, tree.topology) for judge in cell.judges)
        measured = measure(decoder, judges, of_drafts, params, spoken, math.ceil(each / DECODED))
        rows = [_row(config, cell, judge, i, measured) for i, judge in enumerate(judges)]
        return [row | {"audit": audits[row["rule"]].words if row["rule"] in audits else None} for row in rows]

    *order, first = sorted(cells, key=lambda cell: -len(cell.judges))  # a row is there soon, and no core waits at the end
    done = dict(zip([cell[:2] for cell in (first, *order)], _programs.run(rows, [first, *order], config.pair, _told), strict=True))
    found = [row for cell in cells for row in done[cell[:2]]]
    return {"rows": found, "refuted": _file_audit.refuted(audits), "provenance": provenance(config)}


def _told(rows: list[dict]) -> str:
    """The first figures of a program, for those who wait."""
    spoken = [f"{row['rule']} {row['block_efficiency']:.3f}" for row in rows]
    return f"{rows[0]['tree']} {rows[0]['scheme']}, tokens per call: {', '.join(spoken)}"


def _cells(config: Config) -> list[Cell]:
    """The programs to run: every rule and verifier on every tree that it fits."""
    chosen, names = _chosen(config.rules), config.tree or tuple(f"star:{n}" for n in config.n)
    cells = [cell for tree in names for cell in _cells_of(tree, chosen, bool(config.rules))]
    placed = {judge.name for cell in cells for judge in cell.judges}
    for rule in chosen.rules if config.rules else ():
        if rule.name not in placed:
            raise ValueError(_schemes.refusal(rule, names))
    for one in chosen.verifiers if config.rules else ():
        if one.name not in placed and not placed:
            raise ValueError(_schemes.refusal(one, names))
        if one.name not in placed:
            warnings.warn(f"verifier {one.name} fits none of {', '.join(names)}", stacklevel=2)
    return cells


def _chosen(names: tuple[str, ...]) -> Chosen:
    """What is named; otherwise the rules that one model can draft for, and all verifiers of whole paths."""
    if not names:
        makes: list[type[Rule]] = [rules.get(name) for name in _judges.usual()]
        plain = [make() for make in makes if not make.claims.per_pair and _schemes.first(make.claims)]
        return Chosen(plain, [make() for make in map(verifiers.get, verifiers.names()) if not _judges.lifts_rules(make)])
    judges = [_judges.made(name) for name in names]
    return Chosen([one for one in judges if not isinstance(one, Verifier)], [one for one in judges if isinstance(one, Verifier)])


def _cells_of(tree: str, chosen: Chosen, named: bool) -> list[Cell]:
    """Every rule under the first scheme that both it and the tree cover; each verifier beside the rules it can join, or on its own.

    On one level nobody sees more than a node rule does: there verifiers are left out unless named.
    """
    drawable = _schemes.drawable(tree)
    held: dict[str, list[Rule | Verifier]] = {scheme: [] for scheme in drawable}
    for rule in chosen.rules:
        _check_drawn(rule)
        scheme = fitting(rule.claims, drawable)
        if scheme:
            held[scheme].append(rule)
    ruled = [scheme for scheme in held if held[scheme]]
    for one in chosen.verifiers if named or next(iter(drawable.values())).topology.height > 1 else ():
        covered = [scheme for scheme, drawn in drawable.items() if not _refusal(one, drawn)]
        for scheme in [scheme for scheme in covered if scheme in ruled] or covered[:1]:
            held[scheme].append(one)
    return [Cell(scheme, tree, tuple(judges)) for scheme, judges in held.items() if judges]


def _refusal(one: Verifier, tree: TreeDrafting) -> str:
    """Why a verifier does not take a tree; empty if it does."""
    try:
        decode.verifier(one, tree.scheme, tree.topology)
    except ValueError as error:
        return str(error)
    return ""


def _check_drawn(rule: Rule) -> None:
    if _schemes.first(rule.claims) is None:
        raise ValueError(f"rule {rule.name}: covers {', '.join(sorted(rule.claims.drafting))}, none of which one draft model can draw")


def fitting(claims: Claims, drawable: dict[str, TreeDrafting]) -> str | None:
    """The first scheme of a tree that a rule with these claims covers, if the rule takes the tree that is drawn by it."""
    scheme = next((scheme for scheme in drawable if scheme in claims.drafting), None)
    if scheme is None:
        return None
    tree = drawable[scheme]
    one_by_one = tree.scheme != growth.STOPPED or claims.sequential
    return scheme if one_by_one and all(claims.admits(n) for n in tree.topology.arities if n > 0) else None


def _row(config: Config, cell: Cell, judge: Verifier, index: int, measured: Measured) -> dict:
    """What judge `index` did at the contexts, and how fast the decode that it led went."""
    seen, own = measured.contexts, measured.led[index]
    nodes = jax.tree.map(lambda table: table[:, :, index], seen.nodes)
    used = seen.ran[:, :, None] & (nodes.proposed > 0)
    mass, expected, alpha_star = (np.asarray(x, np.float64) for x in (nodes.law_mass, nodes.expected, nodes.alpha_star))
    summaries = {
        "acceptance_count": clustered_mean(nodes.hit.astype(float), used),
        "acceptance_law_mass": clustered_mean(mass, used),
        "expected": clustered_mean(expected, used),
        "alpha_star": clustered_mean(alpha_star, used),
        "gap": clustered_mean(alpha_star - mass, used),
        "block_efficiency": clustered_mean(own.emitted.astype(float), own.ran),
    }
    depths = range(mass.shape[-1] - 1)  # nothing is proposed below depth D
    by_depth = {
        "alpha_token": [clustered_mean(mass[..., d], used[..., d]) for d in depths],
        "alpha_star_token": [clustered_mean(alpha_star[..., d], used[..., d]) for d in depths],
    }
    rule = node_rule(judge)
    consistent, stated = _verdict(rule, mass[used], expected[used], alpha_star[used], DELTA)
    return {
        "pair": config.pair,
        "rule": (rule or judge).name,
        "scheme": cell.scheme,
        "n": _schemes.drawable(cell.tree)[cell.scheme].topology.width,
        "tree": cell.tree,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "contexts": int(used.sum()),
        "calls": int(own.ran.sum()),
        **{name: _number(mean.value) for name, mean in summaries.items()},
        **{f"{name}_se": _number(mean.error) for name, mean in summaries.items()},
        **{name: [_number(mean.value) for mean in means] for name, means in by_depth.items()},
        **{f"{name}_se": [_number(mean.error) for mean in means] for name, means in by_depth.items()},
        "stated_error": _number(stated),
        "consistent": consistent,
        "by_prompt": _by_prompt(used, acceptance=mass, alpha_star=alpha_star),
    }


def _by_prompt(used: np.ndarray, acceptance: np.ndarray, alpha_star: np.ndarray) -> dict[str, list[float | None]]:
    """The means over each prompt's nodes, and how many these are: the units of a bootstrap. Prompts without a node are left out."""
    axes = tuple(range(1, used.ndim))
    nodes = used.sum(axes)
    held = nodes > 0
    means = [np.where(used, values, 0).sum(axes)[held] / nodes[held] for values in (acceptance, alpha_star)]
    first, second = ([_number(value) for value in values.tolist()] for values in means)
    return {"nodes": nodes[held].tolist(), "acceptance": first, "alpha_star": second}


def _verdict(rule: Rule | None, mass: np.ndarray, expected: np.ndarray, alpha_star: np.ndarray, delta: float) -> tuple[bool | None, float]:
    """Whether the measured law mass agrees with theory, and the error within which it was held to; None where theory is silent."""
    if rule is None:
        return None, math.nan
    if not np.isnan(expected).any():
        stated = _consistency.allowance(expected, delta)
        above = _consistency.exceeds(expected, alpha_star)
        return bool(abs(np.mean(mass - expected)) <= stated and not above), stated
    if not np.isnan(alpha_star).any():
        stated = _consistency.allowance_above(alpha_star, delta)
        within = bool(np.mean(mass - alpha_star) <= stated)
        return (within, stated) if rule.claims.lossless or not within else (None, math.nan)
    return None, math.nan


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def show(content: dict, console: Console) -> None:
    """The table, and what its columns mean."""
    rows = content["rows"]
    table = Table(("rule", *FIGURES, "gap", "tok/call", "within"), title=_title(rows))
    for (tree, scheme), group in itertools.groupby(rows, key=lambda row: (row["tree"], row["scheme"])):
        cell = list(group)
        table.add_section()
        table.add(f"[bold]{tree} {scheme}[/]")
        table.add("  alpha*", "", f"[bold]{_optimum(cell)}[/]")
        for row in cell:
            figures = (with_error(row[name], row[f"{name}_se"]) for name in (*FIGURES.values(), "gap", "block_efficiency"))
            table.add(f"  {row['rule']}", *figures, _consistent(row))
    console.print(table)
    console.print(_legend(rows))


def _consistent(row: dict) -> str:
    """The band within which a row agrees with theory; else what is wrong."""
    if row.get("audit") not in (None, "ok"):
        return f"[bold red]{escape(row['audit'])}[/]"
    return {True: f"[green]±{row['stated_error'] or 0:.4f}[/]", False: "[bold red]NO[/]", None: ""}[row["consistent"]]


def status(content: dict) -> int:
    """1 if a rule of a file is not what it claims, or a row of a rule that claims to be lossless contradicts theory."""
    return int(bool(content["refuted"]) or any(row["consistent"] is False and row["audit"] in (None, "ok") for row in content["rows"]))


def _optimum(cell: list[dict]) -> str:
    """alpha* at the contexts, which all rows of one tree and scheme share; below them each walk meets nodes of its own."""
    known = next((row for row in cell if row["alpha_star"] is not None), None)
    if known is None:
        return "-"
    if len(known["alpha_token"]) == 1:
        return with_error(known["alpha_star"], known["alpha_star_se"])
    return with_error(known["alpha_star_token"][0], known["alpha_star_token_se"][0])


def _title(rows: list[dict]) -> str:
    return f"{rows[0]['pair']}, temperature {rows[0]['temperature']:g}, top-p {rows[0]['top_p']:g}"


def _legend(rows: list[dict]) -> str:
    fewest, calls = (min(row.get(name, 0) for row in rows) for name in ("contexts", "calls"))
    worst = max((row["stated_error"] for row in rows if row["stated_error"] is not None), default=math.nan)
    return (
        "accepted: share of nodes at which a draft was emitted. law mass: the same with the draw averaged out; beside alpha*, the optimum "
        "at the contexts. expected: exact, of the rule. gap: alpha* - law mass. tok/call: emitted tokens per target call in a decode of "
        f"the rule's own, with the bonus token, the draws shared by all. {MEANING}, prompts as clusters; "
        f"{fewest} nodes and {calls} calls or more in each row.\n"
        "within: the row is consistent: the expectation is at most alpha* at every node, and the law mass differs from it (or, with none "
        f"known, exceeds alpha*) by no more than this, {worst:.3f} at the most; a sound row fails by chance with probability {DELTA:g}. "
        "No proof: that is specjax audit."
    )


def plot(content: dict) -> "Figure":
    """Acceptance against n, a panel per scheme, one line per rule and the optimum above them; and tokens per target call."""
    from experiments import _style  # needs the extra `plots`

    rows = content["rows"]
    shown = list(dict.fromkeys(row["tree"] for row in rows))
    schemes = list(dict.fromkeys(row["scheme"] for row in rows))
    figure, axes = _style.panels(len(schemes) + 1, _title(rows))
    for rule, scheme in dict.fromkeys((row["rule"], row["scheme"]) for row in rows):
        mine = [row for row in rows if (row["rule"], row["scheme"]) == (rule, scheme)]
        for panel, name in ((axes[schemes.index(scheme)], "acceptance_law_mass"), (axes[-1], "block_efficiency")):
            known = [row for row in mine if row[name] is not None]
            x = [shown.index(row["tree"]) for row in known]
            values, spread = [row[name] for row in known], [2 * row[f"{name}_se"] for row in known]
            panel.errorbar(x, values, yerr=spread, color=_style.colour(rule), marker="o", capsize=2, label=rule)
    for scheme, panel in zip(schemes, axes, strict=False):
        best = {row["tree"]: row["alpha_star"] for row in rows if row["scheme"] == scheme and row["alpha_star"] is not None}
        panel.plot([shown.index(tree) for tree in best], list(best.values()), "k--", marker="_", label="alpha*, the optimum")
        panel.set_title(scheme)
        panel.sharey(axes[0])
        panel.set_ylabel("acceptance (law mass, ± 2 se)" if panel is axes[0] else "")
    axes[-1].set_title("speed")
    axes[-1].set_ylabel("emitted tokens per target call (± 2 se)")
    for panel in axes:
        panel.set_xticks(range(len(shown)), [tree.removeprefix("star:") for tree in shown])
        panel.set_xlabel("drafts n at a node" if all(tree.startswith("star:") for tree in shown) else "draft tree")
    legend = {label: handle for panel in axes for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=4)
    return figure
