"""Block verification of one path."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from specjax import numerics
from specjax._types import Claims, RandomKey, Scalar
from specjax.numerics import divide, tiny, total
from specjax.trees import Draft, Verdict
from specjax.verifiers import _leaf_first
from specjax.verifiers._base import Verifier, Walk, check_scheme, register


@register
class Block(Verifier):
    """Accepts the longest prefix of one path that the joint law of its tokens allows: no verifier
    of one path accepts more.

    w_0 = 1, w_i = min(1, w_{i-1} p_i(x_i) / q_i(x_i)): prefix i is kept with probability E_Q[w_i],
    whatever follows. Tried from the deepest up, prefix i is accepted with chance S / (S + 1 - w_i),
    S = sum (w_i p - q)+, the next token from (w_i p - q)+; the last with w_D, the next token from
    p. Cost: one fused pass over p and q [D, V], one more row. Source: sun2024block.

    Raises:
      ValueError: a node has more than one child, or the scheme's single draft is no draw from q.
    """

    name: ClassVar[str]
    claims = Claims(
        lossless=True,
        drafting=frozenset({"iid", "without_replacement", "greedy"}),
        source="sun2024block",
    )

    def ends(self, draft: Draft, p: Float[Array, "N V"]) -> _leaf_first.Ends:
        """Chance of each prefix once all longer ones failed, and its c = 1 / w."""
        check_scheme("block", self.claims, draft.scheme)
        if max(draft.topology.arities) > 1:
            raise ValueError(
                f"verifier block: takes one path, got nodes with {max(draft.topology.arities)} "
                "children"
            )
        live = jnp.cumprod(jnp.asarray(draft.topology.active).astype(jnp.int32)) == 1
        inner = jnp.append(live[1:], False)
        weight = jnp.where(live, prefix_weights(draft, p), 0)

        def surplus(node: Int[Array, ""]) -> Scalar:
            return total(jnp.maximum(weight[node] * p[node] - draft.q[node], 0))

        # Row by row: a CPU would write [D, V] to sum all rows at once, and a batch would copy it to
        # map over the rows themselves.
        surpluses = jax.lax.map(surplus, jnp.arange(p.shape[0]))
        return _leaf_first.Ends(
            accept=jnp.where(inner, _leaf_first.after_failure(weight, surpluses), weight),
            scale=jnp.where(inner, divide(jnp.ones_like(weight), weight), 0),
        )

    def law(self, draft: Draft, p: Float[Array, "N V"]) -> Float[Array, "N V"]:
        return _leaf_first.law(self.ends(draft, p), draft, p)

    def walk(self, uniforms: Float[Array, "U 2"], draft: Draft, p: Float[Array, "N V"]) -> Walk:
        """The walk that N + 1 uniforms select: one for each node, the last for the token of the
        target.
        """
        return _leaf_first.walk(uniforms, self.ends(draft, p), draft, p)

    def verify(self, key: RandomKey, draft: Draft, p: Float[Array, "N V"]) -> Verdict:
        return self.walk(
            numerics.uniforms(key, (draft.topology.nodes + 1,), p.dtype), draft, p
        ).verdict


def prefix_weights(draft: Draft, p: Float[Array, "N V"]) -> Float[Array, " N"]:
    """w of every prefix, by the reflected walk log w_i = L_i - max(0, max_{j<=i} L_j), L the sum of
    log p(x) / q(x).

    A token without target mass ends it: w = 0 from there on. One that q cannot draw counts as drawn
    with the least q there is.
    """
    tokens = draft.tokens[1:]
    rows = jnp.arange(p.shape[0] - 1)
    p_token = p[rows, tokens]
    q_token = draft.q[rows, tokens]
    steps = jnp.log(jnp.maximum(p_token, tiny(p))) - jnp.log(jnp.maximum(q_token, tiny(p)))
    sums = jnp.cumsum(steps)
    weights = jnp.exp(sums - jnp.maximum(jax.lax.cummax(sums), 0))
    possible = jnp.cumprod((p_token > 0).astype(jnp.int32)) == 1
    return jnp.concatenate([jnp.ones(1, p.dtype), jnp.where(possible, weights, 0)])
