"""The command `couple`: measured hit rates are those of theory, and bad input ends with a line."""

import json

import numpy as np
import pytest

import theory
from experiments import couple
from experiments.__main__ import main
from specjax import couplings

P, Q = [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]


@pytest.fixture
def files(tmp_path):
    """Two laws, and logits of six contexts."""
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((6, 40)).astype(np.float32)
    held = {"p": P, "q": Q, "target": logits, "draft": logits + rng.standard_normal((6, 40))}
    for name, values in held.items():
        np.save(tmp_path / f"{name}.npy", np.asarray(values))
    return {name: tmp_path / f"{name}.npy" for name in held}


def test_two_laws(files):
    """Hits within five standard errors of theory, and below the optimum."""
    rows = couple.run(couple.Config(files["p"], files["q"], n=(1, 2), draws=4096))["rows"]
    assert {row["coupling"] for row in rows} == set(couplings.names())
    for row in rows:
        error = row["hit"] - row["stated"]
        assert abs(error) < 5 * row["hit_se"] if row["n"] == 1 else error > -5 * row["hit_se"]
        assert row["hit"] < row["alpha_star"] + 5 * row["hit_se"]
        assert row["alpha_star"] == pytest.approx({1: 0.7, 2: 0.86}[row["n"]], abs=1e-6)


def test_planted_a_coupling_with_noise_of_its_own_is_seen(files, monkeypatch):
    """Without shared noise the token hits the draft with probability sum p q."""

    class Alone(couplings.Gumbel):
        def couple(self, key, p, q, n):
            other = couplings.Gumbel().couple(couple.jax.random.fold_in(key, 1), p, q, n)[1]
            return couplings.Gumbel().couple(key, p, q, n)[0], other

    Alone.name = "gumbel"
    monkeypatch.setattr(couplings, "all", lambda: (couplings.register(Alone),))
    (row,) = couple.run(couple.Config(files["p"], files["q"], n=(1,), draws=4096))["rows"]
    assert abs(row["hit"] - np.dot(P, Q)) < 5 * row["hit_se"]
    assert abs(row["hit"] - theory.couplings.gumbel(P, Q)) > 5 * row["hit_se"]


def test_logits_as_a_command(files, tmp_path, capsys):
    out = tmp_path / "x.json"
    arguments = ["--target", str(files["target"]), "--draft", str(files["draft"])]
    assert main(["couple", *arguments, "--draws", "64", "--n", "1", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert {row["contexts"] for row in rows} == {6}
    assert "gumbel_list" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--n", "0"], "n >= 1"),
        (["--contexts", "0"], "contexts"),
        (["--temperature", "0.5"], "act on logits"),
        (["--draft", "none.npy"], "none.npy"),
    ],
)
def test_bad_input_ends_with_a_line(more, words, files, capsys):
    arguments = ["couple", "--target", str(files["p"]), "--draft", str(files["q"]), *more]
    assert main(arguments) == 2
    assert words in capsys.readouterr().err
