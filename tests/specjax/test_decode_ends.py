"""How a decode ends: at EOS or at the budget, in the middle of a block, with nothing counted that
was not emitted.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import experiments.compare
import experiments.decode
from experiments.__main__ import main
from experiments.decoding import paired
from experiments.inputs import named_verifiers
from specjax import decode
from specjax.models import Pair, pairs
from specjax.models.markov import Markov
from specjax.models.pairs.markov import Letters
from specjax.numerics import Sampling
from specjax.trees import growth
from specjax.verifiers import node_report

PROMPT, LENGTH = jnp.zeros(4, jnp.int32), jnp.int32(1)


def cycle(eos):
    """0 -> 1 -> 2 -> 3 -> 0 for certain, and the draft model is the target: every draft is
    accepted.
    """
    table = jnp.log(jnp.roll(jnp.eye(4), 1, axis=1))
    return Pair(Markov(4, 1), table, Markov(4, 1), table, Letters(), eos, ("a", "aa"))


def setting(pair, name, tree="chain:6"):
    grown = growth.parse(tree, "iid")
    decoder = decode.decoder(pair, grown, "iid")
    return (
        decoder,
        decode.verifier(named_verifiers.made(name), "iid", grown.topology),
        decode.Params(pair.target_params, pair.draft_params),
    )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("single", marks=pytest.mark.thorough),
        "block",
        pytest.param("traversal", marks=pytest.mark.thorough),
    ],
)
@pytest.mark.parametrize(
    ("eos", "budget", "emitted", "accepted"),
    [(3, 20, [3], [3]), (-1, 4, [4], [4]), (-1, 9, [7, 2], [6, 2])],
)
def test_what_eos_or_the_budget_cuts_is_not_counted(name, eos, budget, emitted, accepted, key):
    decoder, verifier, params = setting(cycle(eos), name)
    found = decode.decode(decoder, verifier, key, params, PROMPT, LENGTH, budget, node_report)
    info = jax.tree.map(lambda rows: np.asarray(rows)[: int(found.steps)], found.info)
    assert info.emitted.tolist() == emitted
    assert info.accepted.tolist() == accepted == info.record.hit.sum(1).tolist()
    assert (info.record.proposed > 0).sum(1).tolist() == accepted, (
        "a node below the last emitted token counts"
    )
    assert np.asarray(found.tokens)[1 : int(found.length)].tolist() == [
        (i + 1) % 4 for i in range(sum(emitted))
    ]
    assert not np.asarray(found.tokens)[int(found.length) :].any()


@pytest.mark.parametrize("eos", [3, -1])
def test_a_step_changes_nothing_of_a_state_that_is_done(eos, key):
    decoder, verifier, params = setting(cycle(eos), "single")
    step = jax.jit(
        functools.partial(decode.step, decoder, verifier, key, params, record=node_report)
    )
    state = decode.init(decoder, params, PROMPT, LENGTH, 3)
    state, first = step(state)
    again, info = step(state)
    assert state.done
    assert (
        int(first.emitted),
        int(info.emitted),
        int(info.accepted),
        int(info.record.proposed.sum()),
    ) == (3, 0, 0, 0)
    committed = [
        (s.tokens, s.length, s.done, s.target.history, s.drafter.cache.history, s.drafter.recent)
        for s in (state, again)
    ]
    jax.tree.map(np.testing.assert_array_equal, *committed)


def test_after_a_cut_both_models_have_what_was_emitted(key):
    """A text that EOS ended goes on as if it had been the prompt."""
    decoder, verifier, params = setting(cycle(3), "single")
    ended, _ = decode.step(
        decoder, verifier, key, params, decode.init(decoder, params, PROMPT, LENGTH, 9)
    )
    fresh = decode.init(decoder, params, ended.tokens[:4], ended.length, 6)
    for held in (lambda state: state.target, lambda state: state.drafter.cache):
        np.testing.assert_array_equal(held(ended).history, held(fresh).history)
    assert ended.drafter.recent.tolist() == fresh.drafter.recent.tolist() == [2, 3]


def with_pair(monkeypatch, pair):
    monkeypatch.setattr(pairs, "load", lambda name: pair)


def test_decode_says_the_tokens_of_a_call(monkeypatch):
    with_pair(monkeypatch, cycle(3))
    found = experiments.decode.run(
        experiments.decode.Config("a", pair="markov", rule="single", tree="chain:6", tokens=20)
    )
    assert (found["block_efficiency"], found["accepted"]) == (3, [True] * 3)


def test_compare_counts_emitted_tokens_and_their_nodes(monkeypatch):
    with_pair(monkeypatch, cycle(3))
    config = experiments.compare.Config(
        pair="markov", rules=("single", "traversal"), tree=("chain:6",), contexts=4
    )
    for row in experiments.compare.run(config)["rows"]:
        assert (row["block_efficiency"], row["contexts"], row["acceptance_count"]) == (
            3,
            2 * (3 + 2),
            1,
        )  # to EOS: 3 nodes, then 2


@pytest.mark.thorough
def test_tree_budget_counts_emitted_tokens(key):
    pair = cycle(3)
    decoder, verifier, _ = setting(pair, "single")
    prompts, lengths = jnp.zeros((2, 4), jnp.int32), jnp.ones(2, jnp.int32)
    (calls,) = paired.efficiency(decoder, (verifier,), key, pair, prompts, lengths, 3)
    assert calls.emitted[calls.ran].tolist() == [3, 3]


def broken(model, value=jnp.nan):
    """The law after token 1 is none; after token 0 all is well."""
    pair = cycle(-1)
    name = f"{model}_params"
    return pair._replace(**{name: getattr(pair, name).at[1].set(value)})


CASES = [
    ("target", jnp.nan, decode.NO_TARGET_LAW),
    ("draft", jnp.nan, decode.NO_DRAFT_LAW),
    ("target", -jnp.inf, decode.NO_TARGET_LAW),
]


@pytest.mark.parametrize("temperature", [0, 1])
@pytest.mark.parametrize(("model", "value", "status"), CASES)
def test_a_law_that_is_none_ends_the_decode_with_a_status(model, value, status, temperature, key):
    pair = broken(model, value)
    decoder, verifier, params = setting(pair, "single", "chain:2")
    decoder = decode.decoder(pair, growth.parse("chain:2", "iid"), "iid", Sampling(temperature))
    found = decode.decode(decoder, verifier, key, params, PROMPT, LENGTH, 20)
    assert (int(found.status), int(found.steps), int(found.length - LENGTH)) == (status, 1, 0)
    fine = decode.decode(
        decoder,
        verifier,
        key,
        decode.Params(cycle(-1).target_params, cycle(-1).draft_params),
        PROMPT,
        LENGTH,
        20,
    )
    assert (int(fine.status), int(fine.length - LENGTH)) == (decode.FINE, 20)


def test_the_commands_say_in_one_line_whose_law_is_none(monkeypatch, capsys):
    with_pair(monkeypatch, broken("target"))
    common = ["--pair", "markov", "--tree", "chain:1"]
    assert main(["decode", "a", *common, "--rule", "single"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "specjax: error: the target's logits hold NaN, or no finite one: the text ends after 0 "
        "tokens"
    ]
    with pytest.raises(
        ValueError, match="the target's logits hold NaN, or no finite one, after prompt 0"
    ):
        experiments.compare.run(
            experiments.compare.Config(
                pair="markov", rules=("single",), tree=("chain:1",), contexts=2
            )
        )
