"""A rule or verifier outside its proof is refused with one line, the same wherever it is asked
for.
"""

import pytest

from experiments.__main__ import main

ONE_BY_ONE = (
    "expected one that takes its drafts one by one: in this tree their number depends on them"
)
REFUSED = [
    ("kseq", "beam:2x2", f"rule kseq: {ONE_BY_ONE}"),
    ("optimal", "sampled_best_first:4x2x2", f"rule optimal: {ONE_BY_ONE}"),
    ("kseq", "best_first:4x2x2", "rule kseq: its proof covers the schemes iid, not top_n"),
    ("single", "paths:2x2", "rule single: takes n from 1 to 1, got n = 2"),
    ("block", "beam:2x2", f"verifier block: {ONE_BY_ONE}"),
    ("block", "star:2", "verifier block: takes one path, got nodes with 2 children"),
]


@pytest.mark.parametrize(("name", "tree", "reason"), REFUSED)
def test_audit_compare_and_decode_give_one_reason(name, tree, reason, capsys):
    audited = name if name == "block" else f"top_down:{name}"
    for arguments in (
        ["audit", audited],
        ["compare", "--rules", name],
        ["decode", "a text", "--rule", name],
    ):
        assert main([*arguments, "--tree", tree]) == 2
        assert capsys.readouterr() == ("", f"specjax: error: {reason}; it fits none of {tree}\n")
