"""Training: a few steps help, the distillation objective is zero where the laws agree, checkpoints
and held-out text are sound.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.models import checkpoints, packed
from specjax.models.config import Config
from specjax.models.transformer import Transformer
from specjax.training import evaluation, text
from specjax.training.loop import Schedule, train
from specjax.training.objectives import cross_entropy, distillation, overlap

MODEL = Transformer(Config(vocabulary=256, width=16, layers=1, heads=2, kv_heads=1, hidden=32))
TOKENS = text.as_tokens(b"the quick brown fox jumps over the lazy dog. " * 30)
WINDOWS = text.strided(TOKENS, 16)[:8]


@pytest.fixture(scope="module")
def params():
    return jax.jit(MODEL.new_params)(jax.random.key(0))


def test_training_learns_and_keeps_the_best(params, tmp_path):
    schedule = Schedule(steps=40, batch=8, window=16, learning_rate=0.03, warmup=4, every=20)
    held_out = lambda weights: evaluation.bits(MODEL, weights, WINDOWS)  # noqa: E731
    best, history = train(
        cross_entropy(MODEL), params, TOKENS, held_out, schedule, tmp_path / "weights"
    )
    assert [step for step, _ in history] == [20, 40]
    assert held_out(best) == pytest.approx(min(loss for _, loss in history), abs=1e-6)
    assert held_out(best) < held_out(params) - 1
    restored = checkpoints.restore(tmp_path / "weights", params)
    jax.tree.map(np.testing.assert_array_equal, restored, best)


def test_training_stops_when_nothing_improves(params, tmp_path):
    schedule = Schedule(steps=9, batch=8, window=16, warmup=1, every=1, patience=2)
    _, history = train(
        cross_entropy(MODEL), params, TOKENS, lambda _: 1.0, schedule, tmp_path / "weights"
    )
    assert len(history) == 3


def test_distillation_is_zero_where_the_laws_agree(params):
    value, gradient = jax.jit(jax.value_and_grad(distillation(MODEL, MODEL, params)))(
        params, WINDOWS
    )
    assert abs(value) < 1e-6
    assert max(float(jnp.abs(g).max()) for g in jax.tree.leaves(gradient)) < 1e-6


def test_overlap_is_one_minus_total_variation():
    p, q = jax.random.normal(jax.random.key(0), (2, 7))
    np.testing.assert_allclose(
        overlap(p, q), 1 - jnp.abs(jax.nn.softmax(p) - jax.nn.softmax(q)).sum() / 2, rtol=1e-5
    )


def test_packed_weights_lose_only_precision(params, tmp_path):
    packed.pack(tmp_path / "weights.npz", params)
    unpacked = packed.unpack(tmp_path / "weights.npz", params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-7), params, unpacked
    )


def test_restore_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="train first"):
        checkpoints.restore(tmp_path / "nothing", {})


def test_passages_are_complete_and_apart():
    """Nothing is lost or shared between training text and held-out passages, which end at blank
    lines.
    """
    work = b"\n\n".join(b"Passage %d. " % i * 30 for i in range(400))
    kept, held_out = text.split([work])
    every = text.passages(work)
    assert b"".join(every).split() == work.split()
    assert len(held_out) == len(every) // text.HELD_OUT_EVERY > 0
    assert all(passage.endswith(b"\n\n") and passage not in kept for passage in held_out)


def test_strided_windows_see_every_token_once():
    windows = text.strided(jnp.arange(100), 16)
    np.testing.assert_array_equal(
        windows[:, 1:][:, 8:].reshape(-1), jnp.arange(9, 9 + 8 * len(windows))
    )
