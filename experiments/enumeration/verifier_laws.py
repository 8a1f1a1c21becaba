"""The laws of a verifier by enumeration: on every tree that can be drawn, and with every subtree
missing in turn.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

import theory
from experiments.enumeration import rule_laws, sampled_trees
from experiments.stats.frequencies import allowance
from specjax.trees import NO_NODE, ROOT, Draft, Topology, growth
from specjax.trees.growth import Fixed, TreeDrafting
from specjax.verifiers import Verifier, check_covers

Array = NDArray[np.float64]
Indices = NDArray[np.int32] | NDArray[np.int64]

# drawn trees for one world: V = 3, where two drafts without replacement leave something, or 2 where
# those are more
TREES = 800
GAP = ", "  # before what is missing in the name of an instance
ROWS = 20_000  # drawn trees for all worlds; the first three worlds are always audited


class World(NamedTuple):
    """The laws of the next token after every context, [S, V], as in `theory.TreeProblem`."""

    name: str
    target: Array
    draft: Array


class Instance(NamedTuple):
    """All trees of one world, with their probabilities.

    Attributes:
      name: of the world, and what is missing.
      missing: the node that was never drawn, with all below it; ROOT where nothing was drafted,
        None where the tree is whole.
      optimum: the most drafts that a lossless verifier accepts; None if not known, and where
        something is missing.
    """

    name: str
    drawn: theory.Drawn
    missing: int | None
    optimum: float | None

    @property
    def world(self) -> str:
        """The name of the world."""
        return self.name.partition(GAP)[0]


@dataclasses.dataclass(frozen=True, eq=False)
class Cases:
    """What a verifier is audited by on one tree under one scheme.

    Attributes:
      draws: how many trees of each world were drawn and counted, where theory has no law of them;
        else None.
    """

    tree: str
    scheme: str
    drafting: TreeDrafting
    instances: tuple[Instance, ...]
    draws: int | None

    @property
    def allowance(self) -> float:
        """How far chance may move the law of the emitted sequences, whatever it is; 0 where every
        tree that can be drawn is known.
        """
        target = self.instances[0].drawn.target
        sequences = target.shape[1] ** len(theory.trees.levels(target))
        return allowance(np.full(sequences, 1 / sequences), self.draws) if self.draws else 0.0

    @property
    def optimum(self) -> float | None:
        """The joint optimum, mean over the worlds in which it is known; None if it is in none."""
        known = [instance.optimum for instance in self.instances if instance.optimum is not None]
        return float(np.mean(known)) if known else None


class Rows(NamedTuple):
    """What a verifier sees: one row for each drawn tree."""

    parents: Indices
    depth: Indices
    tokens: Indices
    active: NDArray[np.bool_]
    p: Array
    q: Array


def worlds(sizes: Topology, pair: theory.battery.Pair | None) -> Iterator[World]:
    """The pair after every context; without one random laws, the battery's pairs in random order,
    then each of them everywhere.

    Raises:
      ValueError: there are too many contexts.
    """
    path = range(NO_NODE, sizes.height)
    if pair is not None:
        vocabulary = len(pair.p)
        cells = theory.trees.contexts_within(vocabulary, sizes.height) * vocabulary
        if cells > rule_laws.CELLS:
            raise ValueError(
                f"tree: too large to enumerate, expected at most {rule_laws.CELLS} probabilities, "
                f"got {cells} in one table"
            )
        yield _world(pair.name, theory.trees.everywhere(path, pair.p, pair.q, "iid"))
        return
    vocabulary = 3 if 3 ** (sizes.nodes - 1) <= TREES else 2
    for seed in range(2):
        yield _world(f"random laws {seed}", theory.trees.random(path, vocabulary, "iid", seed))
    yield _world("the battery mixed", theory.trees.mixed(path, vocabulary, "iid", 0))
    for name, p, q in theory.battery.laws(vocabulary, seed=0):
        yield _world(name, theory.trees.everywhere(path, p, q, "iid"))


def _world(name: str, problem: theory.TreeProblem) -> World:
    return World(name, problem.target, problem.draft)


def cases(tree: str, scheme: str, pair: theory.battery.Pair | None) -> Cases:
    """The trees that are drawn in every world, and in the first three also those that lack a node
    and all below it.

    What is missing is settled before anything is drawn: the rest is drawn as the smaller tree is.
    Trees that are grown while drafting are audited on random laws only: where contexts are equally
    likely, which of them is grown is anyone's.

    Raises:
      ValueError: the text names no tree of this scheme, or there is too much to enumerate.
      NoTreeError: the trees had to be drawn, and are none.
    """
    drafting = growth.parse(tree, scheme)
    draws = None if _is_known(drafting) else sampled_trees.DRAWS
    found: list[Instance] = []
    for place, world in enumerate(worlds(drafting.topology, pair)):
        if place > 1 and not isinstance(drafting, Fixed):
            break
        drawn = _drawn(drafting, world)
        if (
            place > 2
            and sum(len(instance.drawn.mass) for instance in found) + len(drawn.mass) > ROWS
        ):
            break
        found.append(Instance(world.name, drawn, None, None if draws else optimum(drawn)))
        if place < 3 and isinstance(drafting, Fixed):
            found += _with_gaps(drafting, world)
    return Cases(tree, scheme, drafting, tuple(found), draws)


def _is_known(drafting: TreeDrafting) -> bool:
    """Whether theory has the law of the trees; a scheme from a file has no referee, whatever its
    name.
    """
    return isinstance(drafting, Fixed) or (
        drafting.name in growth.names() and type(drafting) is growth.get(drafting.name)
    )


def _drawn(drafting: TreeDrafting, world: World) -> theory.Drawn:
    if isinstance(drafting, Fixed):
        parents = tuple(np.asarray(drafting.topology.parents).tolist())
        return theory.trees.drawn(
            theory.TreeProblem(parents, world.target, world.draft, drafting.scheme)
        )
    if not _is_known(drafting):
        return sampled_trees.drawn(drafting, world.target, world.draft)
    return theory.growth.get(drafting.name).drawn(
        world.target, world.draft, *(vars(drafting).values())
    )


def _with_gaps(drafting: Fixed, world: World) -> Iterator[Instance]:
    """The smaller trees, in the nodes of the whole; not those in which the scheme cannot draw."""
    parents = np.asarray(drafting.topology.parents)
    for missing in range(len(parents)):
        kept = _kept(parents, missing)
        smaller = (NO_NODE, *np.searchsorted(kept, parents[kept[1:]]).tolist())
        if not all(
            rule_laws.drafts(drafting.scheme, len(below))
            for below in theory.trees.children(smaller)
            if below
        ):
            continue
        drawn = theory.trees.drawn(
            theory.TreeProblem(smaller, world.target, world.draft, drafting.scheme)
        )
        contexts = np.full((len(drawn.mass), len(parents)), theory.trees.ABSENT)
        contexts[:, kept] = drawn.contexts
        whole = dataclasses.replace(
            drawn,
            parents=np.broadcast_to(parents, contexts.shape),
            contexts=contexts,
            target=world.target,  # as deep as the whole tree, however deep the smaller one is
            draft=world.draft,
        )
        words = f"node {missing} never drawn" if missing else "nothing drafted"
        yield Instance(f"{world.name}{GAP}{words}", whole, missing, None)


def _kept(parents: Indices, missing: int) -> Indices:
    """The nodes that are left without a node and all below it; the root always is."""
    kept = np.arange(len(parents)) != missing
    kept[ROOT] = True
    for node in range(1, len(parents)):
        kept[node] &= kept[parents[node]] & (parents[node] != missing)
    return np.flatnonzero(kept)


def optimum(drawn: theory.Drawn) -> float | None:
    """The joint optimum: of a tree that hangs on no draw the sum of P(v), else by linear program.

    None beyond the size of the program, and where its solver fails (masses near its tolerance).
    """
    if len(drawn.mass) == 1:
        return theory.trees.fixed_tree_bound(drawn)
    contexts = len(drawn.target)
    if contexts > theory.tree_lp.CONTEXTS or contexts * len(drawn.mass) > rule_laws.CELLS:
        return None
    try:
        return theory.tree_lp.solve(drawn).value
    except (ValueError, RuntimeError):
        return None


def front(instance: Instance, tv: float) -> float | None:
    """The most drafts that any verifier accepts whose texts lie within tv of the target's.

    None where the optimum is not known, beyond the size of the program, and where its solver fails.
    """
    if instance.optimum is None or len(instance.drawn.target) > theory.tree_lp.CONTEXTS:
        return None
    try:
        return theory.tree_front.accepted(instance.drawn, tv)
    except RuntimeError:
        return None


def rows(cases: Cases) -> Rows:
    """All trees of all instances, one after the other.

    Raises:
      ValueError: there are too many.
    """
    drawn = [instance.drawn for instance in cases.instances]
    probabilities = sum(each.contexts.size for each in drawn) * drawn[0].target.shape[1]
    if probabilities > rule_laws.CELLS:
        raise ValueError(
            f"tree {cases.tree}: too large to enumerate, expected at most {rule_laws.CELLS} "
            f"probabilities, got {probabilities}"
        )
    every: Rows = jax.tree.map(lambda *parts: np.concatenate(parts), *map(_rows, drawn))
    return every


def _rows(drawn: theory.Drawn) -> Rows:
    """All trees of one instance."""
    depth = np.zeros_like(drawn.parents)
    for node in range(1, depth.shape[1]):
        depth[:, node] = 1 + np.take_along_axis(depth, drawn.parents[:, node, None], 1)[:, 0]
    return Rows(
        parents=drawn.parents,
        depth=depth,
        tokens=drawn.tokens,
        active=drawn.active,
        p=drawn.p,
        q=drawn.q,
    )


def disturbed(rows: Rows) -> Rows:
    """The same trees, with other tokens and laws at nodes that were not drawn, and other draft laws
    where nothing was drawn below.
    """
    rng = np.random.default_rng(0)
    vocabulary = rows.p.shape[-1]
    tree = np.arange(len(rows.parents))[:, None]
    drawn_below = np.zeros(rows.active.shape, bool)
    np.logical_or.at(
        drawn_below, (tree, np.maximum(rows.parents, 0)), rows.active & (rows.parents != NO_NODE)
    )
    p, q = rng.dirichlet(np.ones(vocabulary), (2, *rows.active.shape))
    return rows._replace(
        tokens=np.where(rows.active, rows.tokens, rng.integers(0, vocabulary, rows.tokens.shape)),
        p=np.where(rows.active[..., None], rows.p, p),
        q=np.where((rows.active & drawn_below)[..., None], rows.q, q),
    )


def laws(verifier: Verifier, drafting: TreeDrafting, rows: Rows, dtype: type = np.float64) -> Array:
    """The verifier's law [T, N, V] on every tree, computed in `dtype`; one tree after the other, as
    a decode runs it.
    """
    with jax.enable_x64(dtype is np.float64):
        found = _laws(rule_laws.cast(verifier, dtype), drafting, typed(rows, dtype))
        return np.asarray(found, np.float64)


def typed(rows: Rows, dtype: type) -> Rows:
    """The same trees in the types of a decode, laws in `dtype`."""
    return Rows(
        parents=rows.parents.astype(np.int32),
        depth=rows.depth.astype(np.int32),
        tokens=rows.tokens.astype(np.int32),
        active=rows.active,
        p=rows.p.astype(dtype),
        q=rows.q.astype(dtype),
    )


@functools.partial(jax.jit, static_argnames="drafting")
def _laws(verifier: Verifier, drafting: TreeDrafting, rows: Rows) -> jax.Array:
    laws: jax.Array = jax.lax.map(lambda row: verifier.law(*draft(drafting, row)), rows)
    return laws


def draft(drafting: TreeDrafting, row: Rows) -> tuple[Draft, jax.Array]:
    """What a verifier sees of one tree: the draft, and p."""
    tokens, p, q = map(jnp.asarray, (row.tokens, row.p, row.q))
    if isinstance(drafting, Fixed):
        topology = dataclasses.replace(drafting.topology, active=row.active)
    else:
        topology = growth.grown(drafting.topology, row.depth, row.parents, row.active)
    return Draft(topology, tokens, q, drafting.scheme), p


def refuse(verifier: Verifier, drafting: TreeDrafting) -> None:
    """Raise the ValueError with which a verifier refuses the tree, if it does; whatever else it
    raises is a finding for later.
    """
    try:
        check_covers(verifier, drafting.scheme, drafting.topology)
    except ValueError:
        raise
    except Exception:
        return
