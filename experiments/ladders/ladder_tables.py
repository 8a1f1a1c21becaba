"""The ladders as tables."""

import numpy as np
from rich.console import Console
from rich.markup import escape

from experiments.cli import tables
from experiments.cli.tables import MEANING, Table, number, with_error
from experiments.ladders.ladder import Ladder, Study, best_rule, best_scheme, chain, curves, star
from experiments.ladders.top_k import TopKStudy
from experiments.stats.means import Interval, Values, interval

ABSENT = "-: takes no such drafts, is too large to enumerate, fails, or searches and was not named"

BIAS = (
    "\nTV, KL: how far the emitted law of a lossy rule lies from p; it accepts at most alpha* + TV"
)


def show_laws(ladder: Ladder, console: Console) -> None:
    """Of two laws: the schemes, the rules."""
    optima = Table(("scheme", "alpha*", "|H*|"), title=f"n = {ladder.n}: the optimum")
    for scheme, best in ladder.alpha_star.items():
        size = ladder.subset_size[scheme]
        optima.add(scheme, _value(best), "-" if size is None else str(size))
    console.print(optima)
    bias = {"TV": ladder.tv, "KL": ladder.kl} if ladder.tv else {}
    accepted = Table(("rule", "scheme", "acceptance", "gap", *bias), 2, "the rules")
    for rule, values in ladder.acceptance.items():
        under = ladder.under[rule]
        best = ladder.alpha_star[under] if under else None
        gap = None if values is None or best is None else best - values
        gap = np.maximum(gap, 0) if gap is not None and rule not in ladder.tv else gap
        cells = (_value(of.get(rule)) for of in (ladder.acceptance, {rule: gap}, *bias.values()))
        accepted.add(escape(ladder.named(rule)), under or "-", *cells)
    console.print(accepted)
    console.print(f"{ABSENT}{BIAS if bias else ''}")


def show_contexts(study: Study, console: Console) -> None:
    """Of many contexts: a column for each n, and what the figures mean."""
    ladders = study.ladders
    heads = ("accepted of n drafts", *(f"n = {ladder.n}" for ladder in ladders))
    table = Table(heads, title=f"{study.contexts} contexts, V = {study.vocabulary}")
    first_try = interval(study.first_try)
    table.add("1 - TV, the first draft", *[_mean(first_try)] * len(ladders))
    table.add("singleton bound, iid", *(_mean(interval(ladder.singleton)) for ladder in ladders))
    for scheme, rules in curves(ladders).items():
        table.add_section()
        table.add(
            f"[bold]alpha* {scheme}[/]",
            *(_mean(_interval(ladder.alpha_star[scheme])) for ladder in ladders),
        )
        for rule in rules:
            held = [
                ladder.acceptance[rule] if ladder.under[rule] == scheme else None
                for ladder in ladders
            ]
            drawn = any(rule in ladder.estimated for ladder in ladders)
            table.add(
                f"{'~' if drawn else ' '} {escape(ladders[0].named(rule))}",
                *(_mean(_interval(values)) for values in held),
            )
            for name, of in (("TV", "tv"), ("KL", "kl")) if rule in ladders[0].tv else ():
                lost = [getattr(ladder, of)[rule] for ladder in ladders]
                table.add(f"    {name} from p", *(_mean(_interval(values)) for values in lost))
    table.add_section()
    table.add("[bold]tokens per target call[/]")
    table.add("  chain of n, 1 - TV", *(_mean(chain(first_try, ladder.n)) for ladder in ladders))
    table.add(
        "  star of n, best rule", *(_mean(best and star(best)) for best in map(best_rule, ladders))
    )
    table.add(
        "  star of n, best alpha*",
        *(_mean(best and star(best)) for best in map(best_scheme, ladders)),
    )
    console.print(table)
    texts = len(study.entropy) if study.entropy.ndim > 1 else 0
    units = (
        f"{texts} texts."
        if texts > 1
        else "contexts taken as independent: too small where many are of one text."
    )
    console.print(
        f"{MEANING} over {units} "
        "All values are exact but those of rules marked ~, which have no closed form for every n: "
        "estimated, from a few drawn sets of "
        "drafts at each context. A star of n drafts emits 1 + alpha tokens per call, a chain of n "
        "sum_{k<=n} a^k with a the mean of "
        "1 - TV, if acceptances are independent.\n"
        f"{study.contexts / (study.seconds or np.nan):.3g} contexts per second, once compiled."
        f"{BIAS if ladders[0].tv else ''}"
    )


def show_top_k(study: TopKStudy, console: Console) -> None:
    """Of top-k lists: both ends for each n, and what the lists leave unknown."""
    target, draft = study.listed
    table = Table(
        ("n", "alpha* iid at least", "at most", "95 % of the mean"),
        title=f"{study.contexts} contexts, k = {target} of p and {draft} of q",
    )
    for found in study.intervals:
        lower = interval(found.lower)
        upper = interval(found.upper)
        table.add(str(found.n), _mean(lower), _mean(upper), tables.interval(lower.low, upper.high))
    console.print(table)
    rest = [_mean(interval(unknown)) for unknown in study.unknown]
    console.print(
        f"Not listed: {rest[0]} of p, {rest[1]} of q. Whichever tokens hold it, alpha* lies "
        "between both ends at every context; n = 1 is 1 - TV.\n"
        f"{MEANING} over contexts taken as independent: too small where many are of one text."
    )


def _interval(values: Values | None) -> Interval | None:
    return None if values is None else interval(values)


def _mean(value: Interval | None) -> str:
    return "-" if value is None else with_error(value.mean, value.error)


def _value(values: Values | None) -> str:
    return "-" if values is None else number(values[0], 6)
