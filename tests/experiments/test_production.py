"""What engines emit: published numbers come out, each biased practice is a planted error, and the
stored rows are those of today.
"""

import json

import numpy as np
import pytest

from experiments import production
from tests.helpers import wrong_practices, wrong_verifiers
from tests.helpers.places import ROOT

STORED = json.loads((ROOT / "experiments" / "results" / "production.json").read_text())
CLOSE = 5e-5  # half of the last published digit
TV = {
    ("nucleus before temperature", "G4, T = 0.5, top-p 0.92"): 0.0333,
    ("nucleus before temperature", "G4, T = 0.7, top-p 0.92"): 0.0635,
    ("nucleus before temperature", "G4, T = 1, top-p 0.92"): 0.0,
    ("nucleus before temperature", "Zipf, T = 0.7, top-p 0.9"): 0.0945,
    ("nucleus before temperature", "Zipf, T = 0.6, top-p 0.95"): 0.0485,
    ("nucleus before temperature", "Zipf, T = 1.2, top-p 0.9"): 0.1844,
    ("real law on fixed draft", "G3"): 0.3,
    ("real law on fixed draft", "G4"): 0.3125,
    ("real law on fixed draft", "G4p"): 0.1643,
    ("real law on fixed draft", "SGL"): 0.2571,
    ("dropped after the draw", "G3, q >= 0.25"): 0.1,
    ("dropped after the draw", "G4, q >= 0.25"): 0.11,
    ("dropped after the draw", "sure, q >= 0.25"): 0.15,
    ("dropped before the draw", "G3, max q >= 0.25"): 0.0,
    ("draft noise for the residual", "G4"): 1 / 30,
    ("uncapped last position", "G2"): 1 / 9,
    ("equality accepts", "apart"): 2.0**-23,
}
FIGURES = {
    "G3, w = 0.5": [0.15, 0.15],
    "G4, F = 2, C = 1": [0.6, 0.0],
    "G4, F = 2, C = 0.5": [0.7538, 0.0],
    "G4, F = 2, C = 0.25": [0.7684, 0.1818],
    "G4, F = 2, C = 0": [0.6333, 0.8182],
    "copies with .9, V = 2": [0.4, 0.0],
    "copies with .9, V = 3": [0.5667, 0.0],
    "copies with .9, V = 4": [0.65, 0.0],
}


@pytest.fixture(scope="module")
def content():
    return production.run(production.Config())


def cell(content, practice, laws):
    found = [row for row in content["rows"] if (row["practice"], row["laws"]) == (practice, laws)]
    (row,) = found
    return row


@pytest.mark.parametrize(("practice", "laws"), TV)
def test_the_published_distances_come_out(content, practice, laws):
    assert cell(content, practice, laws)["tv"] == pytest.approx(TV[practice, laws], abs=CLOSE)


def test_the_smallest_distance_is_one_step_of_the_uniform(content):
    assert cell(content, "equality accepts", "apart")["tv"] == 2.0**-23


def test_a_fixed_draft_is_counted_with_its_real_law(content):
    row = cell(content, "real law on fixed draft", "SGL")
    assert (row["counted"], row["honest"]) == pytest.approx((6 / 7, 0.6))


@pytest.mark.parametrize("laws", FIGURES)
def test_the_published_trades_come_out(content, laws):
    (trade,) = [trade for trade in content["trades"] if trade["laws"] == laws]
    assert list(trade["figures"].values()) == pytest.approx(FIGURES[laws], abs=CLOSE)


def test_block_verification_does_not_help_one_hot_drafts(content):
    chains = [trade["figures"] for trade in content["trades"] if "block" in trade["figures"]]
    assert chains
    for figures in chains:
        assert figures["block"] == pytest.approx(figures["token_by_token"], abs=1e-12)


def numbers(content):
    """All numbers of both tables."""
    accepted = [row[key] for row in content["rows"] for key in ("tv", "counted", "honest")]
    sides = [side for trade in content["trades"] for side in trade["figures"].values()]
    return [*accepted, *sides]


def words(content):
    """All words of both tables."""
    rows = [*content["rows"], *content["trades"]]
    return [value for row in rows for value in row.values() if isinstance(value, str)]


def test_the_stored_rows_are_those_of_today(content):
    assert words(STORED) == words(content)
    np.testing.assert_allclose(numbers(STORED), numbers(content), atol=1e-9)


def test_every_biased_practice_is_a_planted_error(content):
    biased = {row["practice"] for row in content["rows"] if row["tv"] > 1e-9}
    assert biased == set(wrong_practices.PRACTICES)
    planted = {*wrong_practices.RULES, *wrong_verifiers.PLANTED}
    assert set(wrong_practices.PRACTICES.values()) <= planted
