"""One cell of synthetic laws: a rule's acceptance at every context, beside the optimum. Cells share
their compiled programs.
"""

import functools
import hashlib
import json
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from experiments.cli import seeds
from experiments.cli.rows import Record
from experiments.inputs import sampling_options
from experiments.inputs.sampling_options import PairSampling
from experiments.stats.consistency import ROUNDING
from experiments.stats.means import Mean, Values, mean, ratio_of_means
from experiments.sweeps.folder import Measured
from experiments.sweeps.grids import Cell
from specjax import bounds, families, rules, sharding
from specjax._types import Law, RandomKey, Rule
from specjax.families import Family
from specjax.numerics import AS_IS, relative_entropy, total_variation

A = TypeVar("A", Array, Values)
SAMPLES = 8  # sets of drafts drawn at each context for a rule without a closed form
TOGETHER = 2**17  # probabilities that a device works on at once
KEPT = 2**24  # probabilities of laws that stay in memory for the next cell


class Laws(NamedTuple):
    """Where a cell's laws come from: all that they depend on."""

    family: str
    vocabulary: int
    sampling: PairSampling
    seed: int


class Optimum(NamedTuple, Generic[A]):
    """What is known of a context before any rule rules: alpha*, the upper end of its bracket, 1 -
    TV(p, q).
    """

    alpha_star: A
    upper: A
    first_try: A


class Acceptance(NamedTuple):
    """A rule's acceptance at a context.

    Attributes:
      error: the standard error of an estimate, 0 where it is exact.
      tv, kl: of the law that the rule emits from p; nan if a lossy rule states no such law.
    """

    value: Array
    error: Array
    tv: Array
    kl: Array


def measure(cell: Cell) -> Measured:
    """The cell's row, and its columns by context.

    The laws depend on family, V and seed, and an estimate's drafts on scheme and n besides: rules
    see the same of both.
    """
    assert cell.family is not None
    assert cell.vocabulary is not None
    assert cell.scheme is not None
    assert cell.n is not None
    laws = Laws(cell.family, cell.vocabulary, sampling_options.of_pair(cell), cell.seed)
    optimum = _optimum(laws, cell.scheme, cell.n, cell.contexts)
    program, exact = _program(cell.rule, cell.scheme, cell.n)
    accepted, error, *bias = _over_contexts(program, laws, (cell.scheme, cell.n), cell.contexts)
    held = {
        "acceptance_values": accepted,
        "alpha_star_values": optimum.alpha_star,
        "weights": np.ones(cell.contexts),
    }
    row = _row(cell, accepted, optimum, bias, exact)
    return Measured(
        row, held | {"error": error, "upper": optimum.upper, "first_try_values": optimum.first_try}
    )


@functools.lru_cache(maxsize=64)
def _optimum(laws: Laws, scheme: str, n: int, contexts: int) -> Optimum[Values]:
    return Optimum(*_over_contexts(_bound(scheme, n), laws, (), contexts))


def _over_contexts(
    program: Callable[..., Optimum[Array] | Acceptance],
    laws: Laws,
    purpose: tuple[str | int, ...],
    contexts: int,
) -> list[Values]:
    """The columns of what program(key, p, q) gives, in float64, a row a context; the key belongs to
    the laws and to this purpose.
    """
    at_most = max(KEPT // laws.vocabulary, 1)
    together = max(TOGETHER // laws.vocabulary, 1) * sharding.all_devices().size
    key = stream(*_names(laws), *purpose)
    parts = []
    for start in range(0, contexts, at_most):
        size = min(at_most, contexts - start)
        p, q = _sampled(laws, start, size)
        for low in range(0, size, together):
            rows = slice(low, min(low + together, size))
            keys = _keys(key, start + low, rows.stop - low)
            parts.append(
                [
                    np.asarray(column)
                    for column in sharding.map_over_keys(
                        program, keys, sharding.all_devices(), p[rows], q[rows]
                    )
                ]
            )
    return [np.concatenate(column).astype(np.float64) for column in zip(*parts, strict=True)]


def _names(laws: Laws) -> tuple[str | int, ...]:
    return laws.family.partition(":")[0], laws.vocabulary, laws.seed


def stream(*names: str | int) -> RandomKey:
    """The key that belongs to these names."""
    digest = hashlib.sha256(json.dumps(names).encode()).digest()
    return seeds.key(int.from_bytes(digest[:8], "big", signed=True))


def _keys(key: RandomKey, start: int, count: int) -> Key[Array, " K"]:
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(start, start + count))


@functools.lru_cache(maxsize=1)
def _sampled(laws: Laws, start: int, size: int) -> families.Laws:
    """p and q [size, V] of the contexts from `start` on."""
    family = families.parse(laws.family)
    each = jax.tree.map(lambda leaf: np.full(size, leaf), family)
    return sharding.map_over_keys(
        _sampler(laws.vocabulary, laws.sampling),
        _keys(stream(*_names(laws)), start, size),
        sharding.all_devices(),
        each,
    )


@functools.cache
def _sampler(
    vocabulary: int, sampling: PairSampling
) -> Callable[[RandomKey, Family], families.Laws]:
    def sample(key: RandomKey, family: Family) -> families.Laws:
        laws = zip(family.sample(key, vocabulary), sampling, strict=True)
        return families.Laws(
            *(law if steps == AS_IS else steps.law(jnp.log(law)) for law, steps in laws)
        )

    return sample


@functools.cache
def _bound(scheme: str, n: int) -> Callable[[RandomKey, Law, Law], Optimum[Array]]:
    def bound(key: RandomKey, p: Law, q: Law) -> Optimum[Array]:
        best = (
            bounds.bracket(p, q, n, scheme)
            if scheme in bounds.schemes()
            else bounds.Bracket(*jnp.full(3, jnp.nan))
        )
        return Optimum(best.value, best.upper, bounds.overlap(p, q))

    return bound


@functools.cache
def _program(
    name: str, scheme: str, n: int
) -> tuple[Callable[[RandomKey, Law, Law], Acceptance], bool]:
    """The program of one context, and whether the acceptance that it gives is exact."""
    rule: Rule = rules.get(name)()
    stated = rules.closed_form(rule, n, scheme)
    emitted = rules.emitted(rule, n, scheme)

    def estimate(key: RandomKey, p: Law, q: Law) -> Acceptance:
        law = emitted(p, q) if emitted else jnp.full_like(p, jnp.nan)
        bias = total_variation(law, p), relative_entropy(law, p)
        if stated:
            return Acceptance(stated(p, q), jnp.zeros(()), *bias)
        return Acceptance(*rules.estimate_acceptance(key, rule, p, q, n, scheme, SAMPLES), *bias)

    return estimate, stated is not None


def _row(
    cell: Cell,
    accepted: Values,
    optimum: Optimum[Values],
    bias: list[Values],
    exact: bool,
) -> Record:
    make: type[Rule] = rules.get(cell.rule)
    tv, kl = bias
    lossy = {} if make.claims.lossless else {"tv": tv, "kl": kl}
    means: dict[str, Values] = {
        "acceptance": accepted,
        "alpha_star": optimum.alpha_star,
        "gap": optimum.alpha_star - accepted,
        "first_try_alpha": optimum.first_try,
        "block_efficiency": 1 + accepted,
        **lossy,
    }
    row: Record = {
        "scheme": cell.scheme,
        "n": cell.n,
        "vocabulary": cell.vocabulary,
        "contexts": cell.contexts,
        "exact": exact,
    }
    for name, values in means.items():
        known = mean(values) if len(values) > 1 else Mean(float(values[0]), np.nan)
        row |= {name: known.value, f"{name}_se": known.error}
    if lossy:
        gain = ratio_of_means(accepted - optimum.alpha_star, tv, np.ones(len(tv), bool))
        row |= {"efficiency": gain.value, "efficiency_se": gain.error}
    line = optimum.upper + tv
    held = exact and (make.claims.lossless or not np.isnan(line).any())
    consistent = not np.any(accepted > line + ROUNDING) if held else None
    return row | {"alpha_token": [row["acceptance"]], "consistent": consistent}
