"""The files of logits: a row for what follows each token, as whole forwards say."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import bound, logits
from experiments.__main__ import main
from experiments.inputs import model_logits
from specjax.models import pairs
from tests.helpers.places import DATA

FOLDERS = DATA / "folders"
PAIR = f"{FOLDERS / 'qwen3'}::{FOLDERS / 'llama'}"


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """One text of several pieces, one of a single token."""
    file = tmp_path_factory.mktemp("texts") / "texts.txt"
    file.write_text("TO BE OR NOT TO BE, " * 8 + "\nA\nTHAT IS THE QUESTION\n")
    return file


def test_a_row_follows_each_token_of_all_texts(texts, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["logits", "--prompts", str(texts), "--out", str(out)]
    target, draft = PAIR.split("::")
    assert main([*command, "--target", target, "--draft", draft]) == 0
    assert f"specjax bound --target {out}/target.npy" in capsys.readouterr().out
    told = json.loads((out / "tokens.json").read_text())
    assert [len(text["tokens"]) for text in told["rows"]] == [160, 1, 20]
    assert target not in json.dumps(told["provenance"])
    pair = pairs.load(PAIR)
    models = {"target": (pair.target, pair.target_params), "draft": (pair.draft, pair.draft_params)}
    for name, (model, params) in models.items():
        found = np.load(out / f"{name}.npy")
        assert (found.shape, found.dtype) == ((181, 61), np.float32)
        for text in told["rows"]:
            whole = model.forward(params, jnp.array([text["tokens"]]))[0]
            first = text["first_row"]
            np.testing.assert_allclose(found[first : first + len(whole)], whole, atol=1e-4)


def test_bound_reads_them_and_measures_two_folders_in_one_go(texts, tmp_path):
    files = logits.run(logits.Config(PAIR, texts, tmp_path)).files
    by_files = bound.run(bound.Config(files.target, files.draft, (1, 2)))
    target, draft = map(Path, PAIR.split("::"))
    by_folders = bound.run(bound.Config(target, draft, (1, 2), prompts=texts))
    assert by_files.contexts == by_folders.contexts == files.shape[0]
    np.testing.assert_array_equal(by_files.first_try, by_folders.first_try)
    with pytest.raises(ValueError, match="prompts: they are read by models in folders"):
        bound.run(bound.Config(files.target, files.draft, (1, 2), prompts=texts))


def test_nothing_is_left_where_the_draft_model_fails(texts, tmp_path, monkeypatch):
    """The target's file was written before, and does not take its name."""
    pair = pairs.load("markov")
    broken = pair._replace(draft_params=None)
    monkeypatch.setattr(logits.pairs, "load", lambda name: broken)
    with pytest.raises(Exception):  # noqa: B017 (whatever jax says of it)
        logits.run(logits.Config("markov", texts, tmp_path / "new"))
    assert not list((tmp_path / "new").iterdir())


def test_nothing_is_left_where_a_text_has_no_token(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(model_logits.prompt_files, "read", lambda path: ["A", ""])
    command = ["logits", "--pair", "bytes", "--prompts", "x.txt", "--out", str(tmp_path / "new")]
    assert main(command) == 2
    assert "a prompt has no token" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


PAIR_FILE = """
import numpy as np
from specjax.models import Function, Pair
from specjax.models.pairs.bytes import Bytes


def table(seed):
    return np.random.default_rng(seed).normal(size=(256, {columns}))


def load():
    target, draft = (Function(lambda ids, t=table(s): t[ids], 256) for s in (0, 1))
    return Pair(target, (), draft, (), Bytes(), -1, ("To be", "or not"))
"""


def test_a_function_is_read_and_is_not_decoded(tmp_path, capsys):
    """Planted: a function whose rows are too short."""
    for columns in (256, 255):
        file = tmp_path / f"pair{columns}.py"
        file.write_text(PAIR_FILE.format(columns=columns))
        out = tmp_path / f"out{columns}"
        code = main(["logits", "--pair", str(file), "--out", str(out)])
        assert code == (0 if columns == 256 else 2)
    assert "expected the shape (5, 256), got (5, 255)" in capsys.readouterr().err
    rows = np.load(tmp_path / "out256" / "draft.npy")
    expected = np.random.default_rng(1).normal(size=(256, 256))[list(b"To beor not")]
    np.testing.assert_allclose(rows, expected, rtol=1e-6)
    assert main(["decode", "To", "--pair", str(tmp_path / "pair256.py")]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("specjax: error: a model that is a function has no cache to decode with")
