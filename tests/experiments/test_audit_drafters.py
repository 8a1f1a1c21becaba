"""The audit of drafters: drafts have the law that is stated, and each planted error is named."""

import re

import pytest
from rich.console import Console

from experiments import audit
from experiments.audits import drafter_audit, drafter_checks
from experiments.audits.outcomes import outcome
from tests.helpers.wrong_drafters import (
    PLANTED,
    BonusFromTheRawLaw,
    SharesADraw,
    StatesTheLastLaws,
    StatesTheLawOfAnotherCache,
    change,
)

# another plant has their check
SLOW = {SharesADraw, StatesTheLastLaws, StatesTheLawOfAnotherCache}
WRONG = [
    pytest.param(wrong, marks=pytest.mark.thorough) if wrong in SLOW else wrong
    for wrong in PLANTED
    if wrong is not BonusFromTheRawLaw
]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_drafter_is_caught(wrong):
    audited = drafter_audit.under_audit(drafter_audit.MODEL, 0, change(wrong))
    verdict = outcome(audited, drafter_checks.OF_ALL)
    print(verdict)
    assert re.match(PLANTED[wrong].words, verdict)
    assert verdict.check is PLANTED[wrong].check


def test_a_bonus_token_of_the_raw_law_is_caught():
    audited = drafter_audit.under_audit(drafter_audit.MODEL, 0, verifier=BonusFromTheRawLaw())
    row = drafter_audit.audit(audited)
    print(row.verdict)
    assert row.verdict.startswith(PLANTED[BonusFromTheRawLaw].words)
    assert row.verdict.check is PLANTED[BonusFromTheRawLaw].check
    assert audit.status([row]) == 1


def test_the_command_audits_a_drafter():
    (row,) = rows = audit.run(audit.Config(("drafter:exit:1",), seed=0))
    print(row)
    assert row.verdict == "ok"
    assert audit.status(rows) == 0
    assert audit.document(rows)[0]["tree"] == "full:2,1"
    console = Console(record=True, width=200)
    audit.show(rows, console)
    assert "exit:1   iid     full:2,1" in console.export_text()


@pytest.mark.thorough
def test_all_drafters_are_what_they_claim():
    rows = audit.run(audit.Config(("drafter",), seed=0))
    assert [row.drafter for row in rows] == drafter_audit.names()
    assert [row.verdict for row in rows] == ["ok"] * len(rows)


def test_every_kind_that_takes_a_number_is_audited():
    assert {"model", "exit:1", "layers:1", "skip:1"} <= {*drafter_audit.names()}
    assert drafter_audit.named("drafter:skip:1") == ["skip:1"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("drafter:nobody", "drafter nobody: expected one of kind model, "),
        ("drafter:exit:9", "draft exit:9: the target has the layers 0 to 1"),
    ],
)
def test_a_drafter_that_does_not_exist_is_refused(name, words):
    with pytest.raises(ValueError, match=words):
        audit.run(audit.Config((name,)))
