"""The decoding loop: its law, its greedy limit, its history, and that it is one program."""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax import bounds, decode, numerics, rules, trees
from specjax.models import pairs
from specjax.models.markov import Markov, random_tables
from specjax.numerics import Sampling
from specjax.rules import Certificate, Claims, Solves, _stated, register
from specjax.verifiers import Block, Traversal, node_report
from tests.helpers import sampling
from tests.helpers.small_decodes import PROMPT, setting, small_pair, weights


def sequence_law(pair, start, length):
    """Exact probabilities of the next `length` tokens of an order-1 chain, as [V] * length."""
    p = np.asarray(jax.nn.softmax(pair.target_params, -1), np.float64)
    law = p[start]
    for _ in range(length - 1):
        law = law[..., None] * p
    return law


CASES = [
    pytest.param("chain:2", "single", "iid", marks=pytest.mark.thorough),
    ("none", "single", "iid"),
    ("star:2", "kseq", "iid"),
    pytest.param(
        "full:2,2",
        "recursive_rejection_without_replacement",
        "without_replacement",
        marks=pytest.mark.thorough,
    ),
    pytest.param("full:2,1", "greedy", "greedy", marks=pytest.mark.thorough),
    ("chain:2", "block", "iid"),
    ("full:2,2", "traversal", "without_replacement"),
]


@pytest.mark.parametrize(("tree", "rule", "scheme"), CASES)
@pytest.mark.key_reuse
def test_decoded_text_has_the_law_of_the_target(tree, rule, scheme, key):
    pair, budget = small_pair(), 3
    decoder, verifier = setting(pair, tree, rule, scheme)
    run = jax.vmap(
        lambda key: decode.decode(
            decoder, verifier, key, weights(pair), PROMPT, jnp.int32(3), budget
        )
    )
    texts = np.asarray(run(jax.random.split(key, 20000)).tokens)[:, 3 : 3 + budget]
    law = sequence_law(pair, 1, budget)
    sampling.assert_drawn_from(np.ravel_multi_index(texts.T, law.shape), law.ravel())


def test_a_decode_that_reuses_the_drafts_noise_is_caught(key, monkeypatch):
    """Planted error: the walk is drawn from the uniform that drew the draft."""
    pair = small_pair()
    decoder, verifier = setting(pair, "chain:1", "single", "iid")

    def noise_of_the_draft(key, state, draft):
        root = jax.random.fold_in(decode._stream(key, decode.DRAFT, state), trees.ROOT)
        return jnp.repeat(numerics.uniforms(root, (1,), jnp.float32), 2, 0)

    monkeypatch.setattr(decode, "uniforms", noise_of_the_draft)
    jax.clear_caches()
    run = jax.vmap(
        lambda key: decode.decode(decoder, verifier, key, weights(pair), PROMPT, jnp.int32(3), 1)
    )
    tokens = run(jax.random.split(key, 20000)).tokens[:, 3]
    jax.clear_caches()
    error, allowed = sampling.distance(tokens, sequence_law(pair, 1, 1))
    assert error > allowed


@pytest.mark.parametrize(("tree", "rule", "scheme"), CASES)
def test_the_emitted_law_of_a_step_is_exact(tree, rule, scheme):
    """Sum over every tree that can be drafted of P(tree) times the verifier's exact law = the
    target's law of the first token.
    """
    pair = small_pair()
    decoder, verifier = setting(pair, tree, rule, scheme)
    wrong = jnp.roll(pair.target_params, 1, 0)  # planted: p of the wrong context
    emitted, shifted = _first_token_laws(
        pair, decoder, verifier, scheme, jnp.stack([pair.target_params, wrong])
    )
    np.testing.assert_allclose(emitted, sequence_law(pair, 1, 1), atol=2e-6)
    assert np.abs(shifted - sequence_law(pair, 1, 1)).max() > 1e-2


def _first_token_laws(pair, decoder, verifier, scheme, targets):
    """One law for each of the targets' tables, in one program."""
    import theory

    topology, vocabulary = decoder.drafter.topology, pair.target.vocabulary
    q_table = np.asarray(jax.nn.softmax(pair.draft_params, -1), np.float64)
    children = [[c for c in row if c >= 0] for row in np.asarray(topology.children).tolist()]

    def grow(tokens, node):
        """(tokens, probability) of every way to draw the children of the nodes from `node` on."""
        if node == topology.nodes:
            yield tokens, 1.0
            return
        if not children[node]:
            yield from grow(tokens, node + 1)
            return
        q = q_table[tokens[node]]
        joint = theory.Problem(q / q.sum(), q / q.sum(), len(children[node]), scheme).joint()
        for drawn, mass in zip(joint.tokens.tolist(), joint.mass, strict=True):
            for full, rest in grow(
                {**tokens, **dict(zip(children[node], drawn, strict=True))}, node + 1
            ):
                yield full, mass * rest

    drawn = list(grow({0: 1}, 0))
    tokens = jnp.array([[t[i] for i in range(topology.nodes)] for t, _ in drawn])
    mass = np.array([m for _, m in drawn])
    assert mass.sum() == pytest.approx(1, abs=1e-6)

    def first_token(tokens, target_params):
        draft = trees.Draft(topology, tokens, jax.nn.softmax(pair.draft_params[tokens]), scheme)
        law = verifier.law(draft, jax.nn.softmax(target_params[tokens]))
        below = jnp.asarray(topology.ancestors())
        passed = jnp.zeros(vocabulary)
        for child in children[0]:
            passed = passed.at[tokens[child]].add(
                jnp.sum(jnp.where(below[:, child], law.sum(1), 0))
            )
        return law[0] + passed

    laws = jax.jit(jax.vmap(jax.vmap(first_token, (0, None)), (None, 0)))(tokens, targets)
    return mass @ np.asarray(laws, np.float64)


@pytest.mark.thorough
def test_greedy_decoding_equals_plain_greedy_decoding():
    """Up to near-ties: where they part, the target's two best logits are closer than two forwards
    differ.
    """
    pair, budget, tie = pairs.load("bytes"), 48, 1e-3
    prompt = jnp.array(pair.tokenizer.encode(pair.prompts[0])[:32], jnp.int32)
    decoder, verifier = setting(
        pair, "full:2,2,1", "recursive_rejection", "iid", Sampling(temperature=0)
    )
    decoded = decode.decode(
        decoder, verifier, jax.random.key(0), weights(pair), prompt, jnp.int32(32), budget
    )
    text = np.asarray(decoded.tokens)[: 32 + budget]
    logits = pair.target.score(
        pair.target_params, pair.target.init(96, 96), jnp.asarray(text), trees.chain(len(text) - 1)
    ).logits[31:-1]
    best = np.asarray(jax.lax.top_k(logits, 2)[0])
    agree = text[32:] == np.asarray(jnp.argmax(logits, -1))
    assert (agree | (best[:, 0] - best[:, 1] < tie)).all()
    assert int(decoded.steps) < budget, "no draft was ever accepted"


@pytest.mark.parametrize("name", [pytest.param("kseq", marks=pytest.mark.thorough), "traversal"])
def test_two_decodes_of_one_shape_share_a_trace(name):
    pair = small_pair()
    chex.clear_trace_counter()
    counted = jax.jit(
        chex.assert_max_traces(decode.decode.__wrapped__, n=1),
        static_argnames=("decoder", "budget"),
    )
    for seed, length in ((0, 3), (1, 2)):
        again, verifier = setting(pair, "full:2,2", name, "iid")
        counted(
            again,
            verifier,
            jax.random.key(seed),
            weights(pair),
            PROMPT,
            jnp.int32(length),
            budget=4,
        )


def test_the_loop_calls_no_host():
    pair = small_pair()
    decoder, verifier = setting(pair, "full:2,2", "kseq", "iid")
    program = str(
        decode.decode.trace(
            decoder, verifier, jax.random.key(0), weights(pair), PROMPT, jnp.int32(3), 4
        ).jaxpr
    )
    assert "while" in program
    assert "callback" not in program


@pytest.mark.short
def test_the_history_agrees_with_the_text():
    pair = pairs.load("markov")
    decoder, verifier = setting(pair, "full:3,2", "kseq", "iid")
    prompt = jnp.array(pair.tokenizer.encode("hello"), jnp.int32)
    decoded = decode.decode(
        decoder, verifier, jax.random.key(5), weights(pair), prompt, jnp.int32(5), 40, node_report
    )
    assert not decoded.info.emitted[decoded.steps :].any()
    info = jax.tree.map(lambda rows: np.asarray(rows)[: decoded.steps], decoded.info)
    assert info.emitted.sum() == int(decoded.length) - 5 == 40
    assert (info.record.hit.sum(1) == info.accepted).all()
    visited = info.record.proposed > 0
    assert (visited.sum(1) == np.minimum(info.emitted, 2)).all()
    assert (info.record.expected[visited] <= info.record.alpha_star[visited] + 1e-6).all()
    assert np.isnan(info.record.expected[~visited]).all()
    assert np.isnan(info.record.gap).all(), "K-SEQ offers no certificate"


@pytest.mark.parametrize(("tree", "name"), [("chain:2", "block"), ("full:2,2", "traversal")])
def test_of_a_verifier_of_whole_paths_only_the_walk_is_told(tree, name):
    pair = small_pair()
    decoder, verifier = setting(pair, tree, name, "iid")
    decoded = decode.decode(
        decoder, verifier, jax.random.key(2), weights(pair), PROMPT, jnp.int32(3), 40, node_report
    )
    info = jax.tree.map(lambda rows: np.asarray(rows)[: decoded.steps], decoded.info)
    assert (info.record.hit.sum(1) == info.accepted).all()
    assert info.emitted.sum() == 40
    width, height = decoder.drafter.topology.width, decoder.drafter.topology.height
    np.testing.assert_array_equal(
        info.record.proposed,
        width * (np.arange(height + 1) < np.minimum(info.accepted + 1, height)[:, None]),
    )
    assert all(
        np.isnan(values).all()
        for values in (
            info.record.law_mass,
            info.record.expected,
            info.record.alpha_star,
            info.record.gap,
        )
    )


@register
class Certified:
    """Recursive rejection that certifies how far its acceptance is from 1."""

    claims = Claims(lossless=True, drafting=frozenset({"iid"}))

    def law(self, tokens, p, q, mask):
        return rules.get("recursive_rejection")().law(tokens, p, q, mask)

    def expected_acceptance(self, p, q, n):
        return rules.get("recursive_rejection")().expected_acceptance(p, q, n)

    def certificate(self, p, q, n):
        alpha = self.expected_acceptance(p, q, n)
        return Certificate(alpha, jnp.ones(()), 1 - alpha, jnp.zeros(()), jnp.bool_(True))


def test_the_history_holds_the_gap_of_the_certificate():
    pair, topology = small_pair(), trees.full(2, 1)
    decoder, verifier = (
        decode.decoder(pair, topology, "iid"),
        decode.verifier(Certified(), "iid", topology),
    )
    decoded = decode.decode(
        decoder, verifier, jax.random.key(0), weights(pair), PROMPT, jnp.int32(3), 8, node_report
    )
    nodes = jax.tree.map(lambda rows: rows[: int(decoded.steps)], decoded.info.record)
    visited = np.asarray(nodes.proposed) > 0
    assert visited.any(0).tolist() == [True, True, False]
    np.testing.assert_allclose(nodes.gap[visited], 1 - nodes.expected[visited], atol=1e-6)
    assert np.isnan(nodes.gap[~visited]).all()
    assert rules.certificate(Certified(), nodes.gap[0], nodes.gap[0], 2, "greedy") is None
    assert rules.certificate(rules.get("kseq")(), nodes.gap[0], nodes.gap[0], 2, "iid") is None


@register
class SolvesOnce(Solves):
    """A rule that is solved for; whoever asks for its expectation or its certificate solves
    again.
    """

    claims = Claims(lossless=True, drafting=frozenset({"iid"}))

    def expected_acceptance(self, p, q, n):
        raise AssertionError("a second solve")

    def certificate(self, p, q, n):
        raise AssertionError("a second solve")

    def solve(self, p, q, n, live):
        return q

    def law_of(self, solved, tokens, p, mask):
        return rules.get("recursive_rejection")().law(tokens, p, solved, mask)

    def accepted(self, solved):
        return jnp.sum(solved) / 4


class Overrides(SolvesOnce):
    """Has a law of its own beside that of its solve."""

    def law(self, tokens, p, q, mask):
        return p


def test_a_law_that_is_not_out_of_the_solve_is_the_one_that_is_walked():
    tokens, p, q = jnp.array([2, 1]), jnp.array([0.6, 0.3, 0.1]), jnp.array([0.2, 0.3, 0.5])
    mask = jnp.ones(2, bool)
    law, accepted = _stated.law_and_acceptance(register(Overrides)(), tokens, p, q, mask)
    np.testing.assert_array_equal(law, p)
    assert np.isnan(accepted)
    law, accepted = _stated.law_and_acceptance(SolvesOnce(), tokens, p, q, mask)
    np.testing.assert_array_equal(law, SolvesOnce().law(tokens, p, q, mask))
    assert abs(accepted - 0.25) < 1e-6
    with pytest.raises(ValueError, match="p: expected a sum"):
        SolvesOnce().law(tokens, 2 * p, q, mask)


def test_no_node_is_solved_twice():
    """With the report, the law, the expectation and the gap of a node come out of one solve."""
    pair, topology = small_pair(), trees.full(2, 1)
    decoder, verifier = (
        decode.decoder(pair, topology, "iid"),
        decode.verifier(SolvesOnce(), "iid", topology),
    )
    decoded = decode.decode(
        decoder, verifier, jax.random.key(0), weights(pair), PROMPT, jnp.int32(3), 8, node_report
    )
    nodes = jax.tree.map(lambda rows: np.asarray(rows)[: int(decoded.steps)], decoded.info.record)
    visited = nodes.proposed > 0
    np.testing.assert_allclose(nodes.expected[visited], 0.25, atol=1e-6)
    np.testing.assert_allclose(
        (nodes.gap + nodes.expected)[visited], nodes.alpha_star[visited], atol=1e-5
    )
    assert np.isnan(nodes.expected[~visited]).all()


@pytest.mark.parametrize(
    "rule", ["optimal", pytest.param("optimal_without_replacement", marks=pytest.mark.thorough)]
)
def test_what_the_walk_states_is_the_expectation_and_the_certificate_of_the_rule(rule):
    pair, scheme = small_pair(5), rules.get(rule).claims.drafting
    decoder, verifier = setting(pair, "star:3", rule, *scheme)
    decoded = decode.decode(
        decoder, verifier, jax.random.key(0), weights(pair), PROMPT, jnp.int32(3), 6, node_report
    )
    nodes = jax.tree.map(lambda rows: np.asarray(rows)[: int(decoded.steps)], decoded.info.record)
    p, q = (jax.nn.softmax(table, -1) for table in (pair.target_params, pair.draft_params))
    start, made = 3, rules.get(rule)()
    certified = jax.jit(lambda p, q: rules.certificate(made, p, q, 3, *scheme))
    for step in range(int(decoded.steps)):
        last = int(decoded.tokens[start - 1])
        one = certified(p[last], q[last])
        np.testing.assert_allclose(nodes.expected[step, 0], one.alpha, atol=5e-6)
        np.testing.assert_allclose(nodes.gap[step, 0], one.gap, atol=5e-6)
        start += int(decoded.info.emitted[step])


@pytest.mark.parametrize("rule", [pytest.param("kseq", marks=pytest.mark.thorough), "optimal"])
def test_what_is_recorded_changes_no_token_and_nothing_is_recorded_unasked(rule):
    pair = small_pair()
    decoder, verifier = setting(pair, "full:2,2", rule, "iid")
    run = functools.partial(
        decode.decode, decoder, verifier, jax.random.key(1), weights(pair), PROMPT, jnp.int32(3), 12
    )
    plain, told = run(), run(node_report)
    np.testing.assert_array_equal(plain.tokens, told.tokens)
    assert plain.info.record == ()


def test_nobody_asks_for_the_optimum_where_nothing_is_recorded(monkeypatch):
    """Planted: a bracket that raises, which the report meets."""

    def raises(*arguments):
        raise LookupError("the optimum was asked for")

    monkeypatch.setattr(bounds, "bracket", raises)
    pair = small_pair(4)
    decoder, verifier = setting(pair, "full:2,2", "optimal", "iid")
    run = functools.partial(
        decode.decode, decoder, verifier, jax.random.key(1), weights(pair), PROMPT, jnp.int32(3), 12
    )
    assert int(run().length) == 15
    with pytest.raises(LookupError, match="asked for"):
        run(node_report)


@pytest.mark.parametrize(
    ("budget", "eos"), [pytest.param(1, 2, marks=pytest.mark.thorough), (5, (2, 0))]
)
def test_decoding_stops_at_the_budget_or_at_an_eos(budget, eos):
    pair, ends = small_pair()._replace(eos=eos), set(np.atleast_1d(eos).tolist())
    decoder, verifier = setting(pair, "full:2,2", "kseq", "iid")
    keys = jax.random.split(jax.random.key(9), 200)
    run = jax.vmap(
        lambda key: decode.decode(
            decoder, verifier, key, weights(pair), PROMPT, jnp.int32(3), budget
        )
    )
    tokens, lengths = (np.asarray(x) for x in run(keys)[:2])
    for text, length in zip(tokens, lengths, strict=True):
        emitted = text[3:length].tolist()
        assert 1 <= len(emitted) <= budget
        assert not ends & set(emitted[:-1])
        assert len(emitted) == budget or emitted[-1] in ends


def test_rules_outside_their_proof_are_refused():
    with pytest.raises(ValueError, match="its proof covers the schemes iid, not greedy"):
        decode.verifier(rules.get("kseq")(), "greedy", trees.star(2))
    with pytest.raises(ValueError, match="block: takes one path, got nodes with 2 children"):
        decode.verifier(Block(), "iid", trees.full(1, 2))
    with pytest.raises(
        ValueError,
        match="traversal: its proof covers the schemes iid, without_replacement, not greedy",
    ):
        decode.verifier(Traversal(), "greedy", trees.full(1, 2))
    with pytest.raises(ValueError, match="takes n from 1 to 1, got n = 2"):
        decode.verifier(rules.get("single")(), "iid", trees.star(2))
    with pytest.raises(ValueError, match="transport: holds the plan of one"):
        decode.verifier(rules.get("transport")(jnp.zeros((2, 2))), "iid", trees.star(1))


def test_markov_tables_have_the_entropy_and_distance_that_were_asked_for():
    target, draft = random_tables(5, 2, entropy=1.1, distance=0.2, seed=4)
    p, q = (np.asarray(jax.nn.softmax(x, -1), np.float64) for x in (target, draft))
    assert -(p * np.log(p)).sum(-1).mean() == pytest.approx(1.1, abs=1e-4)
    assert np.abs(p - q).sum(-1).mean() / 2 == pytest.approx(0.2, abs=1e-4)
    with pytest.raises(ValueError, match="entropy"):
        random_tables(5, 1, entropy=2.0, distance=0.1, seed=0)


def test_a_markov_chain_reads_its_context_along_the_tree():
    model, table = Markov(4, 2), random_tables(4, 2, entropy=1.0, distance=0.1, seed=2)[0]
    topology = trees.full(2, 2)
    tokens = jnp.array([1, 2, 3, 0, 1, 2, 3])
    cache = model.init(8, topology.nodes)
    cache = model.commit(
        model.score(table, cache, jnp.array([3]), trees.chain(0)).cache, jnp.array([0])
    )
    logits = model.score(table, cache, tokens, topology).logits
    parents = np.asarray(topology.parents)
    for node, parent in itertools.islice(enumerate(parents), 1, None):
        np.testing.assert_array_equal(logits[node], table[tokens[parent] * 4 + tokens[node]])
    np.testing.assert_array_equal(logits[0], table[3 * 4 + 1])
    cache = model.commit(
        model.score(table, cache, tokens, topology).cache, jnp.array([0, 2, 5, trees.NO_NODE])
    )
    np.testing.assert_array_equal(cache.history, [3, 2])
