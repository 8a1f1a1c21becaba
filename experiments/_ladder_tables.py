"""The ladders as tables."""

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Column, Table

from experiments._ladder import Interval, Ladder, Study, Values, best_rule, best_scheme, chain, curves, interval, star

NUMBER = 10  # characters of figures like 0.1234(56)
ABSENT = "-: takes no such drafts, is too large to enumerate, fails, or searches and was not named"


def show_laws(ladder: Ladder, console: Console) -> None:
    """Of two laws: the schemes, the rules."""
    optima = Table("scheme", Column("alpha*", justify="right"), Column("|H*|", justify="right"), title=f"n = {ladder.n}: the optimum")
    for scheme, best in ladder.alpha_star.items():
        size = ladder.subset_size[scheme]
        optima.add_row(scheme, _number(best), "-" if size is None else str(size))
    console.print(optima)
    figures = (Column(head, justify="right") for head in ("acceptance", "gap"))
    accepted = Table("rule", "scheme", *figures, title="the rules", caption=ABSENT)
    for rule, values in ladder.acceptance.items():
        under = ladder.under[rule]
        best = ladder.alpha_star[under] if under else None
        gap = None if values is None or best is None else np.maximum(best - values, 0)
        accepted.add_row(rule, under or "-", _number(values), _number(gap))
    console.print(accepted)


def show_contexts(study: Study, console: Console) -> None:
    """Of many contexts: a column for each n, and what the figures mean."""
    ladders = study.ladders
    table = Table(title=f"{study.contexts} contexts, V = {study.vocabulary}", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    room = console.width - (NUMBER + 2) * len(ladders) - 3  # the spaces between and around
    table.add_column("accepted of n drafts", no_wrap=True, overflow="ellipsis", max_width=max(room, 20))  # figures stay whole
    for ladder in ladders:
        table.add_column(f"n = {ladder.n}", justify="right", no_wrap=True, min_width=NUMBER)
    first_try = interval(study.first_try)
    table.add_row("1 - TV, the first draft", *[_bracket(first_try)] * len(ladders))
    table.add_row("singleton bound, iid", *(_bracket(interval(ladder.singleton)) for ladder in ladders))
    for scheme, rules in curves(ladders).items():
        table.add_section()
        table.add_row(f"[bold]alpha* {scheme}[/]", *(_bracket(_interval(ladder.alpha_star[scheme])) for ladder in ladders))
        for rule in rules:
            held = [ladder.acceptance[rule] if ladder.under[rule] == scheme else None for ladder in ladders]
            drawn = any(rule in ladder.estimated for ladder in ladders)
            table.add_row(f"{'~' if drawn else ' '} {rule}", *(_bracket(_interval(values)) for values in held))
    table.add_section()
    table.add_row("[bold]tokens per target call[/]")
    table.add_row("  chain of n, 1 - TV", *(_bracket(chain(first_try, ladder.n)) for ladder in ladders))
    table.add_row("  star of n, best rule", *(_bracket(best and star(best)) for best in map(best_rule, ladders)))
    table.add_row("  star of n, best alpha*", *(_bracket(best and star(best)) for best in map(best_scheme, ladders)))
    console.print(table)
    texts = len(study.entropy) if study.entropy.ndim > 1 else 0
    units = f"{texts} texts." if texts > 1 else "contexts taken as independent: too narrow where many are of one text."
    console.print(
        f"1.234(56) is 1.234 ± 0.056, a 95 % t interval over {units} "
        "All values are exact but those of rules marked ~, which have no closed form for every n: estimated, from a few drawn sets of "
        "drafts at each context. A star of n drafts emits 1 + alpha tokens per call, a chain of n sum_{k<=n} a^k with a the mean of "
        "1 - TV, if acceptances are independent.\n"
        f"{study.contexts / (study.seconds or np.nan):.3g} contexts per second, once compiled."
    )


def _interval(values: Values | None) -> Interval | None:
    return None if values is None else interval(values)


def _bracket(value: Interval | None) -> str:
    """0.9123(45) for 0.9123 ± 0.0045."""
    if value is None:
        return "-"
    half = value.high - value.mean
    if np.isnan(half):
        return f"{value.mean:.4f}"
    return f"{value.mean:.4f}({round(half * 1e4)})" if half < 0.00995 else f"{value.mean:.3f}({round(half * 1e3)})"


def _number(values: Values | None) -> str:
    return "-" if values is None else f"{values[0]:.6f}"
