"""The audit of decoders: every order of the transforms is exact, so are penalties, and an error on
one side is caught.
"""

import dataclasses

import numpy as np
import pytest

from experiments import audit
from experiments.audits import decoder_audit
from experiments.audits.decoder_audit import CUTS, WARM, Case, Side, cases
from specjax.models import Penalised
from specjax.models.penalised import _marked
from specjax.numerics import AS_IS

REVERSED = dataclasses.replace(CUTS, order=("min_p", "top_p", "top_k", "temperature"))


@pytest.mark.parametrize("name", cases())
def test_a_decoder_emits_the_law_that_was_asked_for(name):
    row = decoder_audit.audit(name, cases()[name])
    print(row.tv)
    assert row.verdict == "ok"
    assert row.tv < 1e-14


def test_the_orders_that_are_audited_differ():
    """Any order that is not one law with another is .025 away in what a step emits."""
    emitted = []
    for case in cases()["temperature, top-k, top-p, min-p"]:
        table, _ = decoder_audit.logits(case.vocabulary)
        after = [decoder_audit.law(table, case.target, [last]) for last in range(len(table))]
        emitted.append(after[decoder_audit.PROMPT[-1]][:, None] * np.array(after))
    far = np.abs(np.array(emitted)[:, None] - emitted).sum((2, 3)) / 2
    print(far[far > 1e-12].min())
    assert len(far) == 24
    assert len({row.tobytes() for row in far < 1e-12}) == 12
    assert far[far > 1e-12].min() > 0.025


def of_target(sampling):
    return lambda decoder: dataclasses.replace(decoder, sampling=sampling)


def of_draft(sampling):
    """The q that is verified; the drafts are drawn as they should be."""
    return lambda decoder: dataclasses.replace(
        decoder, drafter=dataclasses.replace(decoder.drafter, sampling=sampling)
    )


@pytest.mark.parametrize("side", [of_target, of_draft])
@pytest.mark.parametrize("wrong", [AS_IS, REVERSED, WARM])
def test_another_transform_of_one_side_is_caught(side, wrong):
    row = decoder_audit.audit("planted", [Case(Side(CUTS), Side(CUTS))], side(wrong))
    print(row.verdict)
    assert row.verdict != "ok"
    assert row.tv > 1e-2


class CommittedOnly(Penalised):
    """A planted error: the penalties know the committed text, not the ancestors in the tree."""

    def score(self, params, cache, tokens, topology, nodes=slice(None), asked=slice(None)):
        alone = dataclasses.replace(
            topology, parents=np.full(topology.nodes, -1), depth=np.zeros(topology.nodes, np.int32)
        )
        seen = _marked(cache.seen, tokens[:1])
        penalised = super().score(params, cache._replace(seen=seen), tokens, alone, nodes, asked)
        return penalised._replace(cache=penalised.cache._replace(seen=cache.seen))


@pytest.mark.parametrize("side", ["target", "draft"])
def test_penalties_that_ignore_the_ancestors_are_caught(side):
    (case,) = cases()["penalties"]

    def change(decoder):
        model = decoder.target if side == "target" else decoder.drafter.model
        wrong = CommittedOnly(**vars(model))
        if side == "target":
            return dataclasses.replace(decoder, target=wrong)
        return dataclasses.replace(
            decoder, drafter=dataclasses.replace(decoder.drafter, model=wrong)
        )

    row = decoder_audit.audit("planted", [case], change)
    print(row.verdict)
    assert row.tv > 1e-2


def test_the_command_audits_decoders(capsys, monkeypatch):
    monkeypatch.setattr(decoder_audit, "cases", lambda: {"penalties": cases()["penalties"]})
    (row,) = audit.run(audit.Config(("decode",)))
    assert audit.status([row]) == 0
    assert audit.document([row])[0]["transforms"] == "penalties"
