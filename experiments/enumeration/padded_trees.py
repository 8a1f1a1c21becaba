"""Verifiers of draft trees beside their referees: the law on every tree that can be drawn, in
float64, held to what theory says.

One compiled program serves all trees up to some size: smaller ones get nodes that were not drawn,
and tokens without mass.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

import theory
from experiments.inputs import named_verifiers
from specjax import rules
from specjax.rules import Rule
from specjax.trees import NO_NODE, ROOT, Draft, Topology, star
from specjax.trees.topology import from_parents
from specjax.verifiers import TopDown, Verifier
from theory import verifiers

Laws = NDArray[np.float64]

EXACT = 1e-12
ASKED = 8  # trees of a problem on which a law is compared with theory's
TOGETHER = 128  # trees side by side
REFEREES = {
    "single": verifiers.recursive_rejection,
    "recursive_rejection": verifiers.recursive_rejection,
    "recursive_rejection_without_replacement": verifiers.recursive_rejection_without_replacement,
}


class Size(NamedTuple):
    """Room for a tree: nodes, children of a node, tokens."""

    nodes: int
    width: int
    vocabulary: int


class Report(NamedTuple):
    """E[ell]; the total variation from the target; the largest difference from theory's law times
    the probability of the tree, nan where theory has none.
    """

    accepted: float
    loss: float
    off: float


@dataclasses.dataclass(frozen=True, eq=False)
class PaddedVerifier:
    """A verifier under one scheme.

    Attributes:
      name: of the verifier, with its rule's.
      covers: whether it takes a tree.
      laws: topology, drawn trees -> [T, N, V].
      referee: theory's own law on one tree, or None where theory can only say whether the law is
        lossless.
    """

    name: str
    covers: Callable[[Topology], bool]
    laws: Callable[[Topology, theory.Drawn], Laws]
    referee: theory.trees.Verifier | None

    def __call__(self, topology: Topology, drawn: theory.Drawn) -> Report:
        """What it does on trees that all have one shape.

        Raises:
          RuntimeError: theory disagrees.
        """
        laws = self.laws(topology, drawn)
        loss = theory.trees.loss(drawn, laws)
        difference = off(laws, self.referee, drawn) if self.referee else np.nan
        if loss > EXACT or difference > EXACT:
            raise RuntimeError(
                f"verifier {self.name}: theory disagrees, loss {loss:.3g}, difference "
                f"{difference:.3g}"
            )
        return Report(theory.trees.expected_accepted(drawn, laws), loss, difference)


def off(laws: Laws, referee: theory.trees.Verifier, drawn: theory.Drawn) -> float:
    """The largest difference from the referee's law, on trees spread over all, times the
    probability of the tree: on a rare tree a law may hang on the rounding of what is left.
    """
    asked = np.unique(np.linspace(0, len(laws) - 1, ASKED).astype(int))
    some = dataclasses.replace(
        drawn, parents=drawn.parents[asked], contexts=drawn.contexts[asked], mass=drawn.mass[asked]
    )
    difference = np.abs(laws[asked] - some.laws(referee)).max((1, 2))
    return float((some.mass * difference).max())


def padded_verifiers(scheme: str, node_rules: Sequence[str], size: Size) -> list[PaddedVerifier]:
    """The verifiers that cover a scheme: those of whole trees, then those that take each of the
    rules to every node.

    A rule that holds the plan of one pair of laws is run by theory, which solves a plan for every
    context.
    """
    found = [
        _whole(verifier, scheme, size)
        for verifier in named_verifiers.whole()
        if scheme in verifier.claims.drafting
    ]
    chosen = [rules.get(name) for name in node_rules]
    for make in [make for make in chosen if scheme in make.claims.drafting]:
        if make.claims.per_pair:
            found.append(_planned(make, scheme))
        else:
            rule = make()
            widest = star(size.width)  # one program serves all sizes
            takes = [
                verifier
                for verifier in named_verifiers.lifted(rule)
                if isinstance(verifier, TopDown) or named_verifiers.covers(verifier, scheme, widest)
            ]
            found += [_lifted(verifier, rule, scheme, size) for verifier in takes]
    return found


def _is_path(topology: Topology) -> bool:
    return topology.width == 1


def _whole(verifier: Verifier, scheme: str, size: Size) -> PaddedVerifier:
    @functools.cache  # a question costs seconds
    def takes(parents: tuple[int, ...]) -> bool:
        return named_verifiers.covers(verifier, scheme, from_parents([*parents]))

    return PaddedVerifier(
        name=verifier.name,
        covers=lambda topology: takes(tuple(topology.parents.tolist())),
        laws=_compiled(verifier.law, scheme, size),
        referee=getattr(verifiers, verifier.name, None),
    )


def _lifted(verifier: Verifier, rule: Rule, scheme: str, size: Size) -> PaddedVerifier:
    """On one path every rule is the one-draft rule, so that a path is left to `single`."""

    def covers(topology: Topology) -> bool:
        return _is_path(topology) == (rule.name == "single") and all(
            rule.claims.admits(n) for n in topology.arities if n
        )

    lift = getattr(verifiers, verifier.name, None)
    referee = lift(REFEREES[rule.name]) if lift and rule.name in REFEREES else None
    name = named_verifiers.label(verifier)
    return PaddedVerifier(name, covers, _compiled(verifier.law, scheme, size), referee)


def _planned(rule: type[Rule], scheme: str) -> PaddedVerifier:
    node_rule = verifiers.optimal(scheme)
    return PaddedVerifier(
        name=f"top_down:{rule.name}",
        covers=lambda topology: not _is_path(topology),
        laws=functools.partial(top_down_laws, node_rule),
        referee=verifiers.top_down(node_rule),
    )


def top_down_laws(rule: theory.trees.NodeRule, topology: Topology, drawn: theory.Drawn) -> Laws:
    """`theory.verifiers.top_down` on all trees of one shape, with one law for all trees that are
    alike at a node.
    """
    laws = np.zeros((*drawn.contexts.shape, drawn.target.shape[1]))
    reach = np.zeros(drawn.contexts.shape)
    reach[:, ROOT] = 1.0
    every = np.arange(len(reach))
    vocabulary = drawn.target.shape[1]
    for node, below in enumerate(theory.trees.children(topology.parents.tolist())):
        made = drawn.p[:, node]
        if below:
            alike, place = np.unique(drawn.contexts[:, [node, *below]], axis=0, return_inverse=True)
            each = [
                rule((row[1:] - 1) % vocabulary, drawn.target[row[0]], drawn.draft[row[0]])
                for row in alike
            ]
            made = np.array(each)[place.reshape(-1)]
        laws[:, node] = reach[:, node, None] * made
        for child in below:  # the first of equal siblings takes all
            token = drawn.tokens[:, child]
            reach[:, child] = laws[every, node, token]
            laws[every, node, token] = 0.0
    return laws


def _compiled(
    law: Callable[[Draft, Array], Array], scheme: str, size: Size
) -> Callable[[Topology, theory.Drawn], Laws]:
    """A law of `specjax` on all trees, from one program for all paths and one for all other trees
    within the size.
    """

    @jax.jit
    def batch(topology: Topology, tokens: Array, p: Array, q: Array) -> Array:
        return jax.vmap(lambda tokens, p, q: law(Draft(topology, tokens, q, scheme), p))(
            tokens, p, q
        )

    def laws(topology: Topology, drawn: theory.Drawn) -> Laws:
        trees, nodes = drawn.contexts.shape
        vocabulary = drawn.target.shape[1]
        roomy = widened(topology, size)
        more = ((0, -trees % TOGETHER), (0, size.nodes - nodes))

        def padded(law: Laws) -> Laws:
            repeated = np.pad(law, (*more, (0, 0)), "edge")
            return np.pad(repeated, ((0, 0), (0, 0), (0, size.vocabulary - vocabulary)))

        tokens = np.pad(drawn.tokens.astype(np.int32), more, "edge")
        p = padded(drawn.p)
        q = padded(drawn.q)
        chunks = []
        with jax.enable_x64(True):
            for start in range(0, len(p), TOGETHER):
                part = slice(start, start + TOGETHER)
                chunks.append(batch(roomy, tokens[part], p[part], q[part]))
            return np.concatenate(chunks)[:trees, :nodes, :vocabulary]

    return laws


def widened(topology: Topology, size: Size) -> Topology:
    """The tree with room for more: nodes that were not drawn hang one under the other below the
    last leaf.
    """
    longer = from_parents([*topology.parents.tolist(), *range(topology.nodes - 1, size.nodes - 1)])
    width = 1 if _is_path(topology) else size.width
    return dataclasses.replace(
        longer,
        children=np.pad(
            longer.children, ((0, 0), (0, width - longer.width)), constant_values=NO_NODE
        ),
        active=np.arange(size.nodes) < topology.nodes,
        levels=(0, *[size.nodes] * (size.nodes + 1)),
        arities=tuple(range(width + 1)),
    )
