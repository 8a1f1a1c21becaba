"""The harness: every rule is what it claims, and every planted error is rejected with the right
reason.
"""

import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theory
from experiments.audit import Config, audit, battery, run, status
from experiments.audits.outcomes import passes
from experiments.enumeration import rule_laws
from specjax import rules
from specjax.rules import Claims, register
from tests.helpers import wrong_lossy, wrong_practices, wrong_rules
from tests.helpers.marks import thorough

CASES = [pytest.param(name, n, marks=thorough(name)) for name in rules.names() for n in (1, 2, 3)]


@pytest.mark.parametrize(("name", "n"), CASES)
def test_rule_is_what_it_claims(name, n):
    make = rules.get(name)
    if not make.claims.admits(n):
        with pytest.raises(ValueError, match="takes n in"):
            audit(make, n)
        return
    for row in audit(make, n):
        print(row)
        assert row.verdict == ("ok" if make.claims.lossless else "ok, lossy")


@pytest.mark.short
def test_one_rule_of_each_scheme_is_what_it_claims():
    for name in ("greedy", "kseq", "recursive_rejection_without_replacement"):
        assert [row.verdict for row in audit(rules.get(name), 2)] == ["ok"] * len(
            rules.get(name).claims.drafting
        )


@pytest.mark.parametrize("wrong", wrong_practices.RULES, ids=lambda cls: cls.__name__)
def test_planted_error_is_rejected(wrong):
    n = 3 if wrong is wrong_rules.TakesTwoDrafts else min(2, wrong.claims.n_range[1] or 2)
    planted = wrong_rules.PLANTED[wrong]
    rows = audit(wrong, n)
    for row in rows:
        print(row)
        assert not passes(row.verdict)
        assert re.search(planted.reason, row.verdict)
        assert row.verdict.check is planted.check
    assert status(rows) == 1


def test_a_true_certificate_passes():
    true = wrong_rules.certifies(lambda made, p, q: made)(
        type("True", (), {"claims": Claims(True, frozenset({"iid"}))})
    )
    assert [row.verdict for row in audit(register(true), 2)] == ["ok"]


def test_a_lossy_rule_that_claims_nothing_is_held_to_the_line_alone():
    @register
    class Lossy:
        claims = Claims(lossless=False, drafting=frozenset({"iid"}))

        def law(self, tokens, p, q, mask):
            return jnp.where(mask[0], jax.nn.one_hot(tokens[0], p.shape[0], dtype=p.dtype), p)

    (row,) = audit(Lossy, 1)
    assert row.verdict == "ok, lossy"
    assert row.tv > 0.9


def test_a_lossy_rule_that_keeps_its_budget_passes():
    rows = [row for n in (1, 2) for row in audit(wrong_lossy.Mixes, n)]
    assert [row.verdict for row in rows] == ["ok, lossy"] * 2
    assert status(rows) == 0
    assert rows[1].tv == pytest.approx(0.5)  # where p and q are disjoint


def test_a_bonus_token_of_its_own_is_a_claim():
    own = wrong_lossy.BestWithoutDrafts.claims._replace(bonus="own")
    cls = type("Own", (wrong_lossy.BestWithoutDrafts,), {"claims": own})
    assert [row.verdict for row in audit(register(cls), 1)] == ["ok, lossy"]


@register
class Blend:
    """Keeps a share `weight` of recursive rejection and ignores the drafts otherwise: lossless at
    every weight.
    """

    weight: float = 0.5
    claims = Claims(lossless=True, drafting=frozenset({"iid"}))

    def law(self, tokens, p, q, mask):
        return (
            self.weight * rules.get("recursive_rejection")().law(tokens, p, q, mask)
            + (1 - self.weight) * p
        )


def test_a_rule_with_parameters_is_lossless_and_traced_once():
    assert [row.verdict for row in audit(Blend, 2)] == ["ok"]
    pair = battery()[0]

    @jax.jit
    @chex.assert_max_traces(1)
    def law(rule):
        return rule.law(
            jnp.array([0, 1]), jnp.asarray(pair.p), jnp.asarray(pair.q), jnp.ones(2, bool)
        )

    laws = [law(Blend(jnp.float32(weight))) for weight in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(laws[1], (laws[0] + laws[2]) / 2, atol=1e-6)


def test_three_plans_share_one_trace():
    @jax.jit
    @chex.assert_max_traces(1)
    def law(rule, p, q):
        return rule.law(jnp.array([1, 0]), p, q, jnp.ones(2, bool))

    for pair in battery()[:3]:
        plan = theory.lp.plan(theory.Problem(pair.p, pair.q, 2, "iid"))
        got = law(
            rules.get("transport")(jnp.asarray(plan, jnp.float32)),
            jnp.asarray(pair.p),
            jnp.asarray(pair.q),
        )
        np.testing.assert_allclose(got, plan[1, 0], atol=1e-6)


def test_a_plan_for_another_pair_is_rejected(monkeypatch):
    other = battery()[1]
    right = theory.lp.plan
    monkeypatch.setattr(
        theory.lp,
        "plan",
        lambda problem: right(theory.Problem(other.p, other.q, problem.n, problem.drafting)),
    )
    assert all(
        "not lossless" in row.verdict
        for row in audit(rules.get("transport"), 2)
        if row.scheme == "iid"
    )


def plain(claims: Claims) -> type:
    @register
    class Plain:
        def law(self, tokens, p, q, mask):
            return p

    Plain.claims = claims
    return Plain


@pytest.mark.parametrize(
    ("claims", "n", "words"),
    [
        (Claims(True, frozenset({"telepathy"})), 1, "telepathy"),
        (Claims(True, frozenset()), 1, "none"),
        (Claims(True, frozenset({"iid"}), n_range=(2, 3)), 1, "takes n in"),
        (Claims(True, frozenset({"iid"})), 12, "too large"),
    ],
)
def test_what_cannot_be_audited_is_an_error(claims, n, words):
    with pytest.raises(ValueError, match=words):
        audit(plain(claims), n)


def test_enumeration_equals_a_loop():
    """The table of laws, by vmap, is the law called tuple by tuple."""
    rule, n, masks = rules.get("recursive_rejection")(), 2, rule_laws.patterns(2)
    pairs = battery()[:2]
    p, q = (np.stack([getattr(pair, name) for pair in pairs]) for name in ("p", "q"))
    table = rule_laws.laws(rule, p, q, n, masks)
    with jax.enable_x64(True):
        law = jax.jit(rule.law)
        for b, mask, x in np.ndindex(table.shape[:3]):
            one = law(rule_laws.tuples(5, n)[x], p[b], q[b], masks[mask])
            np.testing.assert_allclose(table[b, mask, x], one, atol=1e-15)


def test_the_pair_in_two_files_is_audited(tmp_path):
    paths = tmp_path / "p.npy", tmp_path / "q.npy"
    for path, law in zip(paths, ([0.5, 0.3, 0.2], [0.2, 0.3, 0.5]), strict=True):
        np.save(path, law)
    (row,) = run(Config(names=("recursive_rejection",), n=(2,), target=paths[0], draft=paths[1]))
    assert row.verdict == "ok"
    assert (row.acceptance, row.optimum) == pytest.approx((0.76, 0.86), abs=1e-12)
