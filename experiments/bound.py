"""The bound ladder of two laws, or of many contexts: the optimum of every drafting scheme, and what
each rule attains of it.

alpha* is the largest probability, over all lossless rules, that the emitted token is one of the n
drafts. A rule is taken under the first scheme that its proof covers. Two laws are computed in
float64. Files of logits are streamed, in float32: one row per context, the same contexts in both
files; -inf marks a masked token. Rows that are >= 0 and sum to 1 are read as probabilities.

Files of top-k log-probabilities with their ids give an interval of alpha* of iid drafts. It holds
whatever the unlisted tokens are.
"""

import dataclasses
import itertools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from experiments.audits import file_audit
from experiments.inputs import law_files, logit_files, model_logits, sampling_options, top_k_files
from experiments.inputs.sampling_options import PairSampling, PairSamplingOptions
from experiments.ladders import context_rows, ladder_tables, many_contexts, top_k, two_laws
from experiments.ladders.ladder import Ladder, Study, best_rule, best_scheme, chain, curves, star
from experiments.ladders.top_k import TopKStudy
from experiments.stats.means import Values, interval
from specjax.models import pairs
from specjax.numerics import AS_IS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MARKS = "osv^D<>pPX*hd"
ATTAINED = 1e-6  # a smaller gap to alpha* is not drawn
NOTHING_DONE = PairSampling(AS_IS, AS_IS)


@dataclasses.dataclass(frozen=True)
class Config(PairSamplingOptions):
    """The laws.

    Attributes:
      target: p as a vector of V probabilities, or the target's logits [T, V], or [B, T, V] of B
        texts: .npy, .npz or .safetensors; of several arrays one by name, FILE:NAME. Or a .npz with
        top-k log-probabilities [T, k], `logprobs`, and the `ids` of their tokens; -inf is no entry.
        Or a Hugging Face folder or GGUF file with the target model.
      draft: q likewise, with any k; or, beside a folder, another one or layers of the target:
        exit:4, skip:3,7, layers:0-5.
      n: numbers of drafts.
      rules: names of rules, or paths of Python files; if none is named all but those that search
        and those that are lossy.
      vocabulary: tokens of both files that count; what is beyond them is padding.
      shift: compare row k + 1 of the target with row k of the draft, in every text.
      rows: write the values of every context there, as .csv or .parquet.
      prompts: the texts that models in folders read, in place of those that specjax carries.
    """

    target: Path
    draft: Path
    n: tuple[int, ...] = (1, 2, 4, 8)
    rules: tuple[str, ...] = ()
    vocabulary: int | None = None
    shift: bool = False
    rows: Path | None = None
    prompts: Path | None = None


def run(config: Config) -> Study | TopKStudy:
    """The ladders; of top-k lists the intervals.

    Raises:
      ValueError: the files do not hold two laws, or logits or lists of the same contexts; n < 1; no
        named rule has a value here.
    """
    if config.rows:
        context_rows.check(config.rows)
    study = _study_of_models(config) if pairs.is_model(config.target) else _study(config)
    if config.rows:
        context_rows.write(config.rows, study)
    return study


def _study_of_models(config: Config) -> Study | TopKStudy:
    """The ladders of what two models say, by way of files that go away."""
    pair = pairs.load(f"{config.target}{pairs.BETWEEN}{config.draft}")
    with tempfile.TemporaryDirectory() as folder:
        files = model_logits.write(pair, config.prompts, Path(folder))
        return _study(
            dataclasses.replace(config, target=files.target, draft=files.draft, prompts=None)
        )


def _study(config: Config) -> Study | TopKStudy:
    if config.prompts:
        raise ValueError("prompts: they are read by models in folders, got files of logits")
    if min(config.n, default=0) < 1:
        raise ValueError(f"n: expected numbers >= 1, got {config.n}")
    sampling = sampling_options.of_pair(config)
    if top_k_files.holds(config.target) or top_k_files.holds(config.draft):
        return _study_of_lists(config, sampling)
    target = logit_files.find(config.target)
    draft = logit_files.find(config.draft)
    for file in (target, draft):
        if len(file.shape) not in (1, 2, 3):
            raise ValueError(
                f"{file.path}: expected probabilities [V] or logits [T, V] or [B, T, V], got shape "
                f"{file.shape}"
            )
    if len(target.shape) != len(draft.shape):
        raise ValueError(
            f"{target.path} has shape {target.shape} and {draft.path} {draft.shape}: expected two "
            "vectors or two matrices"
        )
    audits = file_audit.findings(config.rules)
    if len(target.shape) > 1:
        parts = _part(target, config, int(config.shift)), _part(draft, config, 0)
        return many_contexts.study(*parts, config.n, config.rules, sampling, audits)
    if sampling != NOTHING_DONE or config.vocabulary is not None or config.shift:
        raise ValueError(
            "temperature, top-k, top-p, min-p, order, vocabulary and shift act on logits [T, V], "
            "got two vectors of probabilities"
        )
    return two_laws.study(
        *law_files.load_pair(config.target, config.draft), config.n, config.rules, audits
    )


def _study_of_lists(config: Config, sampling: PairSampling) -> TopKStudy:
    lists = top_k_files.load_pair(config.target, config.draft)
    if sampling != NOTHING_DONE or config.vocabulary is not None or config.shift or config.rules:
        raise ValueError(
            "temperature, top-k, top-p, min-p, order, vocabulary, shift and rules need whole laws, "
            "got top-k log-probabilities"
        )
    return top_k.study(*lists, config.n)


def _part(file: logit_files.FloatArray, config: Config, first: int) -> logit_files.FloatArray:
    """What counts of a file: the rows of every text from the first on, as many as have a partner,
    and the tokens without padding.
    """
    contexts = max(file.shape[-2] - config.shift, 0)
    tokens = config.vocabulary if config.vocabulary is not None else file.shape[-1]
    if config.vocabulary is not None and not 1 <= tokens <= file.shape[-1]:
        raise ValueError(
            f"vocabulary: {file.path} has from 1 to {file.shape[-1]} tokens, got {tokens}"
        )
    if (contexts, tokens) == file.shape[-2:]:
        return file
    return logit_files.part(file, first, first + contexts, tokens)


def document(study: Study | TopKStudy) -> object:
    """The ladders as JSON: one object for one n, else a list."""
    if isinstance(study, TopKStudy):
        ladders = [_list_document(study, found) for found in study.intervals]
    elif study.seconds is None:
        ladders = [_law_document(ladder) for ladder in study.ladders]
    else:
        ladders = [_logits_document(study, ladder) for ladder in study.ladders]
    return ladders[0] if len(ladders) == 1 else ladders


def _list_document(study: TopKStudy, found: top_k.Interval) -> dict[str, object]:
    unknown_p, unknown_q = map(interval, study.unknown)
    ends = {"lower": found.lower, "upper": found.upper}
    return {
        "n": found.n,
        "alpha_star": {"iid": {end: interval(values)._asdict() for end, values in ends.items()}},
        "unknown": {"target": unknown_p._asdict(), "draft": unknown_q._asdict()},
        "contexts": study.contexts,
    }


def _law_document(ladder: Ladder) -> dict[str, object]:
    def first(table: Mapping[str, Values | None]) -> dict[str, float | None]:
        return {name: None if values is None else values[0] for name, values in table.items()}

    return {
        "n": ladder.n,
        "alpha_star": first(ladder.alpha_star),
        "acceptance": first(ladder.acceptance),
        **{name: first(held) for name, held in _bias(ladder).items()},
    } | _audit_document(ladder)


def _logits_document(study: Study, ladder: Ladder) -> dict[str, object]:
    def document(values: Values | None) -> dict[str, float] | None:
        return None if values is None else interval(values)._asdict()

    def documents(table: Mapping[str, Values | None]) -> dict[str, dict[str, float] | None]:
        return {name: document(values) for name, values in table.items()}

    best = {"star_best_rule": best_rule(ladder), "star_optimum": best_scheme(ladder)}
    stars = {name: None if alpha is None else star(alpha)._asdict() for name, alpha in best.items()}
    return {
        "n": ladder.n,
        "alpha_star": documents(ladder.alpha_star),
        "acceptance": documents(ladder.acceptance),
        **{name: documents(held) for name, held in _bias(ladder).items()},
        "first_try_alpha": document(study.first_try),
        "singleton": document(ladder.singleton),
        "block_efficiency": {
            "chain": chain(interval(study.first_try), ladder.n)._asdict(),
            **stars,
        },
        "estimated": sorted(ladder.estimated),
        "contexts": study.contexts,
        "texts": len(study.entropy) if study.entropy.ndim > 1 else None,
    } | _audit_document(ladder)


def _bias(ladder: Ladder) -> dict[str, Mapping[str, Values | None]]:
    """TV and KL of lossy rules, if there is one."""
    return {"tv": ladder.tv, "kl": ladder.kl} if ladder.tv else {}


def _audit_document(ladder: Ladder) -> dict[str, object]:
    return (
        {"audit": {rule: finding.words for rule, finding in ladder.audits.items()}}
        if ladder.audits
        else {}
    )


def status(study: Study | TopKStudy) -> int:
    """1 if the rule of a file is not what it claims."""
    if isinstance(study, TopKStudy):
        return 0
    return int(bool(file_audit.refuted(study.ladders[0].audits)))


def show(study: Study | TopKStudy, console: Console) -> None:
    """Two tables for each n of two laws, one table of many contexts."""
    if isinstance(study, TopKStudy):
        ladder_tables.show_top_k(study, console)
        return
    if study.seconds is not None:
        ladder_tables.show_contexts(study, console)
        return
    for ladder in study.ladders:
        ladder_tables.show_laws(ladder, console)


def plot(study: Study | TopKStudy) -> "Figure":
    """The means and their intervals against n; and how far each rule stays below its alpha*,
    against the entropy of p.
    """
    from experiments.figures import style  # needs the extra `plots`

    if isinstance(study, TopKStudy):
        return _plot_band(study)
    figure, (left, right) = style.panels(2, f"{study.contexts} contexts, V = {study.vocabulary}")
    ladders = study.ladders
    last = ladders[-1]
    ns = [ladder.n for ladder in ladders]

    def line(label: str, values: list[Values | None], look: str, colour: str) -> None:
        points = [
            (n, *interval(column))
            for n, column in zip(ns, values, strict=True)
            if column is not None
        ]
        places, mean, _, _, high = np.reshape(points, (-1, 5)).T
        left.errorbar(
            places,
            mean,
            np.nan_to_num(high - mean),
            fmt=look,
            color=colour,
            capsize=2,
            label=label,
        )

    marks = itertools.cycle(MARKS)
    line("1 - TV", [study.first_try] * len(ladders), ":", "0.6")
    line("singleton bound, iid", [ladder.singleton for ladder in ladders], "-.", "0.6")
    for (scheme, names), cross in zip(
        curves(ladders).items(), itertools.cycle("_x+12"), strict=False
    ):
        line(
            f"alpha* {scheme}", [ladder.alpha_star[scheme] for ladder in ladders], f"{cross}--", "k"
        )
        for name, mark in zip(names, marks, strict=False):
            colour = style.colour(name)
            line(
                name,
                [
                    ladder.acceptance[name] if ladder.under[name] == scheme else None
                    for ladder in ladders
                ],
                f"{mark}-",
                colour,
            )
            best = last.alpha_star[scheme]
            attained = last.acceptance[name]
            if best is not None and attained is not None and name in last.lossless - last.estimated:
                right.plot(
                    study.entropy.ravel(),
                    np.maximum(best - attained, ATTAINED).ravel(),
                    mark,
                    color=colour,
                    alpha=0.5,
                    markersize=3,
                )
    left.set_xscale("log", base=2)
    left.set_xticks(ns, map(str, ns))
    left.set_xlabel("drafts n at a node")
    left.set_ylabel("acceptance, mean over contexts (95 %)")
    right.set_xlabel("entropy of p (nats)")
    right.set_yscale("log")
    right.set_ylabel(f"alpha* - rule, n = {last.n}")
    style.legend(figure, 3)
    return figure


def _plot_band(study: TopKStudy) -> "Figure":
    """A band between the means of both ends against n, each with its interval."""
    from experiments.figures import style

    figure, (panel,) = style.panels(1, f"{study.contexts} contexts, top-k")
    ns = [found.n for found in study.intervals]
    lower = np.array([interval(found.lower) for found in study.intervals])
    upper = np.array([interval(found.upper) for found in study.intervals])
    panel.fill_between(ns, lower[:, 0], upper[:, 0], color="0.85", label="alpha* iid lies here")
    for label, ends in (("at least", lower), ("at most", upper)):
        means, _, _, highs = ends.T
        reach = np.nan_to_num(highs - means)
        panel.errorbar(ns, means, reach, fmt="_--", color="k", capsize=2, label=label)
    panel.set_xscale("log", base=2)
    panel.set_xticks(ns, map(str, ns))
    panel.set_xlabel("drafts n at a node")
    panel.set_ylabel("alpha*, mean over contexts (95 %)")
    style.legend(figure, 3)
    return figure
