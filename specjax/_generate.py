"""Text from a pair of models in one call: what `specjax.decode` does in several."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from specjax import decode, drafting
from specjax._types import Claims, RandomKey, Rule
from specjax.models import Pair, pairs
from specjax.numerics import AS_IS, Sampling
from specjax.rules import KSeq
from specjax.trees import Topology, TreeDrafting, full, growth
from specjax.verifiers import Verifier

RULE = KSeq()
TREE = full(2, 2)


class Generated(NamedTuple):
    """What was emitted.

    Attributes:
      text: of the tokens, without the prompt.
      tokens: ids, the prompt's not among them; an EOS token is the last.
      steps: calls of the target.
    """

    text: str
    tokens: list[int]
    steps: int


def generate(
    key: RandomKey,
    pair: Pair | str,
    text: str,
    rule: Rule | Verifier = RULE,
    tree: Topology | TreeDrafting | str = TREE,
    tokens: int = 64,
    sampling: Sampling = AS_IS,
) -> Generated:
    """Continue a text speculatively: the emitted tokens have the target's law if the rule is
    lossless.

    >>> import jax, specjax
    >>> specjax.generate(jax.random.key(0), "markov", "the ", tokens=8).tokens
    [21, 7, 21, 7, 18, 6, 7, 13]

    Args:
      key: typed, `jax.random.key(seed)`; the result depends on nothing else.
      pair: target and draft model, or the name of a pair: `models.pairs.names()`.
      text: the prompt, at least one token.
      rule: a rule for every node, or a verifier of whole paths.
      tree: of drafts. It is drawn by the first drafting scheme that the rule covers.
      tokens: how many to emit at most; an EOS token ends the text before.
      sampling: temperature and truncation, of target and draft alike.

    Raises:
      ValueError: there is no such pair or tree, the rule does not cover the tree, the text is
        empty, or a model gave no law.

    Cost: compiles one program for each kind of rule, tree, sampling and length; prompts are padded
    to share it.
    """
    pair = pairs.load(pair) if isinstance(pair, str) else pair
    prompt = pair.tokenizer.encode(text)
    if not prompt or tokens < 1:
        raise ValueError("expected a text to continue and tokens >= 1")
    scheme = _scheme(rule.claims, tree)
    grown = growth.parse(tree, scheme) if isinstance(tree, str) else growth.drafting(tree, scheme)
    decoder = decode.decoder(pair, grown, scheme, sampling)
    verifier = decode.verifier(rule, grown.scheme, grown.topology)
    padded = jnp.pad(jnp.asarray(prompt, jnp.int32), (0, -len(prompt) % decode.ROWS))
    params = decode.Params(pair.target_params, pair.draft_params)
    found = decode.decode(decoder, verifier, key, params, padded, jnp.int32(len(prompt)), tokens)
    if found.status != decode.FINE:
        raise ValueError(decode.STATUS[int(found.status)])
    emitted = np.asarray(found.tokens)[len(prompt) : int(found.length)].tolist()
    return Generated(pair.tokenizer.decode(emitted), emitted, int(found.steps))


def _scheme(claims: Claims, tree: Topology | TreeDrafting | str) -> str:
    """The first scheme that both cover; where there is none, the first of the tree, so that the
    refusal names it.
    """
    if isinstance(tree, str):
        schemes = tuple(growth.drawable(tree))
    else:
        schemes = drafting.from_one_law() if isinstance(tree, Topology) else (tree.scheme,)
    return next((scheme for scheme in schemes if scheme in claims.drafting), schemes[0])
