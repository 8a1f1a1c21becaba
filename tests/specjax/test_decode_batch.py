"""Batches: each row gets what it gets alone, in one program for a bucket of prompts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax import decode
from specjax.decode import _loop
from specjax.models import pairs
from specjax.verifiers import node_report
from tests.helpers.small_decodes import PROMPT, setting, small_pair, weights


def test_a_batch_equals_a_loop():
    """Texts, steps and records; rows end by EOS, by a budget of their own, or by that of all."""
    pair = small_pair()._replace(eos=2)
    decoder, verifier = setting(pair, "full:2,2", "kseq", "iid")

    @jax.jit
    def run(key, length, most):
        return decode.decode(
            decoder, verifier, key, weights(pair), PROMPT, length, 12, node_report, most
        )

    keys, lengths = jax.random.split(jax.random.key(4), 6), jnp.array([1, 2, 3, 5, 4, 2])
    budgets = jnp.array([12, 12, 12, 12, 3, 0])
    batch = jax.vmap(run)(keys, lengths, budgets)
    ones = [run(*row) for row in zip(keys, lengths, budgets, strict=True)]
    looped = jax.tree.map(lambda *rows: jnp.stack(rows), *ones)
    jax.tree.map(np.testing.assert_array_equal, batch, looped)
    emitted = np.asarray(batch.length - lengths)
    assert (emitted <= budgets).all()
    assert emitted[-1] == batch.steps[-1] == 0
    assert len(set(np.asarray(batch.steps).tolist())) > 2, "rows end at different steps"
    assert decode.waste(batch) == pytest.approx(1 - np.mean(batch.steps) / np.max(batch.steps))


def test_rows_that_are_done_are_not_copied(monkeypatch):
    """A batch turns on one flag. Planted: on a flag of each row's own, every turn copies caches."""
    pair = pairs.load("bytes")
    decoder, verifier = setting(pair, "chain:1", "single", "iid")

    def selects():
        """How often the caches of a batch of 2 are selected."""
        jax.clear_caches()
        run = jax.vmap(
            lambda key: decode.decode(
                decoder, verifier, key, weights(pair), PROMPT, jnp.int32(3), 8
            )
        )
        program = jax.jit(run).lower(jax.random.split(jax.random.key(0), 2)).as_text()
        caches = [line for line in program.splitlines() if "2x1x64x64xf32" in line]
        assert caches
        return sum("stablehlo.select" in line for line in caches)

    assert selects() == 0
    monkeypatch.setattr(_loop, "largest_in_batch", lambda flag: flag)
    assert selects() > 0
    jax.clear_caches()


def test_prompts_of_one_bucket_share_a_trace():
    """Twenty lengths; the next bucket is another program."""
    pair = small_pair()
    decoder, verifier = setting(pair, "chain:1", "single", "iid")
    decode.decode.clear_cache()
    for length in (*range(1, 65, 3), 64):
        prompts, lengths = decode.padded([[1] * length])
        decode.decode(
            decoder, verifier, jax.random.key(0), weights(pair), prompts[0], lengths[0], 4
        )
    assert decode.decode._cache_size() == 1
    assert decode.padded([[1] * 65])[0].shape == (1, 128)
