"""Attention over the rows that a cache holds, and no more."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.models import attention
from specjax.models.attention import attend, attend_first

ROWS = 700


@pytest.fixture(scope="module")
def heads():
    keys = jax.random.split(jax.random.key(0), 3)
    shapes = (3, 4, 8), (2, ROWS, 8), (2, ROWS, 8)
    return [jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)]


def masked(used):
    return jnp.broadcast_to(jnp.arange(ROWS) < used, (3, ROWS))


@jax.jit
def first(used, query, keys, values):
    return attend_first(used, query, keys, values, masked(used), None)


def test_the_fewest_rows_that_hold_all_are_read(heads):
    """At every edge; planted: one row fewer than are held."""
    assert attention._sizes(ROWS) == (128, 512, ROWS)
    for used in (1, 127, 128, 129, 511, 512, 513, 700):
        right = attend(*heads, masked(used))
        np.testing.assert_allclose(first(used, *heads), right, atol=1e-6)
    for used in (129, 513):
        short = attend_first(jnp.int32(used - 1), *heads, masked(used), None)
        assert np.abs(short - attend(*heads, masked(used))).max() > 1e-5


def test_rows_beyond_are_not_looked_at(heads):
    """NaN in a row that is not read does no harm; read and masked, it does."""
    query, keys, values = heads
    spoilt = values.at[:, 600].set(jnp.nan)
    assert np.isfinite(first(500, query, keys, spoilt)).all()
    assert np.isnan(attend(query, keys, spoilt, masked(500))).any()


def test_a_batch_still_chooses_once(heads):
    """Planted: without the largest count, a batch computes every size and selects."""
    used = jnp.array([3, 600])
    batched = jax.vmap(functools.partial(first), (0, None, None, None))
    for i, count in enumerate(used):
        np.testing.assert_allclose(batched(used, *heads)[i], first(count, *heads), atol=1e-6)
    text = str(jax.make_jaxpr(batched)(used, *heads))
    assert "cond[" in text
    naive = jax.vmap(lambda used: jax.lax.switch(used, [jnp.sin, jnp.cos], 1.0))
    assert "cond[" not in str(jax.make_jaxpr(naive)(jnp.array([0, 1])))
