"""Text from a pair of models in one call: what `specjax.decode` does in several."""

from typing import NamedTuple

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
    """The emitted text of one call of `generate`.

    Attributes:
      text: the text of the emitted tokens, without the prompt.
      tokens: the ids of the emitted tokens, without the prompt; an EOS token is the last.
      steps: the number of calls of the target.
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
    """Continue a text speculatively, in one call.

    The emitted tokens have the target's law if the rule is lossless. The first drafting scheme that
    the rule covers draws the tree.

    Args:
      key: typed key, `jax.random.key(seed)`; the result depends on no other randomness.
      pair: target and draft model, or the name of a pair for `models.pairs.load`.
      text: the prompt, of at least one token.
      rule: a rule for every node, or a verifier of whole paths.
      tree: the tree of drafts, or its name, for example `full:2,2` or `beam:8x4`.
      tokens: the largest number of tokens to emit, at least 1; an EOS token ends the text earlier.
      sampling: temperature and truncation, for target and draft alike.

    Returns:
      The emitted text, its tokens, and the number of target calls.

    Raises:
      ValueError: the pair or tree does not exist, the rule does not cover the tree, the text is
        empty, or a model gave no law.

    Cost: each kind of rule, tree, sampling and length compiles one program. Prompts are padded, so
    that they share programs.
    """
    pair = pairs.load(pair) if isinstance(pair, str) else pair
    if tokens < 1:
        raise ValueError(f"tokens: expected at least 1, got {tokens}")
    (prompt,) = decode.encoded(pair, [text], tokens)
    scheme = _scheme(rule.claims, tree)
    grown = growth.parse(tree, scheme) if isinstance(tree, str) else growth.drafting(tree, scheme)
    decoder = decode.decoder(pair, grown, scheme, sampling, evidence=decode.evidence(rule))
    verifier = decode.verifier(rule, grown.scheme, grown.topology)
    prompts, lengths = decode.padded([prompt])
    params = decode.Params(pair.target_params, pair.draft_params)
    found = decode.decode(decoder, verifier, key, params, prompts[0], lengths[0], tokens)
    if found.status != decode.FINE:
        raise ValueError(decode.STATUS[int(found.status)])
    emitted = np.asarray(found.tokens)[len(prompt) : int(found.length)].tolist()
    return Generated(pair.tokenizer.decode(emitted), emitted, int(found.steps))


def _scheme(claims: Claims, tree: Topology | TreeDrafting | str) -> str:
    """The first scheme that the claims and the tree both cover.

    If there is none, the first scheme of the tree is returned, so that the refusal names it.
    """
    if isinstance(tree, str):
        schemes = tuple(growth.drawable(tree))
    else:
        schemes = drafting.from_one_law() if isinstance(tree, Topology) else (tree.scheme,)
    return next((scheme for scheme in schemes if scheme in claims.drafting), schemes[0])
