"""RheoSampling's tree in the audit: the proxy keeps it lossless; the probability of what was drawn,
in its place, does not.
"""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import theory
from experiments.audit import audit_verifier, lifted
from experiments.audits import verifier_checks, walk_checks
from experiments.enumeration import sampled_trees
from specjax import rules
from specjax.rules import Claims, register
from specjax.verifiers import TopDown
from tests.helpers import rheo

PROXY = "jnp.minimum(likeliest, 1 - likeliest)"
SIZES = "4x4x2"


@register
class BestThenDrawn:
    """The rule `greedy` where Y is there too; alone, the likeliest token is no draw from q."""

    claims = Claims(lossless=True, drafting=frozenset({"greedy"}))

    def law(self, tokens, p, q, mask):
        return jnp.where(jnp.sum(mask) > 1, rules.Greedy().law(tokens, p, q, mask), p)


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch):
    monkeypatch.setattr(sampled_trees, "DRAWS", 1 << 16)
    monkeypatch.setattr(walk_checks, "OF_WALKS", ())


def audited(rule, folder: Path, sizes: str, priority: str = PROXY):
    text = Path(rheo.__file__).read_text()
    assert PROXY in text
    (folder / "rheo.py").write_text(text.replace(PROXY, priority))
    row = audit_verifier(lifted(TopDown, rule), "greedy", f"{folder / 'rheo.py'}:{sizes}")
    print(row.verdict)
    return row


def test_a_proxy_that_does_not_know_the_token_passes(tmp_path):
    assert audited(BestThenDrawn, tmp_path, SIZES).verdict.startswith("lossless within TV")


def test_the_probability_of_the_token_as_its_priority_is_rejected(tmp_path):
    verdict = audited(BestThenDrawn, tmp_path, SIZES, "chance").verdict
    assert verdict.startswith("biased under greedy on")
    assert verdict.check is verifier_checks.is_lossless


def test_both_tokens_of_a_node_are_the_scheme_greedy_with_two_drafts(tmp_path):
    """Where none is cut the house's rule is lossless; where one may be, it takes the likeliest
    token for a draw.
    """
    greedy = rules.get("greedy")
    assert audited(greedy, tmp_path, "3x2x1").verdict.startswith("lossless within TV")
    assert audited(greedy, tmp_path, SIZES).verdict.startswith("biased under greedy on")
    q = np.array([0.2, 0.5, 0.3])
    joint = theory.drafting.get("greedy").joint(q, 2)
    assert joint.tokens.tolist() == [[1, 0], [1, 2]]
    np.testing.assert_allclose(joint.mass, [0.4, 0.6], atol=1e-15)
