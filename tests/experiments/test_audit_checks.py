"""Every check of the audit rejects something: each has a planted error, or a planted optimum."""

import importlib
import pkgutil

import numpy as np
import pytest

import theory
from experiments import audits
from experiments.audit import audit, audit_large, audit_verifier, candidate, lifted
from experiments.audits import (
    large_audit,
    large_checks,
    lossy_checks,
    lossy_tree_checks,
    rule_checks,
    verifier_checks,
    walk_checks,
)
from experiments.enumeration import rule_laws, verifier_laws
from specjax import bounds, rules
from specjax.rules import Claims, register
from specjax.verifiers import Block, TopDown
from tests.helpers import wrong_drafters, wrong_lossy, wrong_rules, wrong_verifiers
from tests.helpers.wrong_at_large import WRONG_BEYOND

GOLDEN = theory.battery.Pair("golden", np.array([1 / 3, 2 / 3]), np.array([2 / 3, 1 / 3]))


@register
class SaysNothing:
    """Recursive rejection without an expectation: it would be compared with the optimum first."""

    claims = Claims(lossless=True, drafting=frozenset({"iid"}))

    def law(self, tokens, p, q, mask):
        return wrong_rules.RecursiveRejection().law(tokens, p, q, mask)


def lowered(monkeypatch, place, name, by):
    """Plant an optimum that is too low: a lossless rule or verifier cannot accept more than the
    true one, so that no planted rule reaches the check.
    """
    right = getattr(place, name)
    monkeypatch.setattr(place, name, lambda *arguments: right(*arguments) - by)


def rule_row(monkeypatch):
    lowered(monkeypatch, rule_laws, "optimum", 1e-8)
    return audit(rules.get("recursive_rejection"), 1, (GOLDEN, GOLDEN))[0]


def verifier_row(monkeypatch):
    lowered(monkeypatch, verifier_laws, "optimum", 1e-8)
    monkeypatch.setattr(walk_checks, "OF_WALKS", ())
    return audit_verifier(candidate(Block), "iid", "chain:2", GOLDEN)


def lossy_row(monkeypatch):
    lowered(monkeypatch, rule_laws, "optimum", 1e-8)
    return audit(rules.Lenience, 1, (GOLDEN, GOLDEN))[0]


def lossy_verifier_row(monkeypatch):
    """Any law on drawn nodes is a point of the joint program: none lies above its optimum."""
    lowered(monkeypatch, theory.tree_front, "accepted", 1e-8)
    monkeypatch.setattr(walk_checks, "OF_WALKS", ())
    return audit_verifier(lifted(TopDown, rules.Lenience), "iid", "chain:1", GOLDEN)


def large_row(monkeypatch):
    return beaten_at_large(monkeypatch, SaysNothing)


def large_lossy_row(monkeypatch):
    return beaten_at_large(monkeypatch, wrong_lossy.Mixes)


def beaten_at_large(monkeypatch, rule):
    right = bounds.bracket
    monkeypatch.setattr(
        bounds,
        "bracket",
        lambda *arguments: right(*arguments)._replace(lower=0.1, upper=0.2),
    )
    return audit_large(rule, "iid", large_audit.Size(600, 2, 1 << 12, 1 << 7))[0]


BEATEN = {
    rule_checks.is_no_better_than_the_optimum: (
        rule_row,
        "accepts more than the optimum: 0.666666667 on golden, the optimum is 0.666666657",
    ),
    verifier_checks.is_no_better_than_the_optimum: (
        verifier_row,
        "accepts more than the joint optimum: 1.22222222 on golden, the optimum is 1.22222221",
    ),
    lossy_tree_checks.keeps_under_the_joint_front: (
        lossy_verifier_row,
        "accepts more than the joint front at the TV of its texts: 1 on golden, the front is 0.9",
    ),
    large_checks.is_no_better_than_the_optimum: (large_row, "accepts more than the optimum, by "),
    lossy_checks.keeps_under_the_line: (
        lossy_row,
        "accepts more than min(1, alpha* + TV), which no rule can at its bias, by 1e-08 on golden",
    ),
    large_checks.keeps_under_the_line: (
        large_lossy_row,
        "accepts more than min(1, alpha* + TV), by ",
    ),
}


@pytest.mark.parametrize("check", BEATEN, ids=lambda check: check.__module__)
def test_more_than_the_optimum_is_rejected(check, monkeypatch):
    audited, words = BEATEN[check]
    row = audited(monkeypatch)
    print(row)
    assert row.verdict.startswith(words)
    assert row.verdict.check is check


def every_check():
    """What the lists of checks hold, in whatever file of the audit they stand."""
    found = set()
    for module in pkgutil.iter_modules(audits.__path__):
        held = vars(importlib.import_module(f"{audits.__name__}.{module.name}"))
        for name in held:
            found |= set(held[name] if name.startswith("OF_") else ())
    return found


def test_every_check_has_a_planted_error():
    """The tests of the planted errors show that these checks reject them."""
    tables = (
        wrong_rules.PLANTED,
        wrong_verifiers.PLANTED,
        wrong_verifiers.MISDRAWN,
        wrong_drafters.PLANTED,
        WRONG_BEYOND,
    )
    planted = {wrong.check for table in tables for wrong in table.values()} - {None}
    assert planted | BEATEN.keys() == every_check()
