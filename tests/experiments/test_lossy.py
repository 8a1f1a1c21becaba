"""Lossy rules in the commands: they run where they are named, and show what they lose."""

import numpy as np
import pytest
from rich.console import Console
from scipy import special

import theory
from experiments import bound, compare, merge, sweep
from experiments.audits import verifier_audit
from experiments.enumeration import rule_laws
from experiments.inputs import named_verifiers
from experiments.ladders import many_contexts
from experiments.stats.means import clustered_mean, interval, ratio_of_means
from specjax import rules
from tests.helpers import bound_files
from tests.helpers.bound_files import REVERSED, columns_of, study
from tests.helpers.wrong_lossy import Mixes

elsewhere, files, logits = bound_files.elsewhere, bound_files.files, bound_files.logits
LOSSY = {make.name for make in rules.all() if not make.claims.lossless}
FILE = """
from specjax.rules import register
from tests.helpers.wrong_lossy import Mixes

@register
class Silent:
    claims = Mixes.claims._replace(loss=None)
    def law(self, tokens, p, q, mask):
        return Mixes().law(tokens, p, q, mask)
"""


def lenient(p, q):
    """The law that lenience of 1/2 emits, by its definition."""
    kept = np.minimum(q, 2 * p)
    rest = np.maximum(p - q, 0)
    return kept + (1 - kept.sum(-1, keepdims=True)) * rest / rest.sum(-1, keepdims=True)


def lost(e, p):
    """Its TV and KL from p."""
    return np.abs(e - p).sum(-1) / 2, special.kl_div(e, p).sum(-1)


def shown(module, content, capsys):
    module.show(content, Console(width=120))
    return " ".join(capsys.readouterr().out.split())


def test_no_command_runs_a_lossy_rule_that_is_not_named(files):
    assert LOSSY
    assert not LOSSY & set(named_verifiers.usual())
    assert not LOSSY & {make.name for make in verifier_audit.plain_rules()}
    (ladder,) = bound.run(bound.Config(*files(*REVERSED), (1,))).ladders
    assert not LOSSY & set(ladder.acceptance)


def test_compare_shows_what_a_lossy_rule_loses_and_gains(capsys):
    asked = {"pair": "markov", "n": (1,), "contexts": 40}
    content = compare.run(compare.Config(rules=("lenience", "single"), **asked))
    lenience, single = content["rows"]
    assert lenience["consistent"]
    assert lenience["tv"] > 0.01 < lenience["kl"]
    assert lenience["efficiency"] == pytest.approx(1, abs=1e-4)
    assert lenience["expected"] == pytest.approx(lenience["alpha_star"] + lenience["tv"], abs=1e-5)
    assert (single["tv"], single["kl"], single["efficiency"]) == (None, None, None)
    said = shown(compare, content, capsys)
    assert "gap TV KL efficiency tok/call" in said
    assert "no rule accepts more than alpha* + TV" in said
    assert compare.status(content) == 0
    said = shown(compare, content | {"rows": [single]}, capsys)
    assert "TV" not in said


def test_bound_of_two_laws_shows_tv_and_kl(files, tmp_path, capsys):
    silent = tmp_path / "silent.py"
    silent.write_text(FILE)
    p, q = map(np.array, REVERSED)
    named = ("lenience", "single", str(silent))
    result = bound.run(bound.Config(*files(p, q), (1,), named))
    (ladder,) = result.ladders
    document = bound.document(result)
    for rule, e in (("lenience", lenient(p, q)), ("silent", (p + q) / 2)):
        values = [document["acceptance"][rule], document["tv"][rule], document["kl"][rule]]
        hits = 0.9 if rule == "lenience" else ladder.acceptance[rule][0]
        assert values == pytest.approx([hits, *lost(e, p)], abs=1e-12)
    assert "single" not in document["tv"]
    assert "gap TV KL" in shown(bound, result, capsys)
    sound = bound.run(bound.Config(*files(p, q), (1,), ("single",)))
    assert "tv" not in bound.document(sound)
    assert "TV" not in shown(bound, sound, capsys)


def test_bound_of_contexts_shows_tv_and_kl(files, logits, tmp_path, capsys):
    result = study(files, logits, 1, rules=("lenience", "single"), rows=tmp_path / "rows.csv")
    p, q = (special.softmax(values.astype(np.float64), -1) for values in logits)
    tv, kl = lost(lenient(p, q), p)
    (ladder,) = result.ladders
    assert ladder.tv["lenience"] == pytest.approx(tv, abs=1e-6)
    assert ladder.kl["lenience"] == pytest.approx(kl, abs=1e-5)
    alpha_star = ladder.alpha_star["iid"]
    assert ladder.acceptance["lenience"] == pytest.approx(np.minimum(1, alpha_star + tv), abs=1e-6)
    best = bound.document(result)["block_efficiency"]["star_best_rule"]["mean"]
    assert best == pytest.approx(1 + ladder.acceptance["single"].mean())
    columns = columns_of(tmp_path / "rows.csv")
    np.testing.assert_array_equal(columns["tv_lenience"], ladder.tv["lenience"])
    assert "TV from p" in shown(bound, result, capsys)
    upper = {"iid": alpha_star}
    many_contexts.check_optimum(ladder, upper)
    less = ladder._replace(tv={"lenience": ladder.tv["lenience"] - 1e-3})
    with pytest.raises(RuntimeError, match=r"exceeds alpha\* \+ TV under iid"):
        many_contexts.check_optimum(less, upper)


def test_a_sweep_carries_tv_kl_and_efficiency(tmp_path):
    pytest.importorskip("pyarrow")
    config = tmp_path / "grid.toml"
    config.write_text(
        '[[grid]]\nfamily = "dirichlet"\nvocabulary = 8\nn = 1\ncontexts = 4\n'
        'rule = ["lenience", "single"]\n'
    )
    assert sweep.run(sweep.Config(config, tmp_path / "out"))["computed"] == 2
    merged = merge.run(merge.Config(tmp_path / "out", tmp_path / "rows.parquet"))["rows"]
    lenience, single = merged
    assert lenience["consistent"]
    assert lenience["gap"] == pytest.approx(-lenience["tv"], abs=1e-6)
    assert lenience["efficiency"] == pytest.approx(1, abs=1e-4)
    assert lenience["kl"] > 0 < lenience["kl_se"]
    assert (single["tv"], single["kl"], single["efficiency"]) == (None, None, None)


def test_enumeration_finds_the_law_that_a_rule_emits():
    p, q = theory.battery.laws(5, seed=0)[0][1:]
    found = rule_laws.attained(Mixes(), theory.Problem(p, q, 2, "iid"))
    np.testing.assert_allclose(found.emitted, (p + q) / 2, atol=1e-15)
    hits = 0.5 + 0.5 * (p * (1 - (1 - q) ** 2)).sum()
    assert found.acceptance == pytest.approx(hits, abs=1e-14)


def test_an_infinite_mean_has_no_error():
    values, used = np.array([[1.0, np.inf], [0.5, 0.25]]), np.ones((2, 2), bool)
    assert str(clustered_mean(values, used)) == "Mean(value=inf, error=nan)"
    assert interval(values[0]).mean == np.inf


def test_a_ratio_of_means_has_the_error_of_its_linearisation(seed):
    rng = np.random.default_rng(seed)
    below = rng.uniform(1, 2, (4000, 200))
    above = 3 * below + rng.normal(size=below.shape)
    found = [ratio_of_means(*pair, np.ones(200, bool)) for pair in zip(above, below, strict=True)]
    ratios, errors = np.transpose(found)
    # 4000 standard deviations of one: each lies within 1.1 %, three of these are allowed
    assert errors.mean() == pytest.approx(ratios.std(), rel=0.04)
    assert ratios.mean() == pytest.approx(3, abs=0.01)
    assert np.isnan(ratio_of_means(above[0], 0 * below[0], np.ones(200, bool)).value)
