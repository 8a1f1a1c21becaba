"""The command `plane`: rules stand on or below the line, repaired rules lose nothing, one price is
best, and bad input ends with a line.
"""

import json

import jax
import numpy as np
import pytest

import theory
from experiments import plane
from experiments.__main__ import main
from experiments.decoding import pair_laws
from experiments.enumeration import one_draft, plane_points
from experiments.ladders import plane_rows
from specjax import rules
from tests.helpers import lossy_families
from tests.helpers.places import ROOT

EXACT = 1e-12
STORED = sorted((ROOT / "experiments" / "results").glob("plane-*.json"))
# a rule that reads evidence has no place on the plane: logits alone do not say what it accepts
LOSSY = [make for make in rules.all() if not make.claims.lossless and not hasattr(make, "seeing")]
PLANTED = """
from specjax.numerics import total
from specjax.rules import Claims, Lenience, register

@register
class Boasts(Lenience):
    claims = Claims(lossless=False, drafting=frozenset({"iid"}))
    def law(self, tokens, p, q, mask):
        return p.at[tokens].set(1) / total(p.at[tokens].set(1)) * 1.5
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Logits of four contexts, and as many with a token that the target never emits."""
    folder = tmp_path_factory.mktemp("laws")
    pairs = list(lossy_families.pairs("text", 4, 16))
    target, draft = (np.log([pair[side] for pair in pairs]).astype(np.float32) for side in (0, 1))
    cut = target.copy()
    cut[np.arange(4), draft.argmax(1)] = -np.inf
    for name, logits in (("target", target), ("draft", draft), ("cut", cut)):
        np.save(folder / f"{name}.npy", logits)
    return folder


def asked(files, target="target", **options):
    named = {"n": (1, 2), "kl": (0.01, 0.1), "scale": (1.0,)} | options
    return plane.Config(pair=f"{files / target}.npy::{files / 'draft'}.npy", **named)


@pytest.fixture(scope="module")
def content(files):
    return plane.run(asked(files))


def shown(content, capsys):
    plane.show(content, plane.Console(width=100))
    return " ".join(capsys.readouterr().out.split())


def test_every_lossy_rule_is_on_the_plane_and_under_the_line(content):
    rows = content["rows"]
    assert {row["rule"] for row in rows if row["n"] == 1} == {make.name for make in LOSSY}
    assert {row["rule"] for row in rows if row["n"] == 2} == {
        make.name for make in LOSSY if make.claims.admits(2)
    }
    for row in rows:
        assert row["over"] <= EXACT
        assert row["accepted"] <= row["alpha_star"] + row["tv"] + EXACT
        if rules.get(row["rule"]).claims.on_front:
            assert row["efficiency"] == pytest.approx(1, abs=1e-9)


def test_every_repaired_rule_accepts_no_less_at_no_more_tv(content):
    for row in content["rows"]:
        if row["n"] == 1:
            assert row["repaired"] >= row["accepted"] - EXACT
            assert row["repaired_tv"] <= row["tv"] + EXACT
            assert row["repaired"] == pytest.approx(row["alpha_star"] + row["repaired_tv"])
            assert row["best_kl"] <= row["repaired_kl"] + EXACT


def test_the_rule_front_stands_on_the_front(files, content):
    laws = pair_laws.load(asked(files).pair, rules_as_is(), jax.random.key(0), 256)
    for row in content["rows"]:
        if row["rule"] == "front":
            curves = plane_rows.of_laws(laws, row["n"]).curves
            rejected = theory.spending.same_price(curves, 1.0)
            assert row["accepted"] == pytest.approx(1 - rejected.mean(), abs=1e-9)
            kl = theory.spending.kl(curves, rejected).mean()
            assert row["kl"] == pytest.approx(kl, abs=1e-9)


def rules_as_is():
    return plane.sampling_options.of(plane.Config())


def test_one_price_beats_one_kl_and_one_tv(content):
    for row in content["front"]:
        assert row["same_price"] >= max(row["same_kl"], row["same_tv"]) - 1e-9
        assert row["kl"] <= row["budget"] + EXACT
    first = content["front"][0]
    assert first["same_price"] > first["same_kl"] + 1e-5
    for row in content["halved"]:
        assert row["rejected"] == pytest.approx((1 - row["alpha_star"]) / 2, abs=1e-9)
        assert row["tv"] == pytest.approx(row["rejected"], abs=1e-9)
        assert row["kl"] > 0


def test_an_enumerated_rule_is_that_of_the_referee():
    """The rules without parts that the families lack; and the repair is the package's."""
    (p, q, _), *_ = lossy_families.pairs("text", 1, 16)
    with jax.enable_x64(True):
        for make in (rules.Cactus, rules.Rapid, rules.Typical):
            found = one_draft.enumerated(make(), p, q)
            referee = getattr(theory.lossy_rules, make.name)(p, q)
            np.testing.assert_allclose(found.law, theory.lossy.emitted(referee, q), atol=EXACT)
            np.testing.assert_allclose(
                found.own[q > 0], theory.lossy.emits_the_draft(referee)[q > 0], atol=EXACT
            )
            both = plane_points.measured(make(), 1, p[None], q[None])
            mended = one_draft.enumerated(rules.Overrule(rules.Single(), make()), p, q)
            assert both.repaired.accepted[0] == pytest.approx(q @ mended.own, abs=EXACT)
            assert both.repaired.tv[0] == pytest.approx(np.abs(mended.law - p).sum() / 2, abs=EXACT)


def test_unlikely_drafts_are_left_to_the_lossless_rule(monkeypatch):
    (p, q, _), *_ = lossy_families.pairs("text", 1, 64)
    with jax.enable_x64(True):
        whole = one_draft.enumerated(rules.Cactus(), p, q)
        monkeypatch.setattr(one_draft, "WHOLE", 0)
        monkeypatch.setattr(one_draft, "LEFT", 0.05)
        part = one_draft.enumerated(rules.Cactus(), p, q)
    assert 0 < np.abs(part.law - whole.law).sum() / 2 <= 0.05
    assert 0 < q @ whole.own - q @ part.own <= 0.05
    tv = np.abs(part.law - p).sum() / 2
    assert q @ part.own <= np.minimum(p, q).sum() + tv + EXACT


def test_planted_a_rule_above_the_line_is_caught(files, tmp_path):
    path = tmp_path / "boasts.py"
    path.write_text(PLANTED)
    with pytest.raises(RuntimeError, match=r"boasts: accepts .* more than alpha\* \+ TV"):
        plane.run(asked(files, n=(1,), rules=(str(path),)))


def test_infinite_kl_is_shown(files, capsys):
    content = plane.run(asked(files, "cut", n=(1,), rules=("lenience", "fuzzy", "interpolation")))
    rows = {row["rule"]: row for row in content["rows"]}
    assert rows["interpolation"]["kl"] == np.inf
    assert rows["interpolation"]["infinite"] == 1
    assert np.isfinite(rows["lenience"]["kl"])
    assert "inf" in shown(content, capsys)
    stored = json.loads(json.dumps(content).replace("Infinity", "null").replace("NaN", "null"))
    assert "inf" in shown(stored, capsys)
    plane.plot(stored)


def test_a_front_that_ends_too_soon_halves_nothing(files, capsys):
    content = plane.run(asked(files, "cut", n=(1,), rules=("lenience",)))
    (row,) = content["halved"]
    assert row["rejected"] > (1 - row["alpha_star"]) / 2
    assert "no finite KL halves the rejections" in shown(content, capsys)


def test_cactus_is_set_against_its_delta(content, capsys):
    rows = [row for row in content["rows"] if row["stated_kl"] is not None]
    assert {row["rule"] for row in rows} == {"cactus", "mentored"}
    for row in rows:
        assert (row["beyond"] > 0) == (row["rule"] == "cactus")
        said = f"emitted KL {row['kl']:.4f} against its stated {row['stated_kl']:g}"
        assert said in shown(content, capsys)


def test_a_pair_as_a_command(tmp_path, capsys):
    out = tmp_path / "plane.json"
    arguments = ["--pair", "markov", "--rules", "lenience", "--scale", "0.5", "1"]
    written = ["--json", str(out), "--figure", str(tmp_path / "plane.png")]
    assert main(["plane", *arguments, "--n", "1", "--contexts", "8", *written]) == 0
    stored = json.loads(out.read_text())
    assert [row["setting"] for row in stored["rows"]] == ["lenience=0.25", "lenience=0.5"]
    assert {row["contexts"] for row in stored["rows"]} == {8}
    assert stored["provenance"]["command"] == "plane"
    figure = tmp_path / "again.png"
    assert main(["plot", str(out), "--figure", str(figure)]) == 0
    assert figure.read_bytes() == (tmp_path / "plane.png").read_bytes()
    assert "halving the rejections" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--n", "0"], "n >= 1"),
        (["--kl", "0"], "kl > 0"),
        (["--contexts", "0"], "contexts"),
        (["--rules", "nobody"], "nobody"),
        (["--rules", "block"], "expected a rule for independent drafts"),
        (["--pair", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_ends_with_a_line(more, words, capsys):
    assert main(["plane", *more]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert words in err


def test_files_that_are_none_end_with_a_line(files, capsys):
    laws = ["--target", str(files / "none.npy"), "--draft", str(files / "draft.npy")]
    assert main(["plane", *laws]) == 2
    assert "none.npy" in capsys.readouterr().err


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_the_stored_rows_keep_what_is_proven(path):
    content = json.loads(path.read_text())
    assert "+" not in content["provenance"]["revision"]
    for row in content["rows"]:
        assert row["over"] <= 1e-9
        if row["n"] == 1:
            assert row["repaired"] >= row["accepted"] - 1e-9
            assert row["repaired_tv"] <= row["tv"] + 1e-9
    for row in content["front"]:
        assert row["same_price"] >= max(row["same_kl"], row["same_tv"]) - 1e-9
