"""What README shows is what happens."""

import contextlib
import io
import re

import pytest

from experiments.__main__ import main
from tests.helpers.places import ROOT

README = (ROOT / "README.md").read_text()
QUICKSTART, GENERATE, OWN_RULE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_it_can_be_read_in_five_minutes():
    words = re.findall(r"\S*[A-Za-z0-9]\S*", README)
    print(len(words))
    assert len(words) <= 1200


def test_the_quickstart_prints_the_numbers_it_names():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(QUICKSTART, "quickstart", "exec"), {"__name__": "quickstart"})
    assert len(QUICKSTART.splitlines()) <= 20
    assert printed.getvalue().split() == re.findall(r"# (\d\.\d+):", QUICKSTART)


def test_the_decode_runs_and_calls_the_target_less_often_than_it_emits(capsys):
    exec(compile(GENERATE, "generate", "exec"), {"__name__": "generate"})
    *text, counts = capsys.readouterr().out.splitlines()
    print(*text, counts, sep="\n")
    emitted, calls = map(int, re.findall(r"\d+", counts))
    assert emitted == 64 == len("\n".join(text).encode())
    assert calls < 50


@pytest.mark.short
def test_the_own_rule_passes_the_audit_and_a_broken_one_does_not(tmp_path, capsys):
    assert len(OWN_RULE.splitlines()) <= 15
    path = tmp_path / "last_draft.py"
    path.write_text(OWN_RULE)
    assert main(["audit", str(path), "--n", "2"]) == 0
    path.write_text(OWN_RULE.replace("residual(p, q)", "p"))
    assert main(["audit", str(path), "--n", "2"]) == 1
    assert "from p" in capsys.readouterr().out
