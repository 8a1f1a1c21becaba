"""Planted errors: verifiers that are not what they claim, each with the tree and the check that
must reject it and the words of its reason.
"""

import dataclasses
from collections.abc import Callable
from unittest.mock import patch

import jax.numpy as jnp
import numpy as np

from experiments.audits import lossy_tree_checks, verifier_checks, walk_checks
from specjax.numerics import divide
from specjax.rules import Claims, get
from specjax.trees import NO_NODE, ROOT, Verdict
from specjax.verifiers import (
    Block,
    GreedyMultiPathBlock,
    TopDown,
    Traversal,
    TypicalPath,
    _leaf_first,
    greedy_multi_path_block,
    register,
)
from tests.helpers.planted import Planted

PLANTED: dict[type, Planted] = {}


def planted(
    check: Callable | None,
    reason: str,
    tree: str = "chain:2",
    scheme: str = "iid",
    **claims: object,
):
    """Register a wrong verifier, and where and why the audit must reject it."""

    def enter(cls: type) -> type:
        cls.claims = Claims(**{"lossless": True, "drafting": frozenset({scheme}), **claims})
        cls.verify = None  # what is drawn is not audited
        cls = register(cls)
        PLANTED[cls] = Planted(check, reason, tree)
        return cls

    return enter


def active(draft):
    return jnp.asarray(draft.topology.active)


@planted(verifier_checks.is_lossless, "not lossless under iid on chain:2")
class UncappedAtTheEnd:
    """Accepts the last position with min(1, P / Q), the weights on the way not capped."""

    def law(self, draft, p):
        ends, rows = Block().ends(draft, p), jnp.arange(p.shape[0] - 1)
        drafts = draft.tokens[1:]
        joint = jnp.prod(divide(p[rows, drafts], draft.q[rows, drafts]))
        last = jnp.where(jnp.all(active(draft)), jnp.minimum(1, joint), ends.accept[-1])
        return _leaf_first.law(ends._replace(accept=ends.accept.at[-1].set(last)), draft, p)


@planted(verifier_checks.is_lossless, "not lossless")
class PrefixOffByOne:
    """Accepts each prefix with the chance of the one before."""

    def law(self, draft, p):
        ends = Block().ends(draft, p)
        shifted = jnp.where(active(draft), jnp.roll(ends.accept, 1), 0).at[ROOT].set(1)
        return _leaf_first.law(ends._replace(accept=shifted), draft, p)


@planted(verifier_checks.is_lossless, "not lossless", "full:2,2")
class BonusFromTheParent:
    """Draws the next token from the laws of the node above."""

    def law(self, draft, p):
        return _leaf_first.law(
            Traversal().ends(draft, p),
            draft,
            p[jnp.maximum(jnp.asarray(draft.topology.parents), 0)],
        )


@planted(
    verifier_checks.ignores_what_was_not_drawn,
    "reads what was never drawn",
    "full:2,2",
)
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


@planted(verifier_checks.ignores_what_was_not_drawn, "reads what was never drawn")
class ReadsTheDraftLawOfALeaf:
    """Takes a residual where nothing was drawn below."""

    def law(self, draft, p):
        ends = Block().ends(draft, p)
        return _leaf_first.law(ends._replace(scale=jnp.maximum(ends.scale, 1e-3)), draft, p)


@planted(verifier_checks.ignores_what_was_not_drawn, "ends with probability .* never drawn")
class EndsWhereNothingIs:
    """Leaves a millionth at the last node, drawn or not."""

    def law(self, draft, p):
        law = Block().law(draft, p)
        return (law * (1 - 1e-6)).at[-1].add(1e-6 * p[ROOT])


@planted(verifier_checks.is_law, "no law: it does not sum to 1")
class LosesMass:
    """Drops a thousandth."""

    def law(self, draft, p):
        return 0.999 * Block().law(draft, p)


@planted(verifier_checks.is_law, "no law: it holds a number that is not finite")
class DividesByZero:
    """0 / 0 where target and draft are equal."""

    def law(self, draft, p):
        rest = jnp.maximum(p - draft.q, 0)
        return Block().law(draft, p).at[ROOT].set(rest[ROOT] / jnp.sum(rest[ROOT]))


@planted(
    verifier_checks.is_lossless,
    "not lossless under without_replacement",
    "full:2,2",
    "without_replacement",
)
class ForgetsWhatWasDrawn:
    """Takes drafts without replacement for independent ones."""

    def law(self, draft, p):
        return Traversal().law(dataclasses.replace(draft, scheme="iid"), p)


@planted(verifier_checks.is_law_in_single_precision, "no law: in float32 it does not sum to 1")
class LosesMassInSingle:
    """Drops a thousandth in single precision."""

    def law(self, draft, p):
        return Block().law(draft, p) * (0.999 if p.dtype == jnp.float32 else 1)


@planted(verifier_checks.holds_in_single_precision, "in float32 not lossless")
class LosslessInDoubleOnly:
    """In single precision a thousandth of the next token is lost to token 0."""

    def law(self, draft, p):
        law = Block().law(draft, p)
        share = 1e-3 if p.dtype == jnp.float32 else 0.0
        return law * (1 - share) + share * jnp.zeros_like(law).at[:, 0].set(jnp.sum(law, 1))


@planted(verifier_checks.holds_in_single_precision, "in float32 E\\[ell\\] differs")
class TimidInSingle:
    """In single precision nothing is accepted: lossless, but another verifier."""

    def law(self, draft, p):
        return (
            jnp.zeros_like(p).at[ROOT].set(p[ROOT])
            if p.dtype == jnp.float32
            else Block().law(draft, p)
        )


@planted(verifier_checks.is_lossless, "not lossless under iid on chain:2: total variation 0.9")
class TypicalAndLossless:
    """Medusa's choice of a path, which claims to be lossless."""

    def law(self, draft, p):
        return TypicalPath().law(draft, p)


@planted(lossy_tree_checks.is_law, "no law: it does not sum to 1", lossless=False)
class LosesMassAndSaysSo:
    """Lossy is no excuse for what is no law."""

    def law(self, draft, p):
        return LosesMass.law(self, draft, p)


@planted(
    lossy_tree_checks.holds_in_single_precision,
    "in float32 it emits other texts than in float64, by 0",
    lossless=False,
)
class FaithfulInSingle:
    """In single precision it is lossless."""

    def law(self, draft, p):
        verifier = Block() if p.dtype == jnp.float32 else TypicalPath()
        return verifier.law(draft, p)


@planted(
    lossy_tree_checks.holds_in_single_precision,
    "in float32 E\\[ell\\] differs",
    lossless=False,
)
class TimidAndLossyInSingle:
    """In single precision nothing is accepted, and the same is emitted."""

    def law(self, draft, p):
        return TimidInSingle.law(self, draft, p)


@planted(None, "raises KeyError")
class Raises:
    """Has no program."""

    def law(self, draft, p):
        return {}["law"]


@planted(None, "returns shape \\(3,\\), expected \\(3, 3\\)")
class ForgetsTheNodes:
    """The law of a token, not of a node and a token."""

    def law(self, draft, p):
        return p[ROOT]


@planted(verifier_checks.is_sequential, "not sequential: whether node", "full:2,2", sequential=True)
class LooksAtTheNumberOfDrafts:
    """Says that it takes drafts one by one; K-SEQ asks how many there are."""

    def law(self, draft, p):
        return TopDown(get("kseq")()).law(draft, p)


class Patched:
    """Greedy multi-path block verification with one part replaced by a wrong one."""

    part = ""

    def law(self, draft, p):
        with patch.object(greedy_multi_path_block, self.part, self.wrong):
            return GreedyMultiPathBlock().law(draft, p)


@planted(verifier_checks.is_lossless, "not lossless under iid on full:2,1", "full:2,1")
class AgainstTheDraftLaw(Patched):
    """Holds the selected path to q, from which it was not drawn."""

    part = "_rate"

    def wrong(self, end, *_):
        return jnp.ones_like(end)


@planted(verifier_checks.is_lossless, "not lossless under iid on full:2,1", "full:2,1")
class TiesTurnedInTheLaw(Patched):
    """Of equal p/q the larger token is selected, and the law is that of the smaller."""

    part = "_own_law"
    right = staticmethod(greedy_multi_path_block._own_law)

    def wrong(self, best, depth, draft, p):
        turned = dataclasses.replace(draft, q=draft.q[:, ::-1])
        return self.right(best, depth, turned, p[:, ::-1])[::-1]


@planted(verifier_checks.is_lossless, "not lossless under iid on full:2,1", "full:2,1")
class ForgetsThePathsBelow(Patched):
    """Takes every row for the first, as if all paths shared the selected prefix."""

    part = "_select"
    right = staticmethod(greedy_multi_path_block._select)

    def wrong(self, draft, p):
        best = self.right(draft, p)
        return best._replace(lower=jnp.zeros_like(best.lower), own=jnp.ones_like(best.own))


@planted(verifier_checks.is_lossless, "not lossless under iid on full:2,1", "full:2,1")
class SelectsByTheLastRow:
    """Selects the path whose last token has the largest p/q."""

    def law(self, draft, p):
        ratio = divide(
            p[draft.topology.parents, draft.tokens], draft.q[draft.topology.parents, draft.tokens]
        )
        ratio = jnp.where(active(draft), ratio, -1)
        order = jnp.where(ratio[4] > ratio[3], np.array([0, 2, 2, 4, 4]), np.array([0, 1, 1, 3, 3]))
        twice = dataclasses.replace(
            draft,
            topology=dataclasses.replace(draft.topology, active=active(draft)[order]),
            tokens=draft.tokens[order],
            q=draft.q[order],
        )
        law = GreedyMultiPathBlock().law(twice, p[order])
        return jnp.zeros_like(law).at[order].add(law)


def misdrawn(cls: type) -> type:
    """Register a verifier with the law of block verification, and its walk and verify where it has
    none of its own.
    """
    parts = {
        name: getattr(Block, name)
        for name in ("ends", "law", "walk", "verify")
        if name not in vars(cls)
    }
    for name, part in parts.items():
        setattr(cls, name, part)
    cls.claims = Claims(lossless=True, drafting=frozenset({"iid"}))
    return register(cls)


@misdrawn
class OneByOne:
    """The law of block verification; accepts token by token, which is lossless too, and another
    verifier.
    """

    def verify(self, key, draft, p):
        return TopDown(get("single")()).verify(key, draft, p)


@misdrawn
class OneUniform:
    """Walks on one uniform for all."""

    def walk(self, uniforms, draft, p):
        return Block().walk(jnp.full_like(uniforms, uniforms[0]), draft, p)

    def verify(self, key, draft, p):
        return Block().verify(key, draft, p)


@misdrawn
class ForgetsThePath:
    """Says that it went where it did not."""

    def walk(self, uniforms, draft, p):
        walk = Block().walk(uniforms, draft, p)
        return walk._replace(verdict=walk.verdict._replace(tokens=walk.verdict.tokens[::-1]))


@misdrawn
class TakesWhatWasNeverDrawn:
    """Walks as if the whole path were there."""

    def walk(self, uniforms, draft, p):
        whole = dataclasses.replace(draft.topology, active=np.ones(p.shape[0], bool))
        return Block().walk(uniforms, dataclasses.replace(draft, topology=whole), p)


@misdrawn
class WalkRaises:
    """Has no walk."""

    def walk(self, uniforms, draft, p):
        return {}["walk"]


@misdrawn
class WrongOnceInAHundred:
    """One walk in a hundred stops at the root with token 0."""

    def walk(self, uniforms, draft, p):
        walk = Block().walk(uniforms, draft, p)
        verdict, bad = walk.verdict, uniforms.reshape(-1)[0] * 100 % 1 < 0.01
        path = jnp.full_like(verdict.path, NO_NODE).at[0].set(ROOT)
        verdict = Verdict(
            jnp.where(bad, 0, verdict.tokens),
            jnp.where(bad, 1, verdict.length),
            jnp.where(bad, path, verdict.path),
        )
        return walk._replace(verdict=verdict)


WORDS = {
    WrongOnceInAHundred: "walk does not draw its law: total variation",
    OneByOne: "verify does not draw its law: total variation .* on .*, .* may be chance",
    OneUniform: "walk does not draw its law",
    ForgetsThePath: "walk returns no walk: .* holds something beyond its length",
    TakesWhatWasNeverDrawn: "walk returns no walk: it visits a node .* on random laws 0, "
    "nothing drafted",
    WalkRaises: "walk raises KeyError: 'walk'",
}
MISDRAWN = {cls: Planted(walk_checks.draws_its_law, words) for cls, words in WORDS.items()}
