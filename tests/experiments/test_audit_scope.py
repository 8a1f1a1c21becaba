"""The scope of an audit: what holds at V = 5 is held beyond it, and each row says how far."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

import theory
from experiments import audit as experiment
from experiments.audit import Config, audit, audit_large, audit_verifier, battery, lifted
from experiments.audits import large_audit
from experiments.audits.outcomes import passes
from specjax import rules
from specjax.rules import Claims, register
from specjax.verifiers import TopDown
from tests.helpers.marks import thorough
from tests.helpers.wrong_at_large import WRONG_BEYOND, at, certifies, planted, raises
from tests.helpers.wrong_rules import RecursiveRejection

SMALL, LARGE = large_audit.Size(8, 2, 1 << 12, 1 << 7), large_audit.Size(600, 2, 1 << 12, 1 << 7)


@pytest.mark.parametrize("wrong", WRONG_BEYOND.values(), ids=WRONG_BEYOND)
def test_what_is_wrong_at_a_large_vocabulary_only_is_rejected(wrong):
    (row,) = audit_large(wrong.rule, "iid", LARGE)
    print(row)
    assert re.match(wrong.reason, row.verdict)
    assert row.verdict.check is wrong.check
    assert "V = 600, 4096 draws: " in row.scope


def test_a_small_vocabulary_does_not_show_it():
    """What is planted is nothing that enumeration at V = 5 finds."""
    assert [row.verdict for row in audit(WRONG_BEYOND["accepts everything"].rule, 2)] == ["ok"]
    (row,) = audit_large(WRONG_BEYOND["accepts everything"].rule, "iid", SMALL)
    assert row.verdict == "ok"


def test_a_true_certificate_is_held_to_what_is_seen():
    (row,) = audit_large(certifies(), "iid", LARGE)
    assert row.verdict == "ok"


WRONG_FROM_FOUR = {
    "half on the fourth": (
        planted(lambda law, t, p: law if len(t) < 4 else 0.5 * law + 0.5 * at(t, p, 3)),
        "reads a masked slot|not los",
    ),
    "raises": (planted(raises), "raises RuntimeError"),
    "misses the optimum": (planted(optimal_for=-1), "claims the optimum for n = 4 and misses it"),
}


@pytest.mark.parametrize(("wrong", "reason"), WRONG_FROM_FOUR.values(), ids=WRONG_FROM_FOUR)
def test_what_is_wrong_from_four_drafts_on_is_rejected(wrong, reason):
    (row,) = audit(wrong, 4, vocabulary=3)
    print(row)
    assert re.match(reason, row.verdict)
    assert row.scope.startswith("V = 3, 94 pairs: ")


def test_a_file_is_audited_beyond_what_is_named():
    """By default: one draft more, at V = 3, and every size at which rules take another way."""
    jobs = [
        job.args
        for job in experiment._rule_jobs(
            [rules.get("optimal")], Config(names=("optimal",), seed=7), None
        )
    ]
    assert [args[1:] for args in jobs[:4]] == [
        (1, None, 7),
        (2, None, 7),
        (3, None, 7),
        (4, None, 7, 3),
    ]
    assert [(args[1], args[2].vocabulary, args[2].n) for args in jobs[4:]] == [
        ("iid", 600, 3),
        ("iid", 5000, 1),
        ("iid", 5000, 2),
        ("iid", 70000, 2),
    ]
    assert len(experiment._rule_jobs([rules.get("hub")], Config(names=("hub",), n=(2,)), None)) == 1


# Each way of the solvers once; the others are thorough.
USUAL = {
    ("optimal", 600),
    ("importance_weighted", 70_000),
    ("recursive_rejection_without_replacement", 600),
    ("kseq", 5000),
}
OWN = [
    pytest.param(
        name,
        scheme,
        size,
        marks=[
            *thorough(name),
            *[pytest.mark.thorough] * ((name, size.vocabulary) not in USUAL or size.n == 1),
        ],
    )
    for name in rules.names()
    for scheme, size in large_audit.sizes(rules.get(name).claims)
]


@pytest.mark.short
@pytest.mark.parametrize(("name", "scheme", "size"), OWN)
def test_rule_is_what_it_claims_at_a_large_vocabulary(name, scheme, size):
    (row,) = audit_large(rules.get(name), scheme, size)
    print(row)
    assert passes(row.verdict)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "greedy" else pytest.mark.thorough)
        for name in rules.names()
    ],
)
def test_rule_is_what_it_claims_with_one_draft_more(name):
    make = rules.get(name)
    for row in audit(make, 4, vocabulary=3) if make.claims.admits(4) else ():
        print(row)
        assert passes(row.verdict)


@register
class Compares:
    """Ignores the drafts where p/q of token 0 is above that of token 1: lossless, and near a tie
    float32 cannot tell.
    """

    claims = Claims(lossless=True, drafting=frozenset({"iid"}))

    def law(self, tokens, p, q, mask):
        return jnp.where(p[0] * q[1] > p[1] * q[0], p, RecursiveRejection().law(tokens, p, q, mask))


def tie(vocabulary):
    q = np.arange(1.0, vocabulary + 1) / np.arange(1.0, vocabulary + 1).sum()
    p = q * (1 + 1e-9 * np.eye(vocabulary)[0])
    return theory.battery.Pair("tie", p / p.sum(), q)


def test_a_flip_at_a_near_tie_is_a_warning():
    (row,) = audit(Compares, 2, (tie(5), tie(5)))
    print(row)
    assert row.verdict == "ok"
    assert "beware: at near ties float32 accepts otherwise than float64, by" in row.scope


@pytest.mark.thorough
def test_a_flip_at_a_near_tie_is_a_warning_on_trees():
    row = audit_verifier(lifted(TopDown, Compares), "iid", "chain:2", tie(3))
    print(row)
    assert row.verdict == "ok"
    assert "beware: at near ties float32" in row.scope


def test_drawn_pairs_have_peaks_of_every_height():
    pairs = theory.battery.drawn(5, seed=1)
    for law in (
        np.array([pair.p for pair in pairs[:48]]),
        np.array([pair.q for pair in pairs[:48]]),
    ):
        rest = np.sort(1 - law.max(1))
        assert (rest[1:] / rest[:-1]).max() < 1.5
        assert rest[0] < 1.5e-4
        assert rest[-1] > 0.5 / 1.5
    for pair in pairs:
        np.testing.assert_allclose([pair.p.sum(), pair.q.sum()], 1, atol=1e-15)
        assert min(pair.p.min(), pair.q.min()) >= 0
    assert all(
        (one.q == other.q).all()
        for one, other in zip(pairs, theory.battery.drawn(5, seed=1), strict=True)
    )
    assert not any(
        (one.q == other.q).any()
        for one, other in zip(pairs, theory.battery.drawn(5, seed=2), strict=True)
    )


def test_a_negative_seed_has_pairs_of_its_own():
    assert not any(
        (one.q == other.q).any()
        for one, other in zip(*(battery(seed=seed)[-8:] for seed in (-1, 1)), strict=True)
    )
