"""Planted errors: verifiers that are not what they claim, each with the tree and the words of the
reason for which it is rejected.
"""

import dataclasses

import jax.numpy as jnp

from specjax.numerics import divide
from specjax.rules import Claims, get
from specjax.trees import ROOT
from specjax.verifiers import Block, TopDown, Traversal, _leaf_first, register

PLANTED: dict[type, tuple[str, str]] = {}


def planted(reason: str, tree: str = "chain:2", scheme: str = "iid", **claims: object):
    """Register a wrong verifier, the tree on which it is judged and the reason for which the audit
    must reject it.
    """

    def enter(cls: type) -> type:
        cls.claims = Claims(lossless=True, drafting=frozenset({scheme}), **claims)
        cls.verify = None  # what is drawn is not judged
        cls = register(cls)
        PLANTED[cls] = tree, reason
        return cls

    return enter


def active(draft):
    return jnp.asarray(draft.topology.active)


@planted("not lossless under iid on chain:2")
class UncappedAtTheEnd:
    """Accepts the last position with min(1, P / Q), the weights on the way not capped."""

    def law(self, draft, p):
        ends, rows = Block().ends(draft, p), jnp.arange(p.shape[0] - 1)
        drafts = draft.tokens[1:]
        joint = jnp.prod(divide(p[rows, drafts], draft.q[rows, drafts]))
        last = jnp.where(jnp.all(active(draft)), jnp.minimum(1, joint), ends.accept[-1])
        return _leaf_first.law(ends._replace(accept=ends.accept.at[-1].set(last)), draft, p)


@planted("not lossless|reads what was never drawn")
class PrefixOffByOne:
    """Accepts each prefix with the chance of the one before."""

    def law(self, draft, p):
        ends = Block().ends(draft, p)
        shifted = jnp.where(active(draft), jnp.roll(ends.accept, 1), 0).at[ROOT].set(1)
        return _leaf_first.law(ends._replace(accept=shifted), draft, p)


@planted("not lossless", "full:2,2")
class BonusFromTheParent:
    """Draws the next token from the laws of the node above."""

    def law(self, draft, p):
        return _leaf_first.law(
            Traversal().ends(draft, p),
            draft,
            p[jnp.maximum(jnp.asarray(draft.topology.parents), 0)],
        )


@planted("reads what was never drawn|ends with probability", "full:2,2")
class IgnoresTheMask:
    """Takes every child for drawn."""

    def law(self, draft, p):
        return Traversal().law(
            dataclasses.replace(
                draft,
                topology=dataclasses.replace(draft.topology, active=jnp.ones(p.shape[0], bool)),
            ),
            p,
        )


@planted("reads what was never drawn")
class ReadsTheDraftLawOfALeaf:
    """Takes a residual where nothing was drawn below."""

    def law(self, draft, p):
        ends = Block().ends(draft, p)
        return _leaf_first.law(ends._replace(scale=jnp.maximum(ends.scale, 1e-3)), draft, p)


@planted("ends with probability .* never drawn")
class EndsWhereNothingIs:
    """Leaves a millionth at the last node, drawn or not."""

    def law(self, draft, p):
        law = Block().law(draft, p)
        return (law * (1 - 1e-6)).at[-1].add(1e-6 * p[ROOT])


@planted("no law: it does not sum to 1")
class LosesMass:
    """Drops a thousandth."""

    def law(self, draft, p):
        return 0.999 * Block().law(draft, p)


@planted("no law: it holds a number that is not finite")
class DividesByZero:
    """0 / 0 where target and draft are equal."""

    def law(self, draft, p):
        rest = jnp.maximum(p - draft.q, 0)
        return Block().law(draft, p).at[ROOT].set(rest[ROOT] / jnp.sum(rest[ROOT]))


@planted("not lossless under without_replacement", "full:2,2", "without_replacement")
class ForgetsWhatWasDrawn:
    """Takes drafts without replacement for independent ones."""

    def law(self, draft, p):
        return Traversal().law(dataclasses.replace(draft, scheme="iid"), p)


@planted("in float32 not lossless")
class LosslessInDoubleOnly:
    """In single precision a thousandth of the next token is lost to token 0."""

    def law(self, draft, p):
        law = Block().law(draft, p)
        share = 1e-3 if p.dtype == jnp.float32 else 0.0
        return law * (1 - share) + share * jnp.zeros_like(law).at[:, 0].set(jnp.sum(law, 1))


@planted("in float32 E\\[ell\\] differs")
class TimidInSingle:
    """In single precision nothing is accepted: lossless, but another verifier."""

    def law(self, draft, p):
        return (
            jnp.zeros_like(p).at[ROOT].set(p[ROOT])
            if p.dtype == jnp.float32
            else Block().law(draft, p)
        )


@planted("raises KeyError")
class Raises:
    """Has no program."""

    def law(self, draft, p):
        return {}["law"]


@planted("returns shape \\(3,\\), expected \\(3, 3\\)")
class ForgetsTheNodes:
    """The law of a token, not of a node and a token."""

    def law(self, draft, p):
        return p[ROOT]


@planted("not sequential: whether node", "full:2,2", sequential=True)
class LooksAtTheNumberOfDrafts:
    """Says that it takes drafts one by one; K-SEQ asks how many there are."""

    def law(self, draft, p):
        return TopDown(get("kseq")()).law(draft, p)
