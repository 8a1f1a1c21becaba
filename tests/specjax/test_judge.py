"""The rule that reads evidence: it is theory's, reads no masked slot, and runs on a tree."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.audits import rule_audit
from experiments.audits.outcomes import passes
from experiments.enumeration import evidence, rule_laws
from specjax import rules, trees, verifiers
from theory import battery, lossy

LIVE = np.array([[False], [True]])


def test_the_rule_is_that_of_theory():
    laws = [pair[1:] for pair in battery.laws(6, 0)]
    p, q = (np.stack(column) for column in zip(*laws, strict=True))
    found = rule_laws.laws(rules.Judge(), p, q, 1, LIVE)
    good = np.asarray(evidence.table(6))[:, 0] > 0
    assert 0 < good.sum() < 6
    exact = np.stack([lossy.laws(lossy.overruled(*pair, good)) for pair in laws])
    assert np.abs(q[:, :, None] * (found[:, 1] - exact)).max() < 1e-9
    np.testing.assert_array_equal(found[:, 0], np.broadcast_to(p[:, None], exact.shape))
    emitted = np.einsum("bx,bxy->by", q, found[:, 1])
    accepted = np.einsum("bx,bxx->b", q, found[:, 1])
    gained = accepted - np.minimum(p, q).sum(1)
    np.testing.assert_allclose(np.abs(emitted - p).sum(1) / 2, gained, atol=1e-9)


def test_evidence_is_that_of_the_child():
    """The head keeps node 1 and refuses node 2; the root's evidence is never read."""
    law = jnp.array([[0.5, 0.3, 0.2]] * 3)
    q = jnp.array([[0.2, 0.3, 0.5]] * 3)
    seen = jnp.array([[jnp.nan], [1.0], [-1.0]])
    draft = trees.Draft(trees.chain(2), jnp.array([0, 2, 2]), q, "iid", seen)
    found = verifiers.TopDown(rules.Judge(weight=jnp.ones(1))).law(draft, law).sum(1)
    np.testing.assert_allclose(found, [0, 0.6, 0.4], atol=1e-6)


def test_without_evidence_it_says_so():
    p = jnp.array([0.5, 0.5])
    with pytest.raises(ValueError, match="got no evidence"):
        rules.Judge().law(jnp.array([0]), p, p, jnp.array([True]))


class ReadsMasked(rules.Judge):
    """Planted error: the evidence of a masked slot reaches the law."""

    name = "reads_masked"

    def law(self, tokens, p, q, mask):
        return super().law(tokens, p, q, mask) + 0 * self.evidence[0, 0]


class SaysLossless(rules.Judge):
    """Planted error: a judge that claims to be lossless."""

    name = "says_lossless"
    claims = rules.Judge.claims._replace(lossless=True, on_front=False)


@pytest.mark.parametrize("plant", [ReadsMasked, SaysLossless])
def test_the_audit_catches_a_wrong_judge(plant):
    make = rules.register(plant)
    verdicts = [row.verdict for row in rule_audit.audit(make, 1)]
    print(verdicts)
    assert not all(map(passes, verdicts))
