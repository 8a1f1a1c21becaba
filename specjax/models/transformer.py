"""A plain decoder that scores whole trees in one forward.

It has grouped-query attention; `Config` says which norms, positions and MLP.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float, Int, PyTree

from specjax._types import Count, Index, RandomKey
from specjax.models._base import Scores
from specjax.models.attention import Rotation, attend, attend_first, capped, rotation
from specjax.models.config import Config
from specjax.models.plan import Plan, every
from specjax.trees import NO_NODE, ROOT, Topology

# jax's gelu is that by tanh
ACTIVATIONS = {"silu": jax.nn.silu, "gelu": jax.nn.gelu, "relu": jax.nn.relu}


def _norm(config: Config, width: int, rngs: nnx.Rngs) -> nnx.LayerNorm | nnx.RMSNorm:
    kind = nnx.LayerNorm if config.centred else nnx.RMSNorm
    return kind(width, epsilon=config.norm_eps, rngs=rngs)


class Cache(NamedTuple):
    """The cache of a decoder.

    Attributes:
      keys: for each block, [kv_heads, rows, head_width].
      values: for each block, [kv_heads, rows, head_width].
      length: the number of committed rows; the rows from `length` on are scratch.
    """

    keys: tuple[Float[Array, "K R H"], ...]
    values: tuple[Float[Array, "K R H"], ...]
    length: Index


class Block(nnx.Module):
    """Attention, then an MLP, each on a normalised residual stream.

    The MLP and the projections act row by row.
    """

    def __init__(self, config: Config, rngs: nnx.Rngs):
        self.head_width = config.head_width
        self.scale = config.head_width**-0.5 if config.query_scale is None else config.query_scale
        self.activation = ACTIVATIONS[config.activation]
        linear = functools.partial(nnx.Linear, use_bias=config.biases, rngs=rngs)
        projection = functools.partial(nnx.Linear, use_bias=config.projection_bias, rngs=rngs)
        norm = functools.partial(_norm, config, rngs=rngs)
        self.attention_norm = norm(config.width)
        self.mlp_norm = norm(config.width)
        self.qkv = projection(config.width, config.query_width + 2 * config.kv_width)
        self.ends = config.query_width, config.query_width + config.kv_width
        self.out = linear(config.query_width, config.width)
        if config.head_norm:
            self.query_norm = norm(config.head_width)
            self.key_norm = norm(config.head_width)
        if config.after_norms:
            self.attention_after = norm(config.width)
            self.mlp_after = norm(config.width)
        if config.gated:
            self.gate = linear(config.width, config.hidden)
        self.up = linear(config.width, config.hidden)
        self.down = linear(config.hidden, config.width)

    def project(self, x: Float[Array, "M E"], turn: Rotation | None) -> tuple[Array, Array, Array]:
        """Query, key and value heads of each row."""
        y = self.attention_norm(x)
        heads = (len(x), -1, self.head_width)
        query, key, value = jnp.split(self.qkv(y), self.ends, axis=-1)
        query = query.reshape(heads)
        key = key.reshape(heads)
        value = value.reshape(heads)
        if hasattr(self, "query_norm"):
            query = self.query_norm(query)
            key = self.key_norm(key)
        if turn is not None:
            query = turn(query)
            key = turn(key)
        return query * self.scale, key, value

    def attended(
        self, x: Float[Array, "M E"], mixed: Float[Array, "*lead A H"]
    ) -> Float[Array, "M E"]:
        """The residual stream after attention, given what it mixed."""
        changed = self.out(mixed.reshape(len(x), -1))
        return x + (self.attention_after(changed) if hasattr(self, "mlp_after") else changed)

    def fed(self, x: Float[Array, "M E"]) -> Float[Array, "M E"]:
        """The residual stream after the MLP."""
        y = self.mlp_norm(x)
        if hasattr(self, "gate"):
            active = self.activation(self.gate(y)) * self.up(y)
        else:
            active = self.activation(self.up(y))
        changed = self.down(active)
        return x + (self.mlp_after(changed) if hasattr(self, "mlp_after") else changed)


class Decoder(nnx.Module):
    """The weights and the forward.

    The embedding is stored as the kernel of a head: one column a token. A CPU multiplies one row
    by it five times as fast as by its transpose.
    """

    def __init__(self, config: Config, rngs: nnx.Rngs):
        self.embedding_scale = config.embedding_scale
        self.logit_cap = config.logit_cap
        self.embed = nnx.Linear(
            config.width,
            config.vocabulary,
            use_bias=False,
            kernel_init=nnx.initializers.normal(0.02),
            rngs=rngs,
        )
        self.blocks = nnx.List([Block(config, rngs) for _ in range(config.layers)])
        if config.learned_positions:
            self.positions = nnx.Embed(config.longest, config.width, rngs=rngs)
        self.norm = _norm(config, config.width, rngs)
        if config.adapter:
            self.adapter = nnx.Linear(config.width, config.width, rngs=rngs)
        if not config.tied:
            known = config.known or config.vocabulary
            self.unembed = nnx.Linear(config.width, known, use_bias=False, rngs=rngs)

    def stream(self, tokens: Int[Array, " M"], positions: Int[Array, " M"]) -> Float[Array, "M E"]:
        """The residual stream before the first block, float32."""
        x = self.embed.kernel[:, tokens].T.astype(jnp.float32) * self.embedding_scale
        if not hasattr(self, "positions"):
            return x
        # scratch nodes may lie beyond the last position; they are never emitted
        return x + self.positions(jnp.minimum(positions, self.positions.num_embeddings - 1))

    def head(self, x: Float[Array, "M E"]) -> Float[Array, "M V"]:
        """Logits from the residual stream."""
        y = self.norm(self.adapter(x) if hasattr(self, "adapter") else x)
        logits = self.unembed(y) if hasattr(self, "unembed") else self.embed(y)
        return capped(logits, self.logit_cap)


@functools.cache
def _structure(config: Config) -> nnx.GraphDef[Decoder]:
    return nnx.graphdef(nnx.eval_shape(lambda: Decoder(config, nnx.Rngs(0))))


@dataclasses.dataclass(frozen=True)
class Transformer:
    """A decoder as a `LanguageModel`, with a static key-value cache.

    The scratch rows lie directly after the committed rows.

    Attributes:
      config: the shape.
      features: numbers of blocks after which the hidden state [M, width] is returned by `score`; 0
        is the embedding. Under a plan they are numbers of its groups.
      plan: which parts of the blocks run; None for all. A block whose attention does not run leaves
        its rows of the cache as they are.

    Cost: a forward costs O(M (weights + rows * width)); rows are those that the cache holds, with
    the tree, rounded up as in `attention.attend_first`.
    """

    config: Config
    features: tuple[int, ...] = ()
    plan: Plan | None = None

    @property
    def running(self) -> Plan:
        """What a forward runs."""
        return every(self.config.layers) if self.plan is None else self.plan

    @property
    def vocabulary(self) -> int:
        """V."""
        return self.config.vocabulary

    @property
    def longest(self) -> int:
        """The largest number of tokens of a text."""
        return self.config.longest

    def new_params(self, key: RandomKey) -> PyTree:
        """Random weights, float32, as a nested dict."""
        return nnx.to_pure_dict(nnx.state(Decoder(self.config, nnx.Rngs(key))))

    def init(self, capacity: int, nodes: int) -> Cache:
        """An empty cache.

        At length t, `score` takes any tree of up to capacity + nodes - t nodes.
        """
        shape = (self.config.kv_heads, capacity + nodes, self.config.head_width)
        keys = tuple(jnp.zeros(shape, jnp.float32) for _ in range(self.config.layers))
        values = tuple(jnp.zeros(shape, jnp.float32) for _ in range(self.config.layers))
        return Cache(keys, values, jnp.zeros((), jnp.int32))

    def score(
        self,
        params: PyTree,
        cache: Cache,
        tokens: Int[Array, " N"],
        topology: Topology,
        nodes: slice = slice(None),
        asked: slice = slice(None),
    ) -> Scores:
        """Logits (float32) of what follows the nodes that are `asked` about.

        `LanguageModel` describes the arguments.

        Raises:
          ValueError: the tree has more nodes than the cache has rows, or `tokens` has another size
            than the tree.
        """
        rows = cache.keys[0].shape[1]
        if topology.nodes > rows or tokens.shape != (topology.nodes,):
            raise ValueError(
                f"tree: expected at most {rows} nodes and as many tokens, got {topology.nodes} and "
                f"{tokens.shape}"
            )
        decoder = nnx.merge(_structure(self.config), params)
        first = cache.length + nodes.indices(topology.nodes)[0]
        positions = cache.length + jnp.asarray(topology.depth)
        shapes = {False: self.config, True: self.config.local}
        masks = {
            local: _mask(shape, cache, topology, positions)[nodes]
            for local, shape in shapes.items()
        }
        turns = {local: rotation(shape, positions[nodes]) for local, shape in shapes.items()}
        keys = list(cache.keys)
        values = list(cache.values)

        def mix(i: int, x: Float[Array, "M E"]) -> Array:
            local = i in self.config.local_layers
            query, key, value = decoder.blocks[i].project(x, turns[local])
            keys[i] = _written(keys[i], key.swapaxes(0, 1), first)
            values[i] = _written(values[i], value.swapaxes(0, 1), first)
            read = query, keys[i], values[i], masks[local]
            return attend_first(cache.length + topology.nodes, *read, self.config.attention_cap)

        x = decoder.stream(tokens[nodes], positions[nodes])
        hidden = _streams(self.running, decoder, x, mix)
        features = tuple(hidden[i] for i in self.features)
        scored = Cache(tuple(keys), tuple(values), cache.length)
        return Scores(decoder.head(hidden[-1][asked]), features, scored)

    def forward(self, params: PyTree, windows: Int[Array, "B T"]) -> Float[Array, "B T V"]:
        """Logits of what follows each position of plain sequences, without a cache; for training.

        The rows of all sequences are one matrix outside attention: on a CPU its gradient is twice
        as fast as that of a vmap.
        """
        batch, length = windows.shape
        decoder = nnx.merge(_structure(self.config), params)
        every = jnp.ones((length, length), bool)
        positions = jnp.tile(jnp.arange(length), batch)
        shapes = {False: self.config, True: self.config.local}
        masks = {
            local: jnp.tril(every) & jnp.triu(every, 1 - shape.window)
            for local, shape in shapes.items()
        }
        turns = {local: rotation(shape, positions) for local, shape in shapes.items()}
        attend_all = jax.vmap(attend, in_axes=(0, 0, 0, None, None))
        cap = self.config.attention_cap

        def split(heads: Float[Array, "BT K H"]) -> Float[Array, "B T K H"]:
            return heads.reshape(batch, length, *heads.shape[1:])

        def by_head(heads: Float[Array, "BT K H"]) -> Float[Array, "B K T H"]:
            return split(heads).swapaxes(1, 2)

        def mix(i: int, x: Float[Array, "BT E"]) -> Array:
            local = i in self.config.local_layers
            query, key, value = decoder.blocks[i].project(x, turns[local])
            heads = split(query), by_head(key), by_head(value)
            return attend_all(*heads, masks[local], cap)

        x = decoder.stream(windows.reshape(-1), positions)
        last = _streams(self.running, decoder, x, mix)[-1]
        logits: Float[Array, "B T V"] = decoder.head(last).reshape(batch, length, -1)
        return logits

    def commit(self, cache: Cache, path: Int[Array, " D"]) -> Cache:
        """Move the scratch rows of `path` behind the committed rows.

        `path` holds nodes, ROOT first, padded with NO_NODE.
        """
        rows = cache.length + jnp.maximum(path, ROOT)

        def keep(x: Array) -> Array:
            return _written(x, x[:, rows], cache.length)

        length = cache.length + jnp.sum(path != NO_NODE, dtype=jnp.int32)
        keys = tuple(map(keep, cache.keys))
        values = tuple(map(keep, cache.values))
        return Cache(keys, values, length)


def _streams(
    plan: Plan,
    decoder: Decoder,
    x: Float[Array, "M E"],
    mix: Callable[[int, Float[Array, "M E"]], Array],
) -> list[Float[Array, "M E"]]:
    """The residual stream before the first group and after each.

    `mix` is the function from a block's number and the stream to what its attention mixes.
    """
    made = [x]
    for group in plan.groups:
        mixed = {block: mix(block, x) for block in group.attention}
        for block in group.blocks:
            if block in group.attention:
                x = decoder.blocks[block].attended(x, mixed[block])
            if block in group.mlp:
                x = decoder.blocks[block].fed(x)
        made.append(x)
    return made


def _written(
    held: Float[Array, "K R H"], new: Float[Array, "K M H"], first: Count
) -> Float[Array, "K R H"]:
    """The rows, with new ones from row `first` on."""
    return jax.lax.dynamic_update_slice_in_dim(held, new, first, axis=1)


def _mask(
    config: Config, cache: Cache, topology: Topology, positions: Int[Array, " N"]
) -> Bool[Array, "N R"]:
    """The committed rows and the ancestors, each within the window."""
    row = jnp.arange(cache.keys[0].shape[1])
    oldest = positions[:, None] - config.window + 1
    above = topology.ancestors() & (positions >= oldest)
    committed = (row < cache.length) & (row >= oldest)
    return jax.lax.dynamic_update_slice_in_dim(committed, above, cache.length, axis=1)
