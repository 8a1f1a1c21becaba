"""Trees grown while drafting: they have the law that theory gives them, and whoever decodes on them
emits the target.
"""

import dataclasses
import functools
from typing import NamedTuple
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theory.growth
from experiments.audit import battery
from experiments.enumeration import rule_laws
from specjax import decode, rules, trees
from specjax.drafters import Held, ModelDrafter
from specjax.models.markov import Markov
from specjax.rules import Claims, register
from specjax.trees import NO_NODE, Draft, growth
from specjax.trees.growth import SEQUENTIAL, _draws, beam, sampled_best_first
from specjax.verifiers import TopDown, Traversal
from tests.helpers.grown_trees import ONE_OF_EACH, PROMPT, RULE, TREES, VOCABULARY, tree
from tests.helpers.sampling import DELTA, allowance, assert_drawn_from

pytestmark = pytest.mark.thorough

DRAWS = 40_000
NOBODY = Held((), ())  # a model with a cache of its own does not look at the target


def world(make):
    """Laws after every pair of tokens, as a Markov chain of order 2, and the tables of what follows
    the prompt.
    """
    held = make((-1, 0, 1), VOCABULARY, "iid", 5)
    chain = np.stack([held.target[-9:], held.draft[-9:]])  # after tokens a, b: row 3 a + b
    contexts = [3 * 0 + 1, *range(3, 6), *range(9)]
    return chain, chain[:, contexts]


WORLDS = {"even": world(theory.trees.random), "zeros": world(theory.trees.mixed)}
# equals that round apart
GENERIC = [(text, "even") for text in TREES] + [
    (text, "zeros") for text in TREES if "best_first" not in text
]


def law_of(text, tables):
    """The law over drawn trees, from theory."""
    kind, _, sizes = text.partition(":")
    return theory.growth.get(kind).drawn(*tables, *map(int, sizes.split("x")))


class Drawn(NamedTuple):
    """The columns of a tree; those of many trees have an axis more."""

    parents: jax.Array
    depth: jax.Array
    children: jax.Array
    active: jax.Array
    tokens: jax.Array
    q: jax.Array


@functools.cache
def grower(scheme):
    """(draft model, key) -> the tree that is drawn after two tokens of a prompt; one program for
    all worlds.
    """
    drafter = ModelDrafter(Markov(VOCABULARY, 2), scheme)

    def one(params, key):
        draft = drafter.propose(
            key, params, drafter.init(params, PROMPT, jnp.int32(3), 64, ()), NOBODY
        )[0]
        shape = draft.topology
        return Drawn(
            shape.parents, shape.depth, shape.children, shape.active, draft.tokens, draft.q
        )

    return jax.jit(one), jax.jit(jax.vmap(one, (None, 0)))


def model(where):
    return jnp.log(jnp.asarray(WORLDS[where][0][1]))


@functools.cache
def grow(scheme, where, seed):
    """Drawn trees."""
    drawn = grower(scheme)[1](model(where), jax.random.split(jax.random.key(seed), DRAWS))
    return jax.tree.map(np.asarray, drawn)


def rows(parents, contexts):
    """One row for each tree: what its nodes stand for and where they hang."""
    return np.concatenate([contexts, np.where(contexts > 0, parents, NO_NODE)], 1)


def contexts_of(drawn):
    found = np.zeros(drawn.parents.shape, np.int64)
    for node in range(1, found.shape[1]):
        above = np.take_along_axis(found, drawn.parents[:, node, None], 1)[:, 0]
        found[:, node] = np.where(
            drawn.active[:, node],
            VOCABULARY * above + 1 + drawn.tokens[:, node],
            theory.trees.ABSENT,
        )
    return drawn.parents, found


def outcomes(drafts, law):
    """The number of each drawn tree in the law; one past the end where the law does not hold it."""
    numbers = {row.tobytes(): i for i, row in enumerate(rows(law.parents, law.contexts))}
    drawn, inverse = np.unique(rows(*contexts_of(drafts)), axis=0, return_inverse=True)
    return np.array([numbers.get(row.tobytes(), len(numbers)) for row in drawn])[
        inverse.reshape(-1)
    ]


def test_every_scheme_is_two_files_of_one_name():
    assert growth.names() == theory.growth.names()
    assert {text.partition(":")[0] for text in TREES} == set(growth.names())


@pytest.mark.key_reuse
@pytest.mark.parametrize(("text", "where"), GENERIC)
def test_trees_are_drawn_from_the_law(text, where, seed):
    law = law_of(text, WORLDS[where][1])
    assert_drawn_from(outcomes(grow(tree(text), where, seed), law), np.append(law.mass, 0.0))


FLAT = np.full((13, 3), 1 / 3)
TIED = {
    "flat": FLAT,
    "one surer than the first": np.where(
        np.arange(13)[:, None] == 2, [1.0, 0.0, 0.0], [[0.5, 0.5, 0.0]]
    ),
}


@pytest.mark.parametrize("draft", TIED.values(), ids=TIED)
@pytest.mark.parametrize("sizes", [(3, 1, 2), (5, 3, 2)])
def test_of_equally_likely_prefixes_the_first_is_grown(draft, sizes):
    """Where the likeliest of a level are as likely as others, only what continues those that were
    kept can follow.
    """
    law = theory.growth.get("best_first").drawn(FLAT, draft, *sizes)
    scheme = growth.get("best_first")(*sizes)
    state, contexts = scheme.start(), np.zeros(1, int)
    parents, active, grown = [np.array([NO_NODE])], [np.array([True])], [contexts]
    for depth in range(2):
        first = sum(map(len, grown)) - len(contexts)
        state, level = scheme.expand(
            jax.random.key(0), depth, state, jnp.asarray(draft[contexts], jnp.float32)
        )
        contexts = np.where(
            level.active, VOCABULARY * contexts[level.parents] + 1 + np.asarray(level.tokens), 0
        )
        parents, active, grown = (
            [*parents, first + np.asarray(level.parents)],
            [*active, np.asarray(level.active)],
            [*grown, contexts],
        )
    tree = scheme.finish(
        state, jnp.asarray(np.concatenate(parents)), jnp.asarray(np.concatenate(active))
    )
    found = np.where(tree.topology.active, np.concatenate(grown)[tree.places], theory.trees.ABSENT)
    np.testing.assert_array_equal(
        rows(law.parents, law.contexts), rows(np.asarray(tree.topology.parents)[None], found[None])
    )


class FreshRaces(beam.Beam):
    """The children of a node race on a clock of their own, not behind the node."""

    name = "beam"

    def expand(self, key, depth, state, q):
        waits = jax.random.exponential(jax.random.fold_in(key, 7 + depth), state.log_time.shape)
        late = jnp.where(state.log_time < jnp.inf, jnp.log(waits) - state.log_mass, jnp.inf)
        return super().expand(key, depth, state._replace(log_time=late), q)


class ForgetsWhatIsLeft(beam.Beam):
    """Children of a level all wait as if nothing had been drawn at their node: the log of what is
    left counts as 0.
    """

    name = "beam"

    def expand(self, key, depth, state, q):
        def forgetful(key, q, priority, following, count):
            return _draws.draw_by_priority(
                key,
                q,
                priority,
                lambda draw, node, at, left: following(draw, node, at, jnp.zeros_like(left)),
                count,
            )

        with mock.patch.object(beam, "draw_by_priority", forgetful):
            return super().expand(key, depth, state, q)


class TrimsByToken(sampled_best_first.SampledBestFirst):
    """Keeps the likeliest tokens, not the likeliest draws."""

    name = "sampled_best_first"

    def expand(self, key, depth, state, q):
        after, level = super().expand(key, depth, state, q)
        return state.extended(after.log_mass, after.log_mass, level.parents), level


WRONG = [
    (FreshRaces(2, 2), "beam:2x2"),
    (ForgetsWhatIsLeft(2, 2), "beam:2x2"),
    (TrimsByToken(4, 2, 2), "sampled_best_first:4x2x2"),
]


@pytest.mark.parametrize(
    ("wrong", "text"), WRONG, ids=lambda x: x if isinstance(x, str) else type(x).__name__
)
def test_a_wrong_sampler_is_caught(wrong, text, seed):
    law = law_of(text, WORLDS["even"][1])
    found = (
        np.bincount(outcomes(grow(wrong, "even", seed), law), minlength=len(law.mass) + 1) / DRAWS
    )
    error, allowed = (
        np.abs(found - np.append(law.mass, 0)).sum() / 2,
        allowance(len(law.mass), DRAWS),
    )
    print(f"total variation {error:.4f}, allowed {allowed:.4f} (delta = {DELTA:g})")
    assert error > allowed


def draft_laws(verifier, text, law, scheme):
    """The law [T, N, V] of one of our verifiers on every tree of theory's."""
    sizes = tree(text).topology

    def one(parents, tokens, active, p, q):
        grown = growth.grown(sizes, _depth(parents, sizes.height), parents, active)
        return verifier.law(Draft(grown, tokens, q, scheme), p)

    with jax.enable_x64(True):
        columns = (
            law.parents.astype(np.int32),
            law.tokens.astype(np.int32),
            law.active,
            law.p,
            law.q,
        )
        return np.asarray(jax.jit(jax.vmap(one))(*columns))


def _depth(parents, height):
    depth, up = jnp.zeros_like(parents), parents
    for _ in range(height):
        depth, up = depth + (up != NO_NODE), jnp.where(up == NO_NODE, NO_NODE, parents[up])
    return depth


VERIFIED = [(text, TopDown(rules.get(RULE[scheme])())) for text, scheme in TREES.items()]
VERIFIED += [
    ("paths:2x2", TopDown(rules.get(name)()))
    for name in ("kseq", "optimal", "importance_weighted", "naive_first")
]
VERIFIED += [
    (text, Traversal())
    for text in ("paths:2x2", "beam:2x2", "beam:4x1", "sampled_best_first:5x4x2")
]
VERIFIED += [("beam:2x2", TopDown(rules.get("naive_membership")()))]


@pytest.mark.parametrize(
    ("text", "verifier"), VERIFIED, ids=lambda x: getattr(getattr(x, "rule", x), "name", str(x))
)
def test_the_emitted_sequence_has_the_law_of_the_target(text, verifier):
    losses = []
    for _, tables in WORLDS.values():
        law = law_of(text, tables)
        losses.append(theory.trees.loss(law, draft_laws(verifier, text, law, tree(text).scheme)))
    print(f"{text}: total variation {', '.join(f'{x:.1e}' for x in losses)}")
    assert max(losses) < 1e-12


@register
class CountsCousins:
    """Traversal, but nothing is accepted where node 1 has a single child: lossless on any fixed
    tree, and not one draft at a time.
    """

    claims = Traversal.claims

    def law(self, draft, p):
        alone = jnp.sum((draft.topology.parents == 1) & draft.topology.active) == 1
        return jnp.where(
            alone, jnp.zeros_like(p).at[trees.ROOT].set(p[trees.ROOT]), Traversal().law(draft, p)
        )


def test_a_verifier_that_reads_the_number_of_drafts_is_caught():
    tables = WORLDS["even"][1]
    binary = theory.trees.drawn(
        theory.TreeProblem((-1, 0, 0, 1, 2), *tables, "without_replacement")
    )
    beams = law_of("beam:2x2", tables)
    fixed, grown = (
        theory.trees.loss(law, draft_laws(CountsCousins(), "beam:2x2", law, SEQUENTIAL))
        for law in (binary, beams)
    )
    print(f"total variation {fixed:.1e} on a fixed tree, {grown:.1e} on a beam")
    assert fixed < 1e-12
    assert grown > 1e-3


ONE_BY_ONE = {"iid", "without_replacement", "top_n", "independent"}
AUDITED = [
    (rules.get(name), scheme)
    for name in rules.names()
    for scheme in sorted(rules.get(name).claims.drafting & ONE_BY_ONE)
]
AUDITED = [(make, scheme) for make, scheme in AUDITED if not make.claims.per_pair]


def dependence(make, scheme, n):
    """The largest difference, over the battery, between the law with a draft more, averaged over
    it, and that without it.

    Both weighted with the probability of the drafts before; only where the scheme draws that many.
    """
    pairs = battery()
    cases = rule_laws.cases(pairs, scheme, n)
    laws = rule_laws.laws(make(), cases.p, cases.q, n, rule_laws.patterns(n))
    worst = 0.0
    for drawn in range(n):
        fewer, more = rule_laws.prefix(n, drawn), rule_laws.prefix(n, drawn + 1)
        for b in range(len(pairs)):
            if theory.drafting.get(scheme).live(cases.q[b], n) > drawn:
                before, after = (_joint(cases, laws, row, b, n, drawn) for row in (fewer, more))
                worst = max(worst, float(np.abs(before - after).sum(-1).max()))
    return worst


def _joint(cases, laws, row, b, n, drawn):
    """Q(drafts) law(y | drafts), summed over all but the first `drawn` drafts."""
    weighted = cases.mass[row, b][:, None] * laws[b, row]
    return weighted.reshape((cases.vocabulary,) * drawn + (-1, cases.vocabulary)).sum(drawn)


@pytest.mark.parametrize(("make", "scheme"), AUDITED, ids=lambda x: getattr(x, "name", x))
def test_rules_that_claim_to_take_drafts_one_by_one_do(make, scheme):
    """And those that do not claim it do not."""
    n = max(n for n in (1, 2, 3) if make.claims.admits(n))
    worst = dependence(make, scheme, n)
    print(f"{make.name}, {scheme}, n = {n}: differs by {worst:.1e}")
    assert (worst < 1e-12) == make.claims.sequential


@register
class ReadsTheNumber:
    """A rule for drafts without replacement that says nothing of how it takes them."""

    claims = Claims(lossless=True, drafting=frozenset({"without_replacement"}))

    def law(self, tokens, p, q, mask):
        return p


def test_rules_outside_their_proof_are_refused():
    for text, scheme in TREES.items():
        grown = tree(text)
        assert decode.verifier(rules.get(RULE[scheme])(), grown.scheme, grown.topology)
    for text in ("beam:2x2", "sampled_best_first:5x4x2"):
        assert tree(text).scheme == SEQUENTIAL
        with pytest.raises(
            ValueError,
            match="expected one that takes its drafts one by one: in this tree their number "
            "depends on them",
        ):
            decode.verifier(ReadsTheNumber(), SEQUENTIAL, tree(text).topology)
        with pytest.raises(ValueError, match="takes its drafts one by one"):
            decode.verifier(rules.get("optimal")(), SEQUENTIAL, tree(text).topology)
        with pytest.raises(
            ValueError, match="its proof covers the schemes iid, not without_replacement"
        ):
            decode.verifier(rules.get("recursive_rejection")(), SEQUENTIAL, tree(text).topology)
    with pytest.raises(ValueError, match="not top_n"):
        decode.verifier(rules.get("kseq")(), "top_n", tree("best_first:5x3x2").topology)
    with pytest.raises(ValueError, match="takes n from 1 to 1, got n = 2"):
        decode.verifier(rules.get("single")(), "iid", tree("paths:2x2").topology)


@pytest.mark.parametrize("text", ONE_OF_EACH)
def test_a_batch_equals_a_loop(text):
    batch, one = grow(tree(text), "even", 3), grower(tree(text))[0]
    for i, key in enumerate(jax.random.split(jax.random.key(3), DRAWS)[:8]):
        chex.assert_trees_all_close(
            one(model("even"), key), jax.tree.map(lambda x, i=i: x[i], batch), rtol=1e-6
        )


@pytest.mark.parametrize("text", ONE_OF_EACH)
def test_sizes_are_kept(text):
    """Parents before children, children of every node in slot order, no more of them than the
    arities say.
    """
    (parents, depth, children, active, _, _), sizes = (
        (x[:64] for x in grow(tree(text), "even", 3)),
        tree(text).topology,
    )
    for drawn, static in (
        (parents, sizes.parents),
        (depth, sizes.depth),
        (children, sizes.children),
        (active, sizes.active),
    ):
        assert (drawn.shape[1:], drawn.dtype) == (static.shape, static.dtype)
    for row in range(len(parents)):
        for node in range(sizes.nodes):
            below = [
                child
                for child in range(1, sizes.nodes)
                if parents[row, child] == node and active[row, child]
            ]
            assert [child for child in children[row, node] if child != NO_NODE] == below
            assert len(below) in sizes.arities
            assert all(depth[row, child] == depth[row, node] + 1 for child in below)
        inner = [node for node in range(sizes.nodes) if (children[row, node] != NO_NODE).any()]
        assert max(inner) < sizes.levels[-2]
        assert depth[row].max() <= sizes.height


def test_a_wide_beam_in_single_precision_is_finite():
    """A peaked law at a large vocabulary: 40 of 40 sequences drawn, all different."""
    q = jax.nn.softmax(30 * jax.random.normal(jax.random.key(0), (1, 4096)))
    scheme, state = growth.get("beam")(40, 2), growth.get("beam")(40, 2).start()
    state, level = jax.jit(scheme.expand, static_argnums=1)(jax.random.key(1), 0, state, q)
    live = np.asarray(level.active)
    assert (
        len(set(np.asarray(level.tokens)[live].tolist()))
        == live.sum()
        == min(40, int((q > 0).sum()))
    )
    state, level = jax.jit(scheme.expand, static_argnums=1)(
        jax.random.key(1), 1, state, jnp.repeat(q, 40, 0)
    )
    assert np.asarray(level.active).all()
    assert np.isfinite(np.asarray(state.log_mass)).all()
    assert (
        len(
            set(
                zip(
                    np.asarray(level.parents).tolist(),
                    np.asarray(level.tokens).tolist(),
                    strict=True,
                )
            )
        )
        == 40
    )


def test_names():
    assert growth.parse("beam:8x4", "without_replacement") == growth.get("beam")(8, 4)
    assert growth.parse("full:2,2", "iid") == growth.Fixed(trees.full(2, 2), "iid")
    assert dataclasses.asdict(growth.parse("best_first:16x8x4", "top_n")) == {
        "nodes": 16,
        "width": 8,
        "depth": 4,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("beam", "tree: expected beam:WIDTHxDEPTH with numbers >= 1, got 'beam'"),
        ("beam:8", "expected beam:WIDTHxDEPTH"),
        ("beam:0x4", "expected beam:WIDTHxDEPTH"),
        ("best_first:8x4", "expected best_first:NODESxWIDTHxDEPTH"),
        ("best_first:64x4x4", "nodes: expected from 2 to 1 .* = 17, got 64"),
        ("bush:3", "tree: expected none, chain:D"),
        ("paths:2x2", "scheme: paths draws iid, got without_replacement"),
    ],
)
def test_what_names_no_tree(text, message):
    with pytest.raises(ValueError, match=message):
        growth.parse(text, "without_replacement" if "first" not in text else "top_n")
