"""The exact law of the emitted sequence, by enumeration over all drafted trees: one for every
verifier.
"""

import dataclasses
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import theory
from specjax.trees import NO_NODE, Draft, Topology, chain, full, star
from specjax.trees.topology import from_parents

TREES = {
    "chain": chain(2),
    "star": star(2),
    "binary": full(2, 2),
    "ragged": from_parents([-1, 0, 0, 1, 1, 2]),
    "one_child_each": from_parents([-1, 0, 0, 1, 2]),
    "triple": star(3),
    "path": chain(4),
}
AT_MOST = 800  # drafted trees per enumeration


class World(NamedTuple):
    """The laws of the next token after every prefix: target[d] and draft[d] have shape [V] * d +
    [V].
    """

    target: tuple[np.ndarray, ...]
    draft: tuple[np.ndarray, ...]

    @property
    def vocabulary(self) -> int:
        return len(self.target[0])


class Trees(NamedTuple):
    """All drafted trees of a world, one row each: what was drawn, the laws at every node, the
    probability.
    """

    tokens: np.ndarray
    active: np.ndarray
    p: np.ndarray
    q: np.ndarray
    mass: np.ndarray


class Verdict(NamedTuple):
    """What a verifier is: its distance from the target's law, the mean number of accepted drafts,
    and how far its laws sum from 1.

    The last is a mean over drafts: a program batched over trees may round a residual twice, by eps
    over its mass.
    """

    loss: float
    accepted: float
    excess: float


def random_world(vocabulary: int, height: int, seed: int) -> World:
    """Any laws, other ones after every prefix."""
    rng = np.random.default_rng((seed, vocabulary, height))

    def laws() -> tuple[np.ndarray, ...]:
        return tuple(
            rng.dirichlet(np.ones(vocabulary), (vocabulary,) * depth) for depth in range(height + 1)
        )

    return World(laws(), laws())


def constant_world(p, q, height: int) -> World:
    """One pair of laws after every prefix."""
    depths = [(len(p),) * depth for depth in range(height + 1)]
    return World(
        *(
            tuple(np.broadcast_to(np.asarray(law), (*shape, len(p))) for shape in depths)
            for law in (p, q)
        )
    )


def battery_worlds(vocabulary: int, height: int) -> dict[str, World]:
    """The battery's pairs, and one world in which the pair changes with the prefix."""
    pairs = theory.battery.laws(vocabulary, seed=0)
    worlds = {name: constant_world(p, q, height) for name, p, q in pairs}
    rng = np.random.default_rng((height, vocabulary))
    mixed = [rng.integers(0, len(pairs), (vocabulary,) * depth) for depth in range(height + 1)]
    return worlds | {
        "mixed": World(
            *(
                tuple(np.array([pair[side] for pair in pairs])[pick] for pick in mixed)
                for side in (1, 2)
            )
        )
    }


def vocabulary_of(topology: Topology) -> int:
    """3 where the drafted trees are few enough, else 2."""
    return 3 if 3 ** (topology.nodes - 1) <= AT_MOST else 2


def way(topology: Topology, node: int) -> list[int]:
    """The drafts from the root to a node, itself included."""
    found: list[int] = []
    while node > 0:
        found.insert(0, node)
        node = topology.parents[node]
    return found


def draw_all(world: World, topology: Topology, scheme: str) -> Trees:
    """Every assignment of tokens, the impossible ones too, with the probability that it is drawn;
    dead slots hold token 0.
    """
    tokens = np.array(
        [
            (0, *drafts)
            for drafts in itertools.product(range(world.vocabulary), repeat=topology.nodes - 1)
        ]
    )
    ways = [
        tuple(tokens[:, above] for above in way(topology, node)) for node in range(topology.nodes)
    ]
    p, q = (
        np.stack(
            [
                np.broadcast_to(laws[len(steps)][steps], (len(tokens), world.vocabulary))
                for steps in ways
            ],
            1,
        )
        for laws in (world.target, world.draft)
    )
    active, mass = np.zeros(tokens.shape, bool), np.ones(len(tokens))
    active[:, 0] = True
    for node, row in enumerate(topology.children):
        children = [child for child in row if child != NO_NODE]
        slots = [child for child in children if topology.active[child]]
        drafts = tokens[:, slots]
        for law in np.unique(q[:, node], axis=0):
            at = active[:, node] & (q[:, node] == law).all(1)
            active[np.ix_(at, slots[: _live(law, slots, scheme)])] = True
            mass[at] *= _masses(law, drafts[at], scheme)
        mass *= ~(tokens[:, children] * ~active[:, children]).any(1)
    return Trees(tokens, active, p, q, mass)


def _live(q: np.ndarray, slots: list[int], scheme: str) -> int:
    return theory.drafting.get(scheme).live(q, len(slots)) if slots else 0


def _masses(q: np.ndarray, drafts: np.ndarray, scheme: str) -> np.ndarray:
    """The probability of each row of drafts, by what its live slots hold."""
    if not drafts.shape[1]:
        return np.ones(len(drafts))
    joint = theory.Problem(q, q, drafts.shape[1], scheme).joint()
    table = dict(zip(map(tuple, joint.tokens.tolist()), joint.mass, strict=True))
    return np.array(
        [table.get(tuple(row), 0.0) for row in drafts[:, : joint.tokens.shape[1]].tolist()]
    )


class EmittedLaw:
    """The laws of one verifier on one tree under one scheme.

    The kernel is compiled once for all worlds of a vocabulary.

    `change` (draft, p) -> (draft, p) plants an error in what the verifier sees.
    """

    def __init__(
        self,
        verifier,
        topology: Topology,
        scheme: str,
        change=lambda draft, p: (draft, p),
        dtype=np.float64,
    ):
        self.topology, self.scheme, self.dtype = topology, scheme, dtype

        def law(tokens, active, p, q):
            drawn = dataclasses.replace(topology, active=active)
            return verifier.law(*change(Draft(drawn, tokens, q, scheme), p))

        self._laws = jax.jit(jax.vmap(law))

    def laws(self, trees: Trees) -> np.ndarray:
        """The verifier's law [T, N, V] on every drafted tree."""
        with jax.enable_x64(self.dtype == np.float64):
            return np.asarray(
                self._laws(
                    trees.tokens.astype(np.int32),
                    trees.active,
                    trees.p.astype(self.dtype),
                    trees.q.astype(self.dtype),
                ),
                np.float64,
            )

    def __call__(self, world: World) -> Verdict:
        trees = draw_all(world, self.topology, self.scheme)
        laws = self.laws(trees)
        assert np.isfinite(laws).all()
        assert (laws >= 0).all()
        weighted = trees.mass[:, None, None] * laws
        return Verdict(
            loss=float(np.abs(self._emitted(world, trees, weighted) - continued(world)).sum() / 2),
            accepted=float((weighted.sum((0, 2)) * self.topology.depth).sum()),
            excess=float(trees.mass @ np.abs(laws.sum((1, 2)) - 1)),
        )

    def _emitted(self, world: World, trees: Trees, weighted: np.ndarray) -> np.ndarray:
        """The law of D + 1 tokens: a walk that ends early is continued by the target."""
        emitted = np.zeros(1)  # the root's token is 0, a first axis of length 1
        for depth, target in enumerate(world.target):
            emitted = emitted[..., None] * target
            for node in np.flatnonzero(self.topology.depth == depth):
                np.add.at(
                    emitted,
                    tuple(trees.tokens[:, above] for above in (0, *way(self.topology, node))),
                    weighted[:, node],
                )
        return emitted[0]


def continued(world: World) -> np.ndarray:
    """The target's own law of D + 1 tokens."""
    law = np.ones(())
    for target in world.target:
        law = law[..., None] * target
    return law


def outcome(verdict, vocabulary: int):
    """The node where a verdict ended and its last token, as one number: a column of the flat
    law.
    """
    last = verdict.length - 1
    return verdict.path[last] * vocabulary + verdict.tokens[last]


def one_tree(
    world: World, topology: Topology, scheme: str, tokens: tuple[int, ...]
) -> tuple[Draft, jax.Array]:
    """One drawn tree and its target laws, in the widest float that jax has switched on."""
    trees = draw_all(world, topology, scheme)
    row = trees.tokens.tolist().index([0, *tokens])
    drawn = dataclasses.replace(topology, active=trees.active[row])
    return Draft(
        drawn, jnp.asarray(trees.tokens[row], jnp.int32), jnp.asarray(trees.q[row]), scheme
    ), jnp.asarray(trees.p[row])


def walk_law(verifier, drawn: Draft, p: jax.Array, grid: int) -> np.ndarray:
    """The law [N, V] of `walk`, with every node accepted or not as its chance says, and the last
    uniform on the midpoints of a grid.

    Over the nodes it is exact, over the tokens of a node within V / grid. Every verdict is held to
    its own path on the way.
    """
    accept = np.asarray(verifier.ends(drawn, p).accept)
    hits = np.array(list(itertools.product((False, True), repeat=len(accept))))
    chance = np.where(hits, accept, 1 - accept).prod(1)
    uniforms = np.where(hits, accept / 2, (1 + accept) / 2)
    last = (np.arange(grid) + 0.5) / grid
    rows = np.concatenate([np.repeat(uniforms, grid, 0), np.tile(last, len(hits))[:, None]], 1)[
        np.repeat(chance > 0, grid)
    ]
    verdicts = jax.tree.map(
        np.asarray, jax.jit(jax.vmap(verifier.walk, (0, None, None)))(words(rows), drawn, p).verdict
    )
    law = np.zeros(p.shape)
    for tokens, length, path, weight in zip(
        *verdicts, np.repeat(chance[chance > 0] / grid, grid), strict=True
    ):
        steps = [0, *way(drawn.topology, path[length - 1])]
        assert path.tolist() == steps + [NO_NODE] * (len(path) - len(steps))
        assert tokens[: length - 1].tolist() == np.asarray(drawn.tokens)[steps[1:]].tolist()
        assert not tokens[length:].any()
        law[path[length - 1], tokens[length - 1]] += weight
    return law


def words(u: np.ndarray) -> np.ndarray:
    """Uniforms as a walk takes them, in two words, of which the second is 0."""
    return np.stack([u, np.zeros_like(u)], -1)


def log_normal(
    topology: Topology, vocabulary: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Laws p, q [N, V] and tokens [N] at a large vocabulary, float64; the drafts are draws from
    q.
    """
    rng = np.random.default_rng((seed, vocabulary))
    logits = 2 * rng.standard_normal((topology.nodes, vocabulary))
    p, q = np.exp(logits + rng.standard_normal(logits.shape)), np.exp(logits)
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    parents = np.maximum(topology.parents, 0)
    return p, q, np.array([rng.choice(vocabulary, p=q[parent]) for parent in parents])


def assert_single_precision_is_enough(
    verifier, topology: Topology, scheme: str, vocabulary: int
) -> None:
    """At a large vocabulary the law in float32 sums to 1, and lies within 1e-6 of the same in
    float64.
    """
    p, q, tokens = log_normal(topology, vocabulary, 0)

    def law(dtype) -> np.ndarray:
        drawn = Draft(topology, jnp.asarray(tokens, jnp.int32), jnp.asarray(q, dtype), scheme)
        return np.asarray(jax.jit(verifier.law)(drawn, jnp.asarray(p, dtype)), np.float64)

    single = law(jnp.float32)
    with jax.enable_x64(True):
        double = law(jnp.float64)
    error = np.abs(single - double).sum() / 2
    print(f"sum {single.sum():.8f}, total variation {error:.1e}")
    assert abs(single.sum() - 1) < 1e-6
    assert error < 1e-6
