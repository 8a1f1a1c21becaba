"""Models in GGUF files: shapes, weights and texts are those of the folder that a file was made of,
and what is broken is refused by the name of its file.
"""

import dataclasses
import importlib.util
import json
from pathlib import Path

import gguf
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tokenizers

from experiments.__main__ import main
from specjax.models import _gguf_tokenizers, folder, gguf_file, pairs, texts
from specjax.models._gguf_tokenizers import SPLITS
from specjax.models.architectures._fields import Fields
from specjax.models.pairs import gemma3_270m
from tests.helpers import gguf_files
from tests.helpers.places import DATA

FOLDERS = {path.name: path for path in sorted((DATA / "folders").iterdir())}
NAMES = [name for name in FOLDERS if name != "opt"]
needs_gemma = pytest.mark.skipif(
    importlib.util.find_spec(gemma3_270m.CARRIER) is None,
    reason="the weights are not installed: make gemma",
)


@pytest.fixture
def file(tmp_path):
    """The tiny Llama as a file."""
    gguf_files.write(FOLDERS["llama"], tmp_path / "tiny.gguf")
    return tmp_path / "tiny.gguf"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_holds_what_its_folder_holds(name, tmp_path):
    """The shape and every weight; a file of Gemma cannot say the scale of the queries, and files
    of Gemma 3 not which of two layers is local.
    """
    gguf_files.write(FOLDERS[name], tmp_path / "x.gguf")
    held, other = gguf_file.load(tmp_path / "x.gguf"), folder.load(FOLDERS[name])
    mine, theirs = held.model.config, other.model.config
    if name.startswith("gemma"):
        assert mine.query_scale == 16**-0.5 != theirs.query_scale
        theirs = dataclasses.replace(theirs, query_scale=mine.query_scale)
    if name.startswith("gemma3"):
        assert mine.local_layers == (0, 1)
        theirs = dataclasses.replace(theirs, local_layers=(0, 1))
    if mine.stretch:
        np.testing.assert_allclose(mine.stretch, theirs.stretch, rtol=1e-6)
        theirs = dataclasses.replace(theirs, stretch=mine.stretch)
    theirs = dataclasses.replace(theirs, norm_eps=mine.norm_eps, head=mine.head)
    assert mine.norm_eps == pytest.approx(other.model.config.norm_eps, rel=1e-6)
    assert mine == theirs
    assert mine.head_width == other.model.config.head_width
    assert jax.tree.structure(held.params) == jax.tree.structure(other.params)
    jax.tree.map(np.testing.assert_array_equal, held.params, other.params)
    assert held.eos == (1,)
    assert held.tokenizer.encode("TO BE, OR NOT") == other.tokenizer.encode("TO BE, OR NOT")
    assert held.tokenizer.decode(held.tokenizer.encode("TO BE")) == "TO BE"


def test_planted_a_file_whose_pairs_are_not_turned_back(file, monkeypatch):
    """Queries and keys of Llama lie in pairs; read as they are, the weights are others."""
    monkeypatch.setattr(gguf_file, "PAIRED", ())
    held, other = gguf_file.load(file), folder.load(FOLDERS["llama"])
    assert not jnp.allclose(
        held.params["blocks"][0]["qkv"]["kernel"], other.params["blocks"][0]["qkv"]["kernel"]
    )


def test_commands_take_a_file(file, tmp_path, capsys):
    arguments = ["--target", str(file), "--draft", "exit:1", "--json", str(tmp_path / "x.json")]
    assert main(["decode", "TO BE", "--tokens", "8", *arguments]) == 0
    out = tmp_path / "logits"
    assert main(["logits", "--target", str(file), "--draft", str(file), "--out", str(out)]) == 0
    assert pairs.label(f"{file}::exit:1").startswith("tiny-")
    assert pairs.load(f"{file}::{file}").draft.vocabulary == 61


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rope.scaling.type": "yarn"}, "rope_type = 'yarn' is not supported"),
        ({"rope.dimension_count": 2}, "rope.dimension_count = 2 is not supported"),
        ({"block_count": 3}, "model.layers.2.* is missing"),
        ({"embedding_length": 16}, "has shape"),
    ],
)
def test_a_field_that_is_not_supported_is_named(changed, message, tmp_path):
    file = tmp_path / "x.gguf"
    gguf_files.write(FOLDERS["llama"], file, **changed)
    with pytest.raises(ValueError, match=message) as caught:
        gguf_file.load(file)
    assert str(caught.value).startswith(str(file))


def test_a_family_that_is_not_supported_is_named(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "mamba")
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ValueError, match="mamba"):
        gguf_file.load(tmp_path / "x.gguf")


@pytest.mark.parametrize("kept", [0, 3, 100, 3000, -50_000, -1])
def test_a_file_that_is_cut_short_is_refused(kept, file, capsys):
    whole = file.read_bytes()
    file.write_bytes(whole[:kept])
    assert main(["decode", "TO BE", "--target", str(file), "--draft", "exit:1"]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert str(file) in said[0]


def test_a_file_that_is_not_there_is_refused(tmp_path, capsys):
    assert main(["decode", "x", "--target", f"{tmp_path}/no.gguf", "--draft", "exit:1"]) == 2
    assert "no.gguf: no such file" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("name", SPLITS)
def test_a_tokenizer_of_bytes_has_the_ids_that_it_was_trained_with(name):
    """Trained on a text with the split of that name, described as in a file, read again."""
    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(SPLITS[name])
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()
    )
    text = (texts.DATA / texts.FITTED[0]).read_text()[:4000]
    trained.train_from_iterator([text], trainer)
    model = json.loads(trained.to_str())["model"]
    words = sorted(model["vocab"], key=model["vocab"].get)
    lists = {
        "tokenizer.ggml.tokens": words,
        "tokenizer.ggml.token_type": [1] * len(words),
        "tokenizer.ggml.merges": [" ".join(pair) for pair in model["merges"]],
    }
    fields = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": name}
    read = _gguf_tokenizers.read(Fields(Path("x.gguf"), fields), lists.get)
    more = text + "naïve 東京 1984\t\n  x"
    assert read.encode(more) == trained.encode(more).ids
    assert read.decode(read.encode(more)) == more


def test_the_best_piece_is_joined_first_and_bytes_stand_for_the_rest():
    """As SentencePiece does: `ab` has the best score, so that `abc` falls apart into it and `c`."""
    pieces = {"<unk>": 0.0, "▁": -9.0, "a": -9.0, "b": -9.0, "c": -9.0, "ab": -1.0, "bc": -2.0}
    pieces |= {f"<0x{byte:02X}>": 0.0 for byte in range(256)}
    lists = {
        "tokenizer.ggml.tokens": list(pieces),
        "tokenizer.ggml.scores": list(pieces.values()),
        "tokenizer.ggml.token_type": [2, *[1] * 6, *[6] * 256],
    }
    fields = Fields(Path("x.gguf"), {"tokenizer.ggml.model": "llama"})
    read = _gguf_tokenizers.read(fields, lists.get)
    names = [list(pieces)[index] for index in read.encode("abc é")]
    assert names == ["▁", "ab", "c", "▁", "<0xC3>", "<0xA9>"]
    assert read.decode(read.encode("abc é")) == "abc é"
    other = Fields(Path("x.gguf"), {"tokenizer.ggml.model": "bert"})
    with pytest.raises(ValueError, match=r"x.gguf: tokenizer.ggml.model = 'bert'"):
        _gguf_tokenizers.read(other, lists.get)
    split = Fields(Path("x.gguf"), {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "tekken"})
    lists["tokenizer.ggml.merges"] = []
    with pytest.raises(ValueError, match=r"x.gguf: .*tekken"):
        _gguf_tokenizers.read(split, lists.get)


@needs_gemma
@pytest.mark.gemma
def test_gemma_agrees_with_transformers():
    """Ids, argmax and logits over 600 positions, more than the window of its local layers."""
    held = gguf_file.load(gemma3_270m.weights_file())
    with np.load(DATA / "gemma3_270m.npz") as stored:
        text = (texts.DATA / texts.FITTED[0]).read_text()[: stored["letters"]]
        ids = held.tokenizer.encode(text)
        assert ids == stored["ids"].tolist()
        logits = jax.jit(held.model.forward)(held.params, jnp.asarray(ids)[None])[0]
        np.testing.assert_array_equal(logits.argmax(-1), stored["argmax"])
        np.testing.assert_allclose(logits[:, stored["columns"]], stored["logits"], atol=5e-4)


@needs_gemma
@pytest.mark.gemma
def test_gemma_answers():
    pair = pairs.load("gemma3_270m")
    assert pair.target.vocabulary == pair.draft.vocabulary == 262144
    odd = "naïve 東京 1984\t\n  x   y\n\n\nz"
    assert pair.tokenizer.decode(pair.tokenizer.encode(odd)) == "<bos>" + odd
