"""Commands audit the rule of a file before they use it, and name one that is not what it claims."""

import json

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.audits import file_audit
from experiments.decoding import comparison
from specjax import rules

RULE = '''
import jax.numpy as jnp
from specjax.rules import Claims, register

@register
class Thief:
    """Accepts the first draft, whatever the target says."""
    claims = Claims(lossless=LOSSLESS, drafting=frozenset({"iid"}))
    def law(self, tokens, p, q, mask):
        return jnp.where(mask.any(), jnp.zeros_like(p).at[tokens[jnp.argmax(mask)]].set(1), p)
    def expected_acceptance(self, p, q, n):
        return jnp.ones((), p.dtype)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two files with one law, and laws to bound it on; what is found out about the files is kept
    there.
    """
    folder = tmp_path_factory.mktemp("files")
    for name, lossless in (("thief", "True"), ("honest", "False")):
        (folder / f"{name}.py").write_text(RULE.replace("LOSSLESS", lossless))
    for name, law in (("p", [0.5, 0.3, 0.2]), ("q", [0.2, 0.3, 0.5])):
        np.save(folder / f"{name}.npy", law)
    logits = np.random.default_rng(0).normal(0, 2, (2, 4, 8)).astype(np.float32)
    np.savez(folder / "logits.npz", p=logits[0], q=logits[1])
    np.save(folder / "target.npy", logits[0])
    np.save(folder / "draft.npy", logits[1])
    rule = folder / "thief.py"
    (folder / "grid.toml").write_text(
        f'[[grid]]\nfamily = "dirichlet"\nvocabulary = 8\nn = 1\ncontexts = 4\nrule = "{rule}"\n'
    )
    return folder


@pytest.fixture(autouse=True)
def cache(folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


COMMANDS = {
    "bound of two laws": [
        "bound",
        "--target",
        "{}/p.npy",
        "--draft",
        "{}/q.npy",
        "--n",
        "1",
        "--rules",
        "{}/RULE.py",
    ],
    "bound of contexts": [
        "bound",
        "--target",
        "{}/target.npy",
        "--draft",
        "{}/draft.npy",
        "--n",
        "1",
        "--rules",
        "{}/RULE.py",
    ],
    "decode": [
        "decode",
        "a",
        "--pair",
        "markov",
        "--tree",
        "star:2",
        "--tokens",
        "4",
        "--rule",
        "{}/RULE.py",
    ],
    "compare": [
        "compare",
        "--pair",
        "markov",
        "--n",
        "1",
        "--contexts",
        "90",
        "--rules",
        "{}/RULE.py",
        "single",
    ],
    "sweep": ["sweep", "{}/grid.toml", "--out", "{}/sweep"],
}


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_a_rule_that_steals_is_named_and_the_exit_code_is_1(
    arguments, folder, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main([part.format(folder).replace("RULE", "thief") for part in arguments]) == 1
    assert "not lossless (TV " in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", ["bound of two laws", "compare"])
def test_a_rule_that_says_that_it_is_lossy_shows_how_far_and_passes(
    command, folder, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    arguments = [part.format(folder).replace("RULE", "honest") for part in COMMANDS[command]]
    assert main([*arguments, "--json", str(tmp_path / "rows.json")]) == 0
    assert "not lossless (TV " in " ".join(capsys.readouterr().out.split())
    if command == "compare":
        lossy, single = json.loads((tmp_path / "rows.json").read_text())["rows"]
        assert (lossy["rule"], lossy["consistent"], single["audit"]) == ("honest", True, None)
        assert lossy["audit"].startswith("not lossless (TV ")


def test_a_file_is_audited_once_until_it_changes(folder, monkeypatch):
    known = file_audit.findings([f"{folder}/thief.py", "kseq"])
    assert list(known) == ["thief"]
    assert known["thief"].refuted
    monkeypatch.setattr(
        file_audit, "_audited", lambda make: file_audit.Finding("audited again", False)
    )
    assert file_audit.findings([f"{folder}/thief.py"]) == known
    (folder / "thief.py").write_text(RULE.replace("LOSSLESS", "True") + "\n")
    assert file_audit.findings([f"{folder}/thief.py"])["thief"].words == "audited again"


def test_no_row_above_the_line_is_consistent():
    """A rule that accepts what it says, and more than any rule could at its bias, claims or no
    claims.
    """
    steals = type("Steals", (), {"claims": rules.get("kseq").claims._replace(lossless=False)})()
    mass, line, unknown = np.full(500, 0.9), np.full(500, 0.7), np.full(500, np.nan)

    def verdict(mass, expected, line):
        return comparison._verdict(steals, mass, expected, line, 1e-4)[0]

    assert verdict(mass, mass, line) is False
    assert verdict(mass, unknown, line) is False
    assert verdict(line, unknown, line) is True
    assert verdict(mass, mass, unknown) is True
    assert verdict(mass, unknown, unknown) is None
