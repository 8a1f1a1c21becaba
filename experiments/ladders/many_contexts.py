"""The ladders of many contexts whose logits lie in files: in float32, a few rows in memory at a
time, one program for each n.
"""

import functools
import math
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, NamedTuple, TypedDict, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Lowered
from jaxtyping import Array, Float, PyTree
from numpy.typing import NDArray

from experiments.audits.file_audit import Findings, refuted
from experiments.cli.console import track
from experiments.enumeration import rule_laws
from experiments.inputs import logit_files, logit_rows, named_verifiers
from experiments.inputs.sampling_options import PairSampling
from experiments.ladders.ladder import Ladder, Study, say_absent
from experiments.stats.consistency import ROUNDING
from experiments.stats.means import Values
from specjax import bounds, drafting, rules
from specjax._types import Count
from specjax.numerics import relative_entropy, total, total_variation
from specjax.rules import Law, Rule, Scalar

# probabilities that a program works on at once: with more a CPU takes longer, as the slowest
# context ends a loop
SIDE_BY_SIDE = 2**15
IN_MEMORY = 2**20  # logits in a chunk: 4 MiB in float32
SAMPLES = 4  # sets of drafts drawn at each context for a rule without a closed form
SEED = 0  # of these draws

At = Callable[[Count, Law, Law], PyTree]  # what is wanted of one context, given its row
Numbers = TypeVar("Numbers", Array, Values)


class Columns(TypedDict, Generic[Numbers]):
    """What is known of contexts, by scheme and by rule."""

    singleton: Numbers
    alpha_star: dict[str, Numbers]
    upper: dict[str, Numbers]
    acceptance: dict[str, Numbers]
    tv: dict[str, Numbers]
    kl: dict[str, Numbers]


class Plan(NamedTuple):
    """What is computed with n drafts: alpha* of the schemes; the acceptance of rules, each under
    its scheme, exactly or by an estimate; the bias of those that are lossy and state what they
    emit.

    `absent` says why a rule has no value, where it was named or fails.
    """

    n: int
    schemes: tuple[str, ...]
    under: dict[str, str]
    exact: dict[str, Callable[[Law, Law], Scalar]]
    estimated: dict[str, Rule]
    biased: dict[str, Callable[[Law, Law], Law]]
    absent: dict[str, str]


def study(
    target: logit_files.FloatArray,
    draft: logit_files.FloatArray,
    ns: tuple[int, ...],
    names: tuple[str, ...],
    sampling: PairSampling,
    audits: Findings,
) -> Study:
    """Every ladder of the contexts in two files of logits or probabilities, [T, V] or [B, T, V].

    Raises:
      ValueError: the shapes differ, a row holds no law, or no named rule has a value at any n.
      RuntimeError: an exact expectation exceeds its optimum.

    Cost: the bounds and the rules' closed forms once per context and n; memory does not grow with
    T.
    """
    if target.shape != draft.shape or 0 in target.shape:
        raise ValueError(
            f"{target.path} has shape {target.shape} and {draft.path} {draft.shape}: expected the "
            "same contexts and tokens, at least one"
            + (", --vocabulary V cuts the padding" if target.shape[:-1] == draft.shape[:-1] else "")
        )
    contexts = math.prod(target.shape[:-1])
    vocabulary = target.shape[-1]
    rows, together = chunk(contexts, vocabulary)
    chosen: list[type[Rule]] = [rules.get(name) for name in names or named_verifiers.usual()]
    plans = [_plan(n, chosen, bool(names), vocabulary) for n in ns]
    absent = {(name, plan.n): reason for plan in plans for name, reason in plan.absent.items()}
    say_absent(absent, any(plan.under for plan in plans))
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # a program mostly runs on one core
        logits = jax.ShapeDtypeStruct((rows, vocabulary), np.float32)
        probable = jax.ShapeDtypeStruct((), bool)
        to_laws = {
            steps: jax.jit(functools.partial(logit_rows.read, steps)).lower(logits, probable)
            for steps in sampling
        }
        lowered = [
            _lower(_common, logits, together),
            *(_lower(_at(plan), logits, together) for plan in plans),
        ]
        # side by side they would take twice the memory
        laws = {steps: program.compile() for steps, program in to_laws.items()}
        programs = [program.compile() for program in lowered]
        files = [_Stream(file, rows) for file in (target, draft)]
        chunks = []
        begin = time.perf_counter()
        for start in track(range(0, contexts, rows), f"{contexts} contexts"):
            pair = []
            for file, steps in zip(files, sampling, strict=True):
                read = next(file.chunks)
                values, faults = laws[steps](_padded(read, rows), file.probable)
                rows_here = start + np.arange(len(read))
                logit_rows.check(file.path, np.asarray(faults)[: len(read)], rows_here)
                pair.append(values)
            inputs = (jnp.asarray(start, np.int32), *pair)
            done = pool.map(
                lambda program, inputs=inputs: jax.tree.map(np.asarray, program(*inputs)), programs
            )
            chunks.append(tuple(done))
        seconds = time.perf_counter() - begin
    common, *values = jax.tree.map(
        lambda *parts: np.concatenate(parts)[:contexts].astype(np.float64), *chunks
    )
    for plan, columns in zip(plans, values, strict=True):
        check_optimum(_ladder(plan, columns, chosen, audits), columns["upper"])
    common, *values = jax.tree.map(
        lambda column: column.reshape(target.shape[:-1]), (common, *values)
    )
    ladders = tuple(
        _ladder(plan, columns, chosen, audits) for plan, columns in zip(plans, values, strict=True)
    )
    return Study(vocabulary, common["first_try"], common["entropy"], ladders, seconds)


class _Stream:
    """A file's chunks, and whether its first row holds probabilities."""

    def __init__(self, file: logit_files.FloatArray, rows: int) -> None:
        first = next(file.read(1)).astype(np.float32)
        self.path = file.path
        self.chunks = file.read(rows)
        self.probable = bool(logit_rows.are_laws(first)[0])
        if self.probable:
            warnings.warn(
                f"{file.path}: its rows are >= 0 and sum to 1, so they are read as probabilities, "
                "not as logits",
                stacklevel=3,
            )


def chunk(contexts: int, vocabulary: int) -> tuple[int, int]:
    """How many rows are in memory at once, and how many of these, a divisor, go through a program
    side by side.
    """
    together = min(max(SIDE_BY_SIDE // vocabulary, 1), contexts)
    return together * min(
        max(IN_MEMORY // (together * vocabulary), 1), -(-contexts // together)
    ), together


def _plan(n: int, chosen: list[type[Rule]], named: bool, vocabulary: int) -> Plan:
    """The schemes that draft n tokens and have an optimum; every rule under the first scheme that
    it covers.

    A rule is absent that takes no such drafts, serves one pair of laws only, or fails; why is noted
    of those that fail or are named.
    """
    drafted = [scheme for scheme in drafting.from_one_law() if rule_laws.drafts(scheme, n)]
    plan = Plan(
        n, tuple(scheme for scheme in drafted if scheme in bounds.schemes()), {}, {}, {}, {}, {}
    )
    for make in chosen:
        claims = make.claims
        scheme = next((scheme for scheme in drafted if scheme in claims.drafting), None)
        if scheme is None or not claims.admits(n) or claims.per_pair:
            if named:
                plan.absent[make.name] = f"does not verify {n} drafts of one law at every context"
            continue
        try:
            _take(plan, make(), scheme, vocabulary)
        except Exception as error:  # a rule may be anybody's
            plan.absent[make.name] = f"{type(error).__name__}: {error}"
    return plan


def _take(plan: Plan, rule: Rule, scheme: str, vocabulary: int) -> None:
    """Give a rule its place in the plan, once its program is seen to trace."""
    stated = rules.closed_form(rule, plan.n, scheme)
    law = jax.ShapeDtypeStruct((vocabulary,), np.float32)
    if stated:
        jax.eval_shape(stated, law, law)
        plan.exact[rule.name] = stated
    else:
        jax.eval_shape(
            lambda p, q: rules.estimate_acceptance(
                jax.random.key(SEED), rule, p, q, plan.n, scheme, SAMPLES
            ),
            law,
            law,
        )
        plan.estimated[rule.name] = rule
    plan.under[rule.name] = scheme
    emitted = rules.emitted(rule, plan.n, scheme)
    if emitted and not rule.claims.lossless:
        jax.eval_shape(emitted, law, law)
        plan.biased[rule.name] = emitted


def _padded(logits: logit_files.Rows, rows: int) -> NDArray[np.float32]:
    """The rows in float32, and flat ones after them: every chunk has one shape, so nothing compiles
    twice.
    """
    padded = np.zeros((rows, logits.shape[1]), np.float32)
    padded[: len(logits)] = logits
    return padded


def _lower(at: At, law: jax.ShapeDtypeStruct, together: int) -> Lowered:
    """The program that evaluates `at` in the rows of a chunk, given the number of the first."""

    def program(start: Count, p: Float[Array, "R V"], q: Float[Array, "R V"]) -> PyTree:
        contexts = (start + jnp.arange(len(p)), p, q)
        return jax.lax.map(lambda context: at(*context), contexts, batch_size=together)

    return jax.jit(program).lower(jax.ShapeDtypeStruct((), np.int32), law, law)


def _common(row: Count, p: Law, q: Law) -> dict[str, Scalar]:
    return {"first_try": bounds.overlap(p, q), "entropy": -total(jax.scipy.special.xlogy(p, p))}


def _at(plan: Plan) -> At:
    def columns(row: Count, p: Law, q: Law) -> Columns[Array]:
        # rules of one scheme verify the same drafts
        key = jax.random.fold_in(jax.random.key(SEED), row)
        brackets = {scheme: bounds.bracket(p, q, plan.n, scheme) for scheme in plan.schemes}
        attained = {name: expectation(p, q) for name, expectation in plan.exact.items()}
        for name, rule in plan.estimated.items():
            attained[name] = rules.estimate_acceptance(
                key, rule, p, q, plan.n, plan.under[name], SAMPLES
            ).mean
        upper = {scheme: found.upper for scheme, found in brackets.items()}
        laws = {name: emitted(p, q) for name, emitted in plan.biased.items()}
        tv = {name: total_variation(law, p) for name, law in laws.items()}
        kl = {name: relative_entropy(law, p) for name, law in laws.items()}
        return {
            "singleton": bounds.singleton_bound(p, q, plan.n),
            "alpha_star": {scheme: found.value for scheme, found in brackets.items()},
            "upper": upper,
            "acceptance": attained,
            "tv": tv,
            "kl": kl,
        }

    return columns


def _ladder(
    plan: Plan, columns: Columns[Values], chosen: list[type[Rule]], audits: Findings
) -> Ladder:
    schemes = dict.fromkeys(drafting.from_one_law())
    names = dict.fromkeys(make.name for make in chosen)
    lossless = frozenset(make.name for make in chosen if make.claims.lossless)
    lossy = dict.fromkeys(make.name for make in chosen if not make.claims.lossless)
    return Ladder(
        n=plan.n,
        singleton=columns["singleton"],
        alpha_star=schemes | columns["alpha_star"],
        subset_size=schemes,
        acceptance=names | columns["acceptance"],
        under=names | plan.under,
        lossless=lossless.difference(refuted(audits)),
        estimated=frozenset(plan.estimated),
        audits=audits,
        tv=lossy | columns["tv"],
        kl=lossy | columns["kl"],
    )


def check_optimum(ladder: Ladder, upper: dict[str, Values]) -> None:
    """The exact expectation of no lossless rule exceeds the upper end of its scheme's alpha* at any
    context by more than rounding; that of a lossy rule may exceed it by the rule's bias.

    Raises:
      RuntimeError: one does; its contexts are counted and the worst is named.
    """
    for rule, expected in ladder.acceptance.items():
        optimum = upper.get(ladder.under[rule] or "")
        bias = 0.0 if rule in ladder.lossless else ladder.tv.get(rule)
        if expected is None or optimum is None or bias is None or rule in ladder.estimated:
            continue
        optimum = optimum + bias
        above = np.nan_to_num(expected - optimum, nan=np.inf)
        count = int(np.sum(above > ROUNDING))
        worst = int(np.argmax(above))
        if count:
            raise RuntimeError(
                f"rule {rule}: its expected acceptance of n = {ladder.n} drafts exceeds alpha* "
                f"{'+ TV ' if rule in ladder.tv else ''}under {ladder.under[rule]} "
                f"at {count} of {len(above)} contexts, most in row {worst}: {expected[worst]:.9g} "
                f"above {optimum[worst]:.9g}"
            )
