"""The laws of a rule by enumeration: at every tuple of drafts, under every mask, for every pair of
laws.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

import theory
from experiments.enumeration import evidence
from specjax.numerics import dot
from specjax.rules import Accepting, Rule, accepting, certificate

Array = NDArray[np.float64]
Made = TypeVar("Made")
CELLS = 40_000_000  # numbers in one table of laws: 320 MB
TOGETHER = 256  # tuples of drafts whose laws are computed side by side
# of a program that runs once: it compiles in two thirds of the time
ONCE = {"xla_backend_optimization_level": 0}


def tuples(vocabulary: int, n: int) -> NDArray[np.int32]:
    """All V^n tuples of drafts in lexicographic order, [V^n, n]."""
    return np.indices((vocabulary,) * n, dtype=np.int32).reshape(n, -1).T


def patterns(n: int) -> NDArray[np.bool_]:
    """All 2^n masks in lexicographic order: the first has no live slot, the last no masked one."""
    return tuples(2, n).astype(bool)


def prefix(n: int, live: int) -> int:
    """The row of `patterns(n)` in which the first `live` slots are live."""
    return (1 << n) - (1 << (n - live))


def members(
    drafts: NDArray[np.int32], mask: NDArray[np.bool_], vocabulary: int
) -> NDArray[np.bool_]:
    """Whether token y is one of the live drafts x: [V^n, V]."""
    found: NDArray[np.bool_] = (drafts[:, mask, None] == np.arange(vocabulary)).any(1)
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class Cases:
    """The pairs at which a rule is audited under one scheme with n slots, and what theory says of
    them.

    Attributes:
      p: [B, V].
      q: [B, V]; for the scheme `independent` [B, n, V].
      mass: [2^n, B, V^n], Q of the drafts in the live slots of a mask, put at the tuples whose
        masked slots hold 0; all zero where the scheme never leaves that many slots live.
      natural: [B], the row of the mask that the scheme itself leaves: fewer than n slots are live
        where q has too few tokens.
      optimum: [B], alpha*.
    """

    scheme: str
    n: int
    names: tuple[str, ...]
    p: Array
    q: Array
    mass: Array
    natural: NDArray[np.int64]
    optimum: Array

    @property
    def vocabulary(self) -> int:
        return int(self.p.shape[1])

    def problem(self, row: int) -> theory.Problem:
        """One of the pairs as a problem."""
        return theory.Problem(self.p[row], self.q[row], self.n, self.scheme)


def drafts(scheme: str, n: int) -> bool:
    """Whether a scheme can draft n tokens (SpecHub drafts pairs)."""
    uniform = np.full((n, 2) if scheme == "independent" else 2, 0.5)
    try:
        theory.drafting.get(scheme).live(uniform, n)
    except ValueError:
        return False
    return True


def cases(pairs: tuple[theory.battery.Pair, ...], scheme: str, n: int) -> Cases:
    """The cases of a scheme: its joint law and its optimum, from `theory`.

    Raises:
      ValueError: the scheme does not draft n tokens, or there is too much to enumerate.
    """
    vocabulary = len(pairs[0].p)
    if len(pairs) * 2**n * vocabulary ** (n + 1) > CELLS:
        raise ValueError(
            f"n = {n} with V = {vocabulary}: too large to enumerate, expected at most {CELLS} "
            "probabilities"
        )
    problems = [
        theory.Problem(p, slots(q, n) if scheme == "independent" else q, n, scheme)
        for _, p, q in pairs
    ]
    p = [problem.p for problem in problems]
    q = [problem.q for problem in problems]
    natural = [prefix(n, theory.drafting.get(scheme).live(law, n)) for law in q]
    masses = [_mass(problem, mask) for mask, problem in itertools.product(patterns(n), problems)]
    return Cases(
        scheme=scheme,
        n=n,
        names=tuple(pair.name for pair in pairs),
        p=np.stack(p),
        q=np.stack(q),
        mass=np.reshape(masses, (-1, len(pairs), vocabulary**n)),
        natural=np.array(natural),
        optimum=np.array(list(map(optimum, problems))),
    )


def slots(q: Array, n: int) -> Array:
    """One law for each of n slots: q, and q with its tokens moved round."""
    return np.stack([np.roll(q, slot) for slot in range(n)])


def _mass(problem: theory.Problem, mask: NDArray[np.bool_]) -> Array:
    """Q [V^n] of the live slots' drafts, zero where the scheme does not leave these slots live."""
    vocabulary = len(problem.p)
    count = int(mask.sum())
    mass = np.zeros((vocabulary,) * problem.n)
    if count == 0:
        mass.flat[0] = 1
        return mass.reshape(-1)
    try:
        q = problem.q[mask] if problem.q.ndim == 2 else problem.q
        joint = theory.Problem(problem.p, q, count, problem.drafting).joint()
    except ValueError:  # the scheme does not draft this many tokens (SpecHub's pairs)
        return mass.reshape(-1)
    if joint.tokens.shape[1] == count:
        index = np.zeros((len(joint.tokens), problem.n), np.int64)
        index[:, mask] = joint.tokens
        mass[tuple(index.T)] = joint.mass
    return mass.reshape(-1)


def optimum(problem: theory.Problem) -> float:
    """alpha* by the scheme's formula, else over all subsets, else by the linear program."""
    if hasattr(theory.drafting.get(problem.drafting), "optimum"):
        return theory.subsets.optimum(problem).value
    small = len(problem.p) <= 12
    return (theory.subsets.brute_force(problem) if small else theory.lp.solve(problem)).value


def laws(
    rule: Rule,
    p: Array,
    q: Array,
    n: int,
    masks: NDArray[np.bool_],
    dtype: type = np.float64,
) -> Array:
    """K[b, mask, x, y] of a rule, computed in `dtype`: [B, M, V^n, V]. A per-pair rule carries a
    leading axis B on its fields.
    """
    with jax.enable_x64(dtype is np.float64):
        drafts = tuples(p.shape[1], n)
        found = _laws(cast(rule, dtype), drafts, p.astype(dtype), q.astype(dtype), masks)
        return np.asarray(found, np.float64)


def cast(made: Made, dtype: type) -> Made:
    """A rule or verifier with its numbers in `dtype`."""

    def number(leaf: object) -> object:
        return np.asarray(leaf, dtype) if np.asarray(leaf).dtype.kind == "f" else leaf

    numbers: Made = jax.tree.map(number, made)
    return numbers


@jax.jit
def _laws(
    rule: Rule,
    drafts: jax.Array,
    p: jax.Array,
    q: jax.Array,
    masks: jax.Array,
) -> jax.Array:
    def at(
        rule: Rule,
        p: jax.Array,
        q: jax.Array,
        mask: jax.Array,
        tokens: jax.Array,
    ) -> jax.Array:
        return evidence.given(rule, tokens, mask, p).law(tokens, p, q, mask)

    over_drafts = jax.vmap(at, (None, None, None, None, 0))
    over_masks = jax.vmap(over_drafts, (None, None, None, 0, None))
    return jax.vmap(over_masks, (0 if rule.claims.per_pair else None, 0, 0, None, None))(
        rule, p, q, masks, drafts
    )


def expectations(
    expected: Callable[[jax.Array, jax.Array], jax.Array],
    p: Array,
    q: Array,
    dtype: type = np.float64,
) -> Array:
    """A closed form over a batch of pairs, computed in `dtype`."""
    with jax.enable_x64(dtype is np.float64):
        program = jax.jit(jax.vmap(expected), compiler_options=ONCE)
        return np.asarray(program(p.astype(dtype), q.astype(dtype)), np.float64)


def certificates(rule: Rule, cases: Cases, dtype: type) -> Array:
    """The rule's certificate at every pair, computed in `dtype`: [B, 5]."""
    with jax.enable_x64(dtype is np.float64):
        laws: tuple[Array, Array] = (cases.p.astype(dtype), cases.q.astype(dtype))
        return np.asarray(_certificates(rule, *laws, cases.n, cases.scheme), np.float64)


@functools.partial(jax.jit, static_argnames=("n", "scheme"))
def _certificates(
    rule: Rule,
    p: jax.Array,
    q: jax.Array,
    n: int,
    scheme: str,
) -> jax.Array:
    def at(p: jax.Array, q: jax.Array) -> jax.Array:
        return jnp.stack(jnp.broadcast_arrays(*(certificate(rule, p, q, n, scheme) or ())))

    return jax.vmap(at)(p, q)


class Accepted(NamedTuple):
    """What a rule accepts at every pair, under every mask.

    Attributes:
      given: [B, M, V^n, V], of each token given the drafts.
      mass: [B, M, V], its mean by the rule's own word.
    """

    given: Array
    mass: Array


def accepted(rule: Rule, cases: Cases, masks: NDArray[np.bool_], dtype: type) -> Accepted:
    """What a rule that states its accepted mass accepts, computed in `dtype`."""
    drafts = tuples(cases.vocabulary, cases.n)
    with jax.enable_x64(dtype is np.float64):
        found = _accepted(
            cast(rule, dtype), drafts, cases.p.astype(dtype), cases.q.astype(dtype), masks
        )
        slots = np.asarray(found.drafts, np.float64)
        mass = np.asarray(found.mass[:, :, 0], np.float64)
    is_token = (drafts[:, :, None] == np.arange(cases.vocabulary)).astype(np.float64)
    return Accepted(np.einsum("bmxi,xiv->bmxv", slots, is_token), mass)


@jax.jit
def _accepted(
    rule: Rule,
    drafts: jax.Array,
    p: jax.Array,
    q: jax.Array,
    masks: jax.Array,
) -> Accepting:
    def at(p: jax.Array, q: jax.Array, mask: jax.Array, tokens: jax.Array) -> Accepting:
        return accepting(rule, tokens, p, q, mask)

    over_drafts = jax.vmap(at, (None, None, None, 0))
    over_masks = jax.vmap(over_drafts, (None, None, 0, None))
    found: Accepting = jax.vmap(over_masks, (0, 0, None, None))(p, q, masks, drafts)
    return found


def planned(make: Callable[[jax.Array], Rule], cases: Cases) -> Rule:
    """The per-pair rule that holds the optimal plan of every case."""
    with jax.enable_x64(True):
        plans = [theory.lp.plan(cases.problem(row)) for row in range(len(cases.names))]
        return make(jnp.asarray(np.stack(plans)))


class Attained(NamedTuple):
    """What a rule makes of one pair of laws.

    Attributes:
      acceptance: P(the emitted token is one of the drafts).
      emitted: [V], the law of the emitted token.
    """

    acceptance: float
    emitted: Array


Sums = tuple[jax.Array, jax.Array]


@functools.partial(jax.jit, static_argnames="n")
def _attained(
    rule: Rule,
    drafts: jax.Array,
    mass: jax.Array,
    live: jax.Array,
    p: jax.Array,
    q: jax.Array,
    n: int,
) -> Sums:
    """The mean of the law's mass on the drafts, and that of the law."""
    mask = jnp.arange(n) < live

    def at(tokens: jax.Array) -> Sums:
        law = evidence.given(rule, tokens, mask, p).law(tokens, p, q, mask)
        live = jnp.where(mask, tokens, p.shape[0])
        hit = jnp.zeros(p.shape, bool).at[live].set(True, mode="drop")
        return jnp.sum(jnp.where(hit, law, 0)), law

    def add(sums: Sums, drawn: Sums) -> tuple[Sums, None]:
        hits, laws = jax.vmap(at)(drawn[0])
        return (sums[0] + dot(drawn[1], hits), sums[1] + dot(drawn[1], laws)), None

    found: Sums = jax.lax.scan(add, (jnp.zeros((), p.dtype), jnp.zeros_like(p)), (drafts, mass))[0]
    return found


def attained(rule: Rule, problem: theory.Problem) -> Attained:
    """The exact acceptance and emitted law of a rule at one pair of laws, tuple by tuple. Cost: V^n
    laws, O(V) memory for each of those side by side.
    """
    joint = problem.joint()
    live = joint.tokens.shape[1]
    more = (0, -len(joint.tokens) % TOGETHER)  # the last tuple again, without mass
    drafts = np.pad(np.pad(joint.tokens, (more, (0, 0)), "edge"), ((0, 0), (0, problem.n - live)))
    rows = drafts.astype(np.int32).reshape(-1, TOGETHER, problem.n)
    mass = np.pad(joint.mass, more).reshape(-1, TOGETHER)
    with jax.enable_x64(True):
        accepted, law = _attained(rule, rows, mass, live, problem.p, problem.q, problem.n)
        return Attained(float(accepted), np.asarray(law))


def acceptance(rule: Rule, problem: theory.Problem) -> float:
    """The exact acceptance of a rule at one pair of laws; see `attained`."""
    return attained(rule, problem).acceptance
