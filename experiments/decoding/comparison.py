"""What rules and verifiers accept at the target's own contexts, beside what theory expects, and how
fast a decode of each goes.
"""

import math
from pathlib import Path
from typing import NamedTuple, TypedDict

import jax
import numpy as np
from jaxtyping import Array, Int

from experiments.cli import pool, seeds
from experiments.decoding import sequoia, target_texts
from experiments.decoding.paired import Calls, Measured, measure
from experiments.decoding.programs import Program, programs
from experiments.inputs import named_verifiers, prompt_files, sampling_options
from experiments.inputs.penalty_options import NO_PENALTY, PenaltyOptions, penalised
from experiments.inputs.sampling_options import PairSampling, columns
from experiments.stats import consistency
from experiments.stats.means import Mean, clustered_mean, ratio_of_means
from specjax import decode
from specjax._types import Rule
from specjax.models import Pair, pairs
from specjax.trees import growth
from specjax.verifiers import Verifier, node_rule

DELTA = 3e-5  # chance that a sound row is inconsistent; it is the same in every company of rules
UNDRAWN = "top_n"  # the scheme under which a tree is a function of the context
DECODED = 4  # a rule's own decode makes one target call for so many contexts
SMALL = 1024  # up to this V, MANY contexts are looked at if not said otherwise; beyond, FEW
MANY, FEW = 2048, 256


class ByPrompt(TypedDict):
    """Means over each prompt's nodes, and how many these are."""

    nodes: list[int]
    acceptance: list[float | None]
    alpha_star: list[float | None]


class Row(sampling_options.Columns):
    """A rule or verifier on one tree, None if it cannot be stated; `_se` is a standard error.

    Attributes:
      draft_sampling: how the draft's laws came about, where it has its own.
      acceptance_count: share of nodes at which a draft was emitted.
      acceptance_law_mass: the same with the draw averaged out.
      expected: the rule's exact acceptance.
      gap: alpha* - law mass.
      tv, kl: of a lossy rule's emitted law from p, mean over nodes; None of a lossless one.
      efficiency: of a lossy rule, (acceptance - alpha*) / tv.
      block_efficiency: emitted tokens per target call in a decode of its own.
      fixed_tree_bound: the most that a lossless verifier emits at the calls of this decode, if the
        tree hangs on no draw.
      alpha_token, alpha_star_token: law mass and alpha* by depth.
      stated_error: the band within which the row is held to theory.
    """

    pair: str
    rule: str
    scheme: str
    n: int
    tree: str
    draft_sampling: sampling_options.Columns | None
    repetition_penalty: float
    presence_penalty: float
    contexts: int
    calls: int
    acceptance_count: float | None
    acceptance_law_mass: float | None
    expected: float | None
    alpha_star: float | None
    gap: float | None
    tv: float | None
    kl: float | None
    efficiency: float | None
    block_efficiency: float | None
    fixed_tree_bound: float | None
    acceptance_count_se: float | None
    acceptance_law_mass_se: float | None
    expected_se: float | None
    alpha_star_se: float | None
    gap_se: float | None
    tv_se: float | None
    kl_se: float | None
    efficiency_se: float | None
    block_efficiency_se: float | None
    fixed_tree_bound_se: float | None
    alpha_token: list[float | None]
    alpha_star_token: list[float | None]
    alpha_token_se: list[float | None]
    alpha_star_token_se: list[float | None]
    stated_error: float | None
    consistent: bool | None
    by_prompt: ByPrompt


class Known(NamedTuple):
    """A mean and its error; None if there is none."""

    value: float | None
    error: float | None


class Asked(NamedTuple):
    """What to compare.

    Attributes:
      pair: name of a pair of models.
      rules: names of rules and verifiers, or paths of files; none stands for all that are usual.
      trees: names of draft trees.
      sampling: of target and draft.
      contexts: at least; None for as many as suit V.
      prompts: a file in place of the pair's own.
      seed: of all random streams.
      penalties: of target and draft alike.
    """

    pair: str
    rules: tuple[str, ...]
    trees: tuple[str, ...]
    sampling: PairSampling
    contexts: int | None = None
    prompts: Path | None = None
    seed: int = 0
    penalties: PenaltyOptions = NO_PENALTY


class Plan(NamedTuple):
    """What is asked, checked and loaded.

    Attributes:
      name: of the pair.
      programs: to run.
      prompts, lengths: padded, [B, P] and [B].
      each: contexts after each prompt.
    """

    name: str
    pair: Pair
    sampling: PairSampling
    penalties: PenaltyOptions
    seed: int
    programs: list[Program]
    prompts: Int[Array, "B P"]
    lengths: Int[Array, " B"]
    each: int


def plan(asked: Asked) -> Plan:
    """Check and load what is asked.

    Raises:
      ValueError: a pair, rule, tree or file that cannot be used; a named rule that fits none of the
        trees.
    """
    if asked.contexts is not None and asked.contexts < 1:
        raise ValueError(f"contexts: expected >= 1, got {asked.contexts}")
    found = [] if sequoia.check(asked.trees) else programs(asked.rules, asked.trees)
    texts = prompt_files.read(asked.prompts) if asked.prompts else ()
    pair = penalised(pairs.load(asked.pair), asked.penalties)
    found = found or programs(
        asked.rules, sequoia.resolved(asked.trees, pair, asked.sampling, asked.seed)
    )
    contexts = asked.contexts or (MANY if pair.target.vocabulary <= SMALL else FEW)
    each = math.ceil(contexts / len(texts or pair.prompts))
    deepest = max(growth.drawable(one.tree)[one.scheme].topology.height for one in found)
    room = max(each, math.ceil(each / DECODED) * (deepest + 1))
    prompts, lengths = decode.padded(decode.encoded(pair, texts or pair.prompts, room))
    return Plan(
        name=pair.name,
        pair=pair,
        sampling=asked.sampling,
        penalties=asked.penalties,
        seed=asked.seed,
        programs=found,
        prompts=prompts,
        lengths=lengths,
        each=each,
    )


def rows(plan: Plan) -> list[Row]:
    """One row per rule and tree, and per verifier, scheme and tree. What cannot be stated of a
    verifier is null.
    """
    pair = plan.pair
    of_contexts = jax.random.fold_in(seeds.key(plan.seed), 0)
    of_drafts = jax.random.fold_in(seeds.key(plan.seed), 1)
    spoken = target_texts.drawn(
        pair, plan.sampling.target, of_contexts, plan.prompts, plan.lengths, plan.each
    )

    def rows_of(program: Program) -> list[Row]:
        tree = growth.drawable(program.tree)[program.scheme]
        reads = decode.evidence(*program.verifiers)
        decoder = decode.decoder(pair, tree, program.scheme, *plan.sampling, reads)
        verifiers = tuple(
            decode.verifier(one, tree.scheme, tree.topology) for one in program.verifiers
        )
        measured = measure(
            decoder, verifiers, of_drafts, pair, spoken, math.ceil(plan.each / DECODED)
        )
        return [_row(plan, program, verifier, i, measured) for i, verifier in enumerate(verifiers)]

    *others, first = sorted(plan.programs, key=lambda program: -len(program.verifiers))
    order = [first, *others]  # a row is there soon, and no core waits at the end
    done = dict(
        zip(
            [program[:2] for program in order],
            pool.run(rows_of, order, plan.name, _told),
            strict=True,
        )
    )
    return [row for program in plan.programs for row in done[program[:2]]]


def _told(rows: list[Row]) -> str:
    """The first figures of a program, for those who wait."""
    spoken = [f"{row['rule']} {row['block_efficiency']:.3f}" for row in rows]
    return f"{rows[0]['tree']} {rows[0]['scheme']}, tokens per call: {', '.join(spoken)}"


def _row(
    plan: Plan,
    program: Program,
    verifier: Verifier,
    index: int,
    measured: Measured,
) -> Row:
    """What verifier `index` did at the contexts, and how fast the decode that it led went."""
    target, draft = plan.sampling
    seen = measured.contexts
    own = measured.led[index]
    nodes = jax.tree.map(lambda table: table[:, :, index], seen.nodes)
    used = seen.ran[:, :, None] & (nodes.proposed > 0)
    mass = np.asarray(nodes.law_mass, np.float64)
    expected = np.asarray(nodes.expected, np.float64)
    optimum = np.asarray(nodes.alpha_star, np.float64)
    count = _known(clustered_mean(nodes.hit.astype(float), used))
    law_mass = _known(clustered_mean(mass, used))
    stated = _known(clustered_mean(expected, used))
    alpha_star = _known(clustered_mean(optimum, used))
    gap = _known(clustered_mean(optimum - mass, used))
    efficiency = _known(clustered_mean(own.emitted.astype(float), own.ran))
    most = fixed_tree_bound(program.scheme, own)
    alpha_token, alpha_token_se = _by_depth(mass, used)
    alpha_star_token, alpha_star_token_se = _by_depth(optimum, used)
    rule = node_rule(verifier)
    tv = np.asarray(nodes.tv, np.float64)
    lossy = used & (rule is not None and not rule.claims.lossless)
    bias = _known(clustered_mean(tv, lossy))
    entropy = _known(clustered_mean(np.asarray(nodes.kl, np.float64), lossy))
    attained = mass if np.isnan(expected[used]).any() else expected
    gained = _known(ratio_of_means(attained - optimum, tv, lossy))
    line = np.minimum(1, optimum + tv)
    consistent, error = _verdict(rule, mass[used], expected[used], line[used], DELTA)
    return {
        "pair": plan.name,
        "rule": named_verifiers.short(verifier),
        "scheme": program.scheme,
        "n": growth.drawable(program.tree)[program.scheme].topology.width,
        "tree": program.tree,
        **columns(target),
        "draft_sampling": columns(draft) if draft != target else None,
        "repetition_penalty": plan.penalties.repetition_penalty,
        "presence_penalty": plan.penalties.presence_penalty,
        "contexts": int(used.sum()),
        "calls": int(own.ran.sum()),
        "acceptance_count": count.value,
        "acceptance_law_mass": law_mass.value,
        "expected": stated.value,
        "alpha_star": alpha_star.value,
        "gap": gap.value,
        "tv": bias.value,
        "kl": entropy.value,
        "efficiency": gained.value,
        "block_efficiency": efficiency.value,
        "fixed_tree_bound": most.value,
        "acceptance_count_se": count.error,
        "acceptance_law_mass_se": law_mass.error,
        "expected_se": stated.error,
        "alpha_star_se": alpha_star.error,
        "gap_se": gap.error,
        "tv_se": bias.error,
        "kl_se": entropy.error,
        "efficiency_se": gained.error,
        "block_efficiency_se": efficiency.error,
        "fixed_tree_bound_se": most.error,
        "alpha_token": alpha_token,
        "alpha_star_token": alpha_star_token,
        "alpha_token_se": alpha_token_se,
        "alpha_star_token_se": alpha_star_token_se,
        "stated_error": _number(error),
        "consistent": consistent,
        "by_prompt": _by_prompt(used, mass, optimum),
    }


def _known(mean: Mean) -> Known:
    return Known(*map(_number, mean))


def fixed_tree_bound(scheme: str, calls: Calls) -> Known:
    """The fixed-tree bound at the calls of a decode; none if drafts are drawn."""
    if scheme != UNDRAWN:
        return Known(None, None)
    return _known(clustered_mean(calls.most.astype(float), calls.ran))


def _by_depth(
    values: np.ndarray, used: np.ndarray
) -> tuple[list[float | None], list[float | None]]:
    """The mean of each depth, and its error."""
    depths = range(values.shape[-1] - 1)  # nothing is proposed below depth D
    found = [_known(clustered_mean(values[..., d], used[..., d])) for d in depths]
    errors = [one.error for one in found]
    return [one.value for one in found], errors


def _by_prompt(used: np.ndarray, mass: np.ndarray, optimum: np.ndarray) -> ByPrompt:
    """The units of a bootstrap. Prompts without a node are left out."""
    axes = tuple(range(1, used.ndim))
    nodes = used.sum(axes)
    held = nodes > 0

    def means(values: np.ndarray) -> list[float | None]:
        found = np.where(used, values, 0).sum(axes)[held] / nodes[held]
        return [*map(_number, found.tolist())]

    return {
        "nodes": nodes[held].tolist(),
        "acceptance": means(mass),
        "alpha_star": means(optimum),
    }


def _verdict(
    rule: Rule | None,
    mass: np.ndarray,
    expected: np.ndarray,
    line: np.ndarray,
    delta: float,
) -> tuple[bool | None, float]:
    """Whether the measured law mass agrees with theory, and the error within which it was held to;
    None where theory is silent.

    No rule lies above the line alpha* + TV, nan where its bias is not known.
    """
    if rule is None:
        return None, math.nan
    if not np.isnan(expected).any():
        stated = consistency.allowance(expected, delta)
        above = consistency.exceeds(expected, line)
        return bool(abs(np.mean(mass - expected)) <= stated and not above), stated
    if not np.isnan(line).any():
        stated = consistency.allowance_above(line, delta)
        return bool(np.mean(mass - line) <= stated), stated
    return None, math.nan


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
