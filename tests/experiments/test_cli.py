"""The command line: what it prints, and that wrong input is one line on stderr, exit code 2, and
nothing written.
"""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from experiments.__main__ import commands, main, usage
from experiments.cli import whole_files

GOOD = {"p.npy": [0.5, 0.3, 0.2], "q.npy": [0.2, 0.3, 0.5]}
BAD = {
    "long.npy": [0.25] * 4,
    "nan.npy": [np.nan, 0.5, 0.5],
    "negative.npy": [-0.5, 1.0, 0.5],
    "heavy.npy": [0.5, 0.5, 0.5],
    "matrix.npy": [[0.5, 0.3, 0.2]],
    "whole.npy": np.array([1, 0, 0]),
    "none.npy": np.zeros(0),
}
RULE = '''
from specjax.rules import Claims, register

@register
class Mine:
    """Emits p."""
    claims = Claims(lossless=True, drafting=frozenset({"SCHEME"}))
    def law(self, tokens, p, q, mask):
        return FACTOR
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, law in (GOOD | BAD).items():
        np.save(name, law)
    (tmp_path / "empty.npy").touch()
    (tmp_path / "text.npy").write_text("0.5 0.3 0.2")
    np.savez(tmp_path / "archive.npz", p=[1.0])
    (tmp_path / "mine.py").write_text(RULE.replace("SCHEME", "iid").replace("FACTOR", "p"))
    (tmp_path / "wrong.py").write_text(RULE.replace("SCHEME", "iid").replace("FACTOR", "0.999 * p"))
    (tmp_path / "scheme.py").write_text(RULE.replace("SCHEME", "telepathy").replace("FACTOR", "p"))
    (tmp_path / "broken.py").write_text("import nothing_of_this_name")
    (tmp_path / "bare.py").write_text("x = 1")
    return tmp_path


def bound(target="p.npy", draft="q.npy", n="2", *more):
    return ["bound", "--target", target, "--draft", draft, "--n", n, *more]


WRONG = {
    "no command": [],
    "unknown command": ["divine"],
    "unknown option": ["rules", "--colour"],
    "missing option": ["bound", "--target", "p.npy"],
    "not a number": bound(n="two"),
    "n too small": bound(n="0"),
    "shapes disagree": bound(draft="long.npy"),
    "nan": bound("nan.npy"),
    "negative": bound(draft="negative.npy"),
    "unnormalised": bound("heavy.npy"),
    "a matrix": bound("matrix.npy"),
    "integers": bound("whole.npy"),
    "no tokens": bound("none.npy"),
    "no such file": bound("nowhere.npy"),
    "a folder": bound("."),
    "empty file": bound("empty.npy"),
    "not an array": bound("text.npy"),
    "an archive": bound("archive.npz"),
    "unknown rule": bound("p.npy", "q.npy", "2", "--rules", "nobody"),
    "n outside its range": bound("p.npy", "q.npy", "2", "--rules", "single"),
    "audit: unknown rule": ["audit", "nobody"],
    "audit: n outside its range": ["audit", "single", "--n", "2"],
    "audit: no n": ["audit", "single", "--n"],
    "audit: n too small": ["audit", "single", "--n", "0"],
    "audit: half a pair": ["audit", "--target", "p.npy"],
    "audit: nan": ["audit", "--target", "nan.npy", "--draft", "q.npy"],
    "audit: no such file": ["audit", "nowhere.py"],
    "audit: does not import": ["audit", "broken.py"],
    "audit: no rule in it": ["audit", "bare.py"],
    "audit: unknown scheme": ["audit", "scheme.py"],
    "audit: too large": ["audit", "mine.py", "--n", "12"],
    "decode: a rule outside its proof": ["decode", "a", "--rule", "kseq", "--scheme", "greedy"],
    "compare: a per-pair rule": ["compare", "--rules", "transport"],
    "compare: no such pair": ["compare", "--pair", "nobody"],
    "compare: no tree": ["compare", "--tree", "ring:3"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_wrong_input_is_one_line_and_exit_code_2(arguments, folder, capsys):
    before = sorted(folder.rglob("*"))
    written = ["--json", "result.json"] if arguments and arguments[0] in commands() else []
    assert main([*arguments, *written]) == 2
    out, err = capsys.readouterr()
    print(err)
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("specjax: error: ")
    assert len(err) > 30
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("path", [".", "p.npy/result.json"])
def test_a_result_that_cannot_be_written_is_refused_before_the_work(path, folder, capsys):
    assert main(["rules", "--json", path]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [("mine.py", 0, "ok"), ("wrong.py", 1, "no law: it does not sum to 1")],
)
def test_a_rule_in_any_file_is_audited(file, code, words, folder):
    assert main(["audit", file, "--n", "2", "--json", "deep/rows.json"]) == code
    (row,) = json.loads((folder / "deep" / "rows.json").read_text())
    assert list(row) == ["rule", "scheme", "n", "tv", "acceptance", "optimum", "verdict", "scope"]
    assert (row["rule"], row["scheme"], row["n"]) == (file.removesuffix(".py"), "iid", 2)
    assert row["verdict"].startswith(words)


def test_a_law_slightly_off_is_renormalised_with_a_note(folder, capsys):
    np.save("off.npy", [0.5, 0.3, 0.2005])
    assert main(bound("off.npy")) == 0
    assert "note: off.npy sums to 1.0005: renormalised" in capsys.readouterr().err


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    path.write_text("old")
    monkeypatch.setattr(
        whole_files.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full"))
    )
    with pytest.raises(OSError, match="disk full"):
        whole_files.write_json(path, {"new": float("nan")})
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]
    assert path.read_text() == "old"


def test_interrupted(monkeypatch, capsys):
    from experiments import rules

    monkeypatch.setattr(rules, "run", lambda config: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(["rules"]) == 130
    assert capsys.readouterr().err == "specjax: interrupted\n"


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out and text for name, text in commands().items())


def test_it_starts_as_a_module():
    result = subprocess.run(
        [sys.executable, "-m", "experiments", "divine"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["bound", "rules"])
def test_the_pages_show_the_help_that_a_command_prints(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    printed = capsys.readouterr().out.strip()
    assert usage(name) == printed
    assert printed.startswith(f"usage: specjax {name} ")


def test_programs_are_kept_where_the_user_says_or_in_the_users_cache(monkeypatch, tmp_path):
    held = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        for named, kept in (("mine", "mine"), (None, str(tmp_path / "specjax" / "jax"))):
            jax.config.update("jax_compilation_cache_dir", named)
            assert main(["rules"]) == 0
            assert jax.config.jax_compilation_cache_dir == kept
    finally:
        jax.config.update("jax_compilation_cache_dir", held)
