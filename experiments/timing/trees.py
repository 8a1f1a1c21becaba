"""Verification of trees of 64 nodes as a multiple of one pass over their laws, and what drafting a
tree costs beside the models.
"""

import functools
import itertools
from typing import TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from experiments.cli import seeds
from experiments.cli.console import say
from experiments.cli.tables import Table
from experiments.inputs import named_verifiers
from experiments.inputs.named_verifiers import label
from experiments.timing.clock import Call, against, bind, medians, stated
from experiments.timing.clock import table as figures
from experiments.timing.large_laws import log_normal
from specjax import decode, rules, trees
from specjax._types import RandomKey
from specjax.decode import Decoder, DecodeState, Params
from specjax.drafters import ModelDrafter
from specjax.drafters.subnetwork import Subnetwork
from specjax.models import Pair, pairs
from specjax.trees import Draft, Topology, Verdict, growth
from specjax.verifiers import TopDown, Verifier

# RSD-S, where every node hangs under the first of its level: the most drafts that a walk can meet
BEAM = "beam:9x7"
CHAIN = "chain:63"
PATHS = "full:9,1,1,1,1,1,1"
# 64 nodes each, with the root
SHAPES = {
    CHAIN: "iid",
    PATHS: "iid",
    "full:3,4,4": "iid",
    "full:1,2,2,2,2,2": "iid",
    BEAM: growth.SEQUENTIAL,
}
RULES = {
    "iid": ("recursive_rejection", "kseq", "optimal"),
    growth.SEQUENTIAL: ("recursive_rejection_without_replacement",),
}
# multiples of one pass, if limited; node rules pay for every node of a long walk
LIMITS = {
    CHAIN: {"block": 2.0, "greedy_multi_path_block": 3.0, "traversal": 4.0, "top_down": 7.0},
    PATHS: {"greedy_multi_path_block": 3.0, "traversal": 4.0},
}
BRANCHING = {"layer": 6.0, "traversal": 4.0, "top_down": 1.5}
GROWN, SHARE = "beam:8x4", 0.1  # RSD-S; the time beside the forwards as a share of theirs
PAIRS = ("smollm2", "bytes")  # the first whose weights are there drafts
TOKENS = 64  # of a prompt, at most


class Row(TypedDict):
    """The time of one verifier on one tree."""

    tree: str
    nodes: int
    verifier: str
    vocabulary: int
    milliseconds: float
    multiple_of_pass: float
    limit: float | None


class Drafting(TypedDict):
    """The time to draft and score a tree, beside that of the forwards alone."""

    pair: str
    tree: str
    nodes: int
    milliseconds: float
    forwards_ms: float
    share_beside_forwards: float
    limit: float


class Trees(TypedDict):
    """The rows, the milliseconds of one pass, and what drafting takes."""

    tree_pass_ms: float
    trees: list[Row]
    drafting: Drafting


def run(vocabulary: int, repeats: int, seed: int) -> Trees:
    """Medians in milliseconds and multiples of one fused pass sum(max(p - q, 0)): walks that accept
    a draft at every depth; drafting.
    """
    shapes = {name: _shape(name) for name in SHAPES}
    p, q = log_normal(vocabulary, seed, max(shape.nodes for shape in shapes.values()))
    calls: dict[str, Call] = {
        "pass": bind(jax.jit(lambda p, q: jnp.sum(jnp.maximum(p - q, 0))), p, q)
    }
    order = np.asarray(jnp.argsort(p / q, -1))
    cells = [
        (name, verifier) for name, shape in shapes.items() for verifier in _verifiers(name, shape)
    ]
    for name, verifier in cells:
        draft = Draft(shapes[name], _tokens(shapes[name], order), q, SHAPES[name])
        calls[f"{name} {label(verifier)}"] = bind(_verify, verifier, seeds.key(seed), draft, p)
    times = medians(calls, repeats, "trees")
    rows = [_row(name, shapes[name], verifier, vocabulary, times) for name, verifier in cells]
    return {
        "tree_pass_ms": times["pass"],
        "trees": rows,
        "drafting": _drafting(_pair(), repeats, seed),
    }


def _shape(name: str) -> Topology:
    if name != BEAM:
        return trees.parse(name)
    sizes = growth.parse(BEAM, growth.SEQUENTIAL).topology
    return trees.from_parents(
        [trees.NO_NODE, *np.repeat(sizes.levels[:-2], np.diff(sizes.levels)[1:]).tolist()]
    )


def _verifiers(name: str, shape: Topology) -> list[Verifier]:
    """The rules on every node of a tree, then the verifiers of whole trees that take its shape."""
    scheme = SHAPES[name]
    found: list[Verifier] = []
    for rule in RULES[scheme]:
        lifted = named_verifiers.lifted(rules.get(rule)())
        found += [
            one
            for one in lifted
            if isinstance(one, TopDown) or named_verifiers.covers(one, scheme, shape)
        ]
    whole = [one for one in named_verifiers.whole() if scheme in one.claims.drafting]
    return found + [one for one in whole if named_verifiers.covers(one, scheme, shape)]


def _tokens(shape: Topology, order: Int[np.ndarray, "N V"]) -> Int[Array, " N"]:
    """First children of largest p/q, which every rule accepts; the others of smallest."""
    tokens = np.zeros(shape.nodes, np.int32)
    for node, children in enumerate(np.asarray(shape.children)):
        for slot, child in enumerate(children[children != trees.NO_NODE]):
            tokens[child] = order[node, slot - 1]
    return jnp.asarray(tokens)


@jax.jit
def _verify(verifier: Verifier, key: RandomKey, draft: Draft, p: Float[Array, "N V"]) -> Verdict:
    return verifier.verify(key, draft, p)


def _row(
    name: str,
    shape: Topology,
    verifier: Verifier,
    vocabulary: int,
    times: dict[str, float],
) -> Row:
    milliseconds = times[f"{name} {label(verifier)}"]
    return {
        "tree": name,
        "nodes": shape.nodes,
        "verifier": label(verifier),
        "vocabulary": vocabulary,
        "milliseconds": milliseconds,
        "multiple_of_pass": milliseconds / times["pass"],
        "limit": LIMITS.get(name, BRANCHING).get(verifier.name),
    }


def _pair() -> tuple[str, Pair]:
    for name in PAIRS:
        try:
            return name, pairs.load(name)
        except ValueError as missing:
            say(f"left out: {missing}")
    raise ValueError(f"expected the weights of one of {', '.join(PAIRS)}")


def _drafting(named: tuple[str, Pair], repeats: int, seed: int) -> Drafting:
    """A tree drafted and scored after a prompt, against the forwards of both models alone."""
    name, pair = named
    tree = growth.parse(GROWN, growth.SEQUENTIAL)
    decoder = decode.decoder(pair, tree, tree.scheme)
    params = Params(pair.target_params, pair.draft_params)
    prompt = jnp.array(pair.tokenizer.encode(pair.prompts[0])[:TOKENS], jnp.int32)
    state = decode.init(decoder, params, prompt, jnp.int32(len(prompt)), tree.topology.height + 1)
    key = seeds.key(seed)
    draft = _propose(decoder, key, params, state).draft
    calls: dict[str, Call] = {
        "all": bind(_propose, decoder, key, params, state),
        "forwards": bind(_forwards, decoder, params, state, draft.tokens, draft.topology),
    }
    times = medians(calls, repeats, "drafting")
    return {
        "pair": name,
        "tree": GROWN,
        "nodes": draft.topology.nodes,
        "milliseconds": times["all"],
        "forwards_ms": times["forwards"],
        "share_beside_forwards": times["all"] / times["forwards"] - 1,
        "limit": SHARE,
    }


_propose = functools.partial(jax.jit, static_argnums=0)(decode.propose)


@functools.partial(jax.jit, static_argnums=0)
def _forwards(
    decoder: Decoder,
    params: Params,
    state: DecodeState,
    tokens: Int[Array, " N"],
    topology: Topology,
) -> PyTree:
    """The logits of every level from the draft model, those of the tree from the target, and both
    caches.
    """
    drafter = decoder.drafter
    logits = []
    assert isinstance(drafter, ModelDrafter | Subnetwork)
    own = isinstance(drafter, ModelDrafter)
    cache = state.drafter.cache if own else state.target
    # on its own cache the drafter scores two tokens, then every level of drafts but the last
    for first, end in [(0, 2 if own else 1), *[*itertools.pairwise(topology.levels)][1:-1]]:
        scores = drafter.model.score(params.drafter, cache, tokens, topology, slice(first, end))
        cache = scores.cache
        logits.append(scores.logits)
    scores = decoder.target.score(params.target, state.target, tokens, topology)
    return logits, cache, scores.logits, scores.cache


def tables(content: Trees) -> list[Table]:
    """One line per tree and verifier; and one for drafting."""
    rows = content["trees"]
    drafting = content["drafting"]
    lines = [
        (
            row["tree"],
            row["verifier"],
            f"{row['milliseconds']:.2f}",
            against(row["multiple_of_pass"], row["limit"], ".2f"),
            stated(row["limit"]),
        )
        for row in rows
    ]
    size = f"{rows[0]['nodes']} nodes, V = {rows[0]['vocabulary']}"
    title = (
        f"trees of {size}, accepted to the last depth; one pass {content['tree_pass_ms']:.3f} ms"
    )
    share = (
        drafting["pair"],
        drafting["tree"],
        f"{drafting['milliseconds']:.1f}",
        f"{drafting['forwards_ms']:.1f}",
        against(drafting["share_beside_forwards"], drafting["limit"], ".3f"),
        stated(drafting["limit"]),
    )
    return [
        figures(title, ("tree", "verifier", "ms", "x one pass", "limit"), lines, 2),
        figures(
            "drafting and scoring one tree",
            ("pair", "tree", "ms", "forwards, ms", "beside them", "limit"),
            [share],
            2,
        ),
    ]
