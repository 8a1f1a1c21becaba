"""The transformer: a tree in one forward is each of its paths as plain text; the cache forgets
nothing and invents nothing.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from specjax.models import transformer
from specjax.models.config import Config
from specjax.models.derived import adapted, subset
from specjax.models.transformer import Transformer
from specjax.trees import NO_NODE, ROOT, chain, full

CONFIG = Config(vocabulary=50, width=16, layers=3, heads=4, kv_heads=2, hidden=32, window=6)
MODEL = Transformer(CONFIG, features=(0, CONFIG.layers))
TREE = full(2, 2, 1)
PROMPT = jnp.array([7, 3, 9, 1, 4])
TOKENS = (jnp.arange(TREE.nodes) * 11 + 2) % CONFIG.vocabulary

close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=3e-5)
score = jax.jit(MODEL.score, static_argnums=(3,))
forward = jax.jit(MODEL.forward)
commit = jax.jit(MODEL.commit)


def after(params, sequence):
    """Logits of what follows a plain sequence; padded, so that all lengths share a trace."""
    return forward(params, jnp.pad(sequence, (0, 20 - len(sequence)))[None])[0, len(sequence) - 1]


@pytest.fixture(scope="module")
def params():
    drawn = jax.jit(MODEL.new_params)(jax.random.key(0))
    # logits of order 1 and more
    return drawn | {"embed": {"kernel": drawn["embed"]["kernel"] * 50}}


@pytest.fixture(scope="module")
def prefilled(params):
    scores = score(params, MODEL.init(16, TREE.nodes), PROMPT, chain(len(PROMPT) - 1))
    return commit(scores.cache, jnp.arange(len(PROMPT)))


def path_to(node: int) -> list[int]:
    path = [node]
    while path[0] != ROOT:
        path.insert(0, int(TREE.parents[path[0]]))
    return path


@pytest.mark.skipif(not hasattr(nnx, "set_graph_mode"), reason="this flax has no tree mode")
def test_tree_mode_gives_the_same_logits(params):
    """NNX will take modules as trees, not as graphs; ours share nothing, so that both agree."""
    tokens = PROMPT[None]
    transformer._structure.cache_clear()
    with nnx.set_graph_mode(True):
        as_graph = Transformer(CONFIG).forward(params, tokens)
    transformer._structure.cache_clear()
    with nnx.set_graph_mode(False):
        as_tree = Transformer(CONFIG).forward(params, tokens)
        again = Transformer(CONFIG).new_params(jax.random.key(0))
    transformer._structure.cache_clear()
    assert jnp.array_equal(as_tree, as_graph)
    drawn = Transformer(CONFIG).new_params(jax.random.key(0))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, again, drawn))


def test_tree_equals_its_paths(params, prefilled):
    """Every node's logits are those of the plain sequence prompt + path."""
    logits = score(params, prefilled, TOKENS, TREE).logits
    assert logits.dtype == jnp.float32
    for node in range(TREE.nodes):
        sequence = jnp.concatenate([PROMPT, TOKENS[np.array(path_to(node))]])
        close(logits[node], after(params, sequence))


def test_levels_equal_one_forward(params, prefilled):
    """Scoring level by level gives the logits, the features and the cache of one forward."""
    whole, cache, parts = score(params, prefilled, TOKENS, TREE), prefilled, []
    for first, end in zip(TREE.levels, TREE.levels[1:], strict=False):
        part = jax.jit(functools.partial(MODEL.score, topology=TREE, nodes=slice(first, end)))(
            params, cache, TOKENS
        )
        cache = part.cache
        parts.append((part.logits, part.features))
    joined = jax.tree.map(lambda *rows: jnp.concatenate(rows), *parts)
    for mine, theirs in zip(
        jax.tree.leaves((joined, cache)),
        jax.tree.leaves(((whole.logits, whole.features), whole.cache)),
        strict=True,
    ):
        close(mine, theirs)


def test_commit_then_continue(params, prefilled):
    """After a path is committed, the next tree sees prompt + path and nothing else, twice in a
    row.
    """
    path = path_to(TREE.nodes - 1)[:-1]
    padded = jnp.array(path + [NO_NODE] * (TREE.height + 1 - len(path)))
    cache, sequence = prefilled, PROMPT
    for _ in range(2):
        cache = commit(score(params, cache, TOKENS, TREE).cache, padded)
        sequence = jnp.concatenate([sequence, TOKENS[np.array(path)]])
        assert cache.length == len(sequence)
    logits = score(params, cache, TOKENS, TREE).logits[ROOT]
    close(logits, after(params, jnp.append(sequence, TOKENS[ROOT])))


def test_vmap_equals_loop(params):
    """A batch of caches of different lengths gives what each gives alone."""
    prompts = jnp.stack([PROMPT, PROMPT[::-1]])

    def run(prompt, length):
        steps = jnp.arange(len(PROMPT))
        cache = score(params, MODEL.init(16, TREE.nodes), prompt, chain(len(PROMPT) - 1)).cache
        cache = commit(cache, jnp.where(steps < length, steps, NO_NODE))
        return score(params, cache, TOKENS, TREE).logits

    lengths = jnp.array([2, 5])
    batched = jax.jit(jax.vmap(run))(prompts, lengths)
    for i in range(2):
        close(batched[i], run(prompts[i], lengths[i]))


def test_traced_topology_and_inactive_nodes(params, prefilled):
    """A traced tree gives the same logits, and what hangs at inactive nodes changes nothing
    elsewhere.
    """
    dead = TREE.nodes - 1
    arrays = dataclasses.replace(TREE, active=jnp.ones(TREE.nodes, bool).at[dead].set(False))
    traced = jax.jit(MODEL.score)(params, prefilled, TOKENS.at[dead].set(0), arrays).logits
    close(traced[:dead], score(params, prefilled, TOKENS, TREE).logits[:dead])


def test_subset_shares_weights(params):
    """Dropped layers share the target's arrays; with all layers and the identity as adapter the
    model is unchanged.
    """
    model, weights = subset(MODEL, params, (0, 2))
    assert model.config.layers == 2
    assert weights["blocks"][1]["up"]["kernel"] is params["blocks"][2]["up"]["kernel"]
    model, weights = adapted(
        *subset(MODEL, params, (0, 1, 2)),
        {"kernel": jnp.eye(CONFIG.width), "bias": jnp.zeros(CONFIG.width)},
    )
    close(jax.jit(model.forward)(weights, PROMPT[None])[0, -1], after(params, PROMPT))


def test_static_mistakes_are_one_line():
    with pytest.raises(ValueError, match="at most 6 nodes"):
        MODEL.score({}, MODEL.init(2, 4), jnp.zeros(TREE.nodes, int), TREE)
    with pytest.raises(ValueError, match="numbers from 0 to 2"):
        subset(MODEL, {}, (3,))
    with pytest.raises(ValueError, match="divisible"):
        Config(vocabulary=8, width=12, layers=1, heads=5, kv_heads=1, hidden=8)
