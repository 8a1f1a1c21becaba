"""Block verification of one path."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from specjax._types import Claims, Index, NodeLaws, PerNode, Scalar
from specjax.numerics import divide, tiny, total
from specjax.trees import Draft
from specjax.verifiers._base import check_scheme, register
from specjax.verifiers._leaf_first import Ends, LeafFirst, after_failure


@register
class Block(LeafFirst):
    """Accepts the longest prefix of one path that the joint law of its tokens allows.

    No verifier of one path accepts more. With w_0 = 1 and w_i = min(1, w_{i-1} p_i(x_i) /
    q_i(x_i)), prefix i is kept with probability E_Q[w_i], whatever follows. Prefixes are tried from
    the deepest up. Prefix i is accepted with chance S / (S + 1 - w_i), S = sum (w_i p - q)+, and
    the next token is then drawn from (w_i p - q)+. The last prefix is accepted with chance w_D, and
    the next token is then drawn from p.

    Cost: one fused pass over p and q [D, V], and one more row. Source: sun2024block.

    Raises:
      ValueError: a node has more than one child, or the scheme's single draft is no draw from q.

    Example:
      >>> import jax.numpy as jnp
      >>> from specjax import trees, verifiers
      >>> p, q = jnp.array([[0.5, 0.3, 0.2]] * 2), jnp.array([[0.2, 0.3, 0.5]] * 2)
      >>> draft = trees.Draft(trees.chain(1), jnp.array([0, 2]), q, "iid")
      >>> ends = verifiers.Block().law(draft, p).sum(1)
      >>> [round(chance, 3) for chance in ends.tolist()]
      [0.6, 0.4]
    """

    name: ClassVar[str]
    claims = Claims(
        lossless=True,
        drafting=frozenset({"iid", "without_replacement", "greedy"}),
        source="sun2024block",
    )

    def ends(self, draft: Draft, p: NodeLaws) -> Ends:
        """The chance of each prefix once all longer prefixes failed, and its c = 1 / w."""
        check_scheme("block", self.claims, draft.scheme)
        arity = max(draft.topology.arities)
        if arity > 1:
            raise ValueError(f"verifier block: takes one path, got nodes with {arity} children")
        active = jnp.asarray(draft.topology.active).astype(jnp.int32)
        live = jnp.cumprod(active) == 1
        inner = jnp.append(live[1:], False)
        weight = jnp.where(live, prefix_weights(draft, p), 0)

        def surplus(node: Index) -> Scalar:
            return total(jnp.maximum(weight[node] * p[node] - draft.q[node], 0))

        # Row by row: a CPU would write [D, V] to sum all rows at once, and a batch would copy it to
        # map over the rows themselves.
        surpluses = jax.lax.map(surplus, jnp.arange(p.shape[0]))
        chance = after_failure(weight, surpluses)
        scale = divide(jnp.ones_like(weight), weight)
        return Ends(jnp.where(inner, chance, weight), jnp.where(inner, scale, 0))


def prefix_weights(draft: Draft, p: NodeLaws) -> PerNode:
    """w of every prefix, by the reflected walk log w_i = L_i - max(0, max_{j<=i} L_j).

    L is the sum of log p(x) / q(x). A token without target mass ends the walk: w = 0 from there on.
    A token that q cannot draw counts as drawn with the smallest normal number.
    """
    tokens = draft.tokens[1:]
    rows = jnp.arange(p.shape[0] - 1)
    p_token = p[rows, tokens]
    q_token = draft.q[rows, tokens]
    least = tiny(p)
    log_p = jnp.log(jnp.maximum(p_token, least))
    log_q = jnp.log(jnp.maximum(q_token, least))
    sums = jnp.cumsum(log_p - log_q)
    excess = jnp.maximum(jax.lax.cummax(sums), 0)
    in_support = (p_token > 0).astype(jnp.int32)
    possible = jnp.cumprod(in_support) == 1
    weights = jnp.where(possible, jnp.exp(sums - excess), 0)
    return jnp.concatenate([jnp.ones(1, p.dtype), weights])
