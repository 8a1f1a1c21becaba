"""Models in Hugging Face folders: their logits are those of transformers, and what is broken is
refused by the name of its file.
"""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.flax import load_file, save_file

from specjax import trees
from specjax.models import folder, prefill, written_folder
from specjax.models.architectures import _layout, llama
from specjax.models.config import Config
from specjax.models.transformer import Transformer
from tests.helpers.places import DATA

FOLDERS = sorted((DATA / "folders").iterdir())
WITH_ANGLES = [path for path in FOLDERS if path.name not in ("gpt2", "opt")]
arrays_before = folder._arrays
by_name = pytest.mark.parametrize("path", FOLDERS, ids=lambda path: path.name)


SHARED = ({"sliding_window": 5}, {"query_pre_attn_scalar": 3})
CAPS = ({"attn_logit_softcapping": 9.0}, {"final_logit_softcapping": None})
KINDS = ({"layer_types": ["full_attention"] * 2},)
OF_GEMMA = {"gemma2": SHARED + CAPS + KINDS, "gemma3_text": SHARED + KINDS}


@pytest.fixture
def copied(tmp_path):
    """A folder of one's own: a copy of the tiny Llama."""
    return shutil.copytree(DATA / "folders" / "llama", tmp_path / "mine")


def largest_error(path) -> float:
    loaded = folder.load(path)
    with np.load(path / "logits.npz") as stored:
        found = loaded.model.forward(loaded.params, jnp.asarray(stored["ids"])[None])[0]
        return float(np.abs(found - stored["logits"][:, : loaded.model.vocabulary]).max())


@by_name
def test_logits_are_those_of_transformers(path):
    """Over 200 positions, three times the length before the stretch of Llama 3.1."""
    error = largest_error(path)
    print(f"{path.name}: largest difference {error:.1e}")
    assert error < 1e-4


@by_name
def test_every_weight_and_field_counts(path, tmp_path):
    """Planted: each array is another, or a field that the family reads."""
    weights = load_file(path / "model.safetensors")
    mine = shutil.copytree(path, tmp_path / "mine")
    for name, array in weights.items():
        save_file(weights | {name: array * 1.3 + 0.1}, mine / "model.safetensors")
        # without angles, a bias of the keys adds the same to all scores of a query
        counts = path.name != "opt" or not name.endswith("k_proj.bias")
        assert (largest_error(mine) > 1e-3) == counts, name
    shutil.copy(path / "model.safetensors", mine)
    fields = json.loads((path / "config.json").read_text())
    rope = fields.get("rope_parameters", {})
    parts = rope if "full_attention" in rope else {None: rope} if rope else {}
    turns = [{part: dict(held, rope_theta=7.0)} for part, held in parts.items()]
    planted = [{"rope_parameters": turn.get(None, rope | turn)} for turn in turns]
    planted += [{eps: 0.5} for eps in ("rms_norm_eps", "layer_norm_epsilon") if eps in fields]
    for changed in (*planted, *OF_GEMMA.get(path.name, ())):
        (mine / "config.json").write_text(json.dumps(fields | changed))
        assert largest_error(mine) > 1e-3, changed


def older(fields):
    """The fields as files had them before `rope_parameters` and `layer_types`."""
    rope, kinds = fields.pop("rope_parameters"), fields.pop("layer_types", None)
    if "full_attention" in rope:
        fields["rope_theta"] = rope["full_attention"]["rope_theta"]
        fields["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        fields["sliding_window_pattern"] = len(kinds)
        if rope["full_attention"]["rope_type"] == "linear":
            fields["rope_scaling"] = rope["full_attention"]
    else:
        fields["rope_theta"] = rope.pop("rope_theta")
    if rope.get("rope_type") == "llama3":
        fields["rope_scaling"] = {"type": rope.pop("rope_type"), **rope}
    return fields


@pytest.mark.parametrize("path", WITH_ANGLES, ids=lambda path: path.name)
def test_older_files_say_the_same(path, tmp_path):
    """Most checkpoints were written before transformers 5 moved some fields."""
    mine = shutil.copytree(path, tmp_path / "mine")
    fields = older(json.loads((path / "config.json").read_text()))
    (mine / "config.json").write_text(json.dumps(fields))
    assert folder.load(mine).model == folder.load(path).model


@pytest.mark.parametrize("name", ["gpt2", "opt", "llama"])
def test_names_of_a_file_without_a_head_are_understood(name, tmp_path):
    """Older checkpoints hold the inner model alone: `h.0.` for `transformer.h.0.`."""
    mine = shutil.copytree(DATA / "folders" / name, tmp_path / "mine")
    held = load_file(mine / "model.safetensors")
    bare = {key.removeprefix("transformer.").removeprefix("model."): held[key] for key in held}
    assert bare.keys() != held.keys()
    save_file(bare, mine / "model.safetensors")
    assert largest_error(mine) < 1e-4


def test_padded_rows_are_cut_and_both_files_name_ends():
    loaded = folder.load(DATA / "folders" / "qwen2")
    assert loaded.model.vocabulary == len(loaded.tokenizer.tokens()) == 61
    assert loaded.eos == (1, 0)
    assert loaded.tokenizer.decode(loaded.tokenizer.encode("TO BE OR NOT")) == "TO BE OR NOT"


def test_shards_are_one_file(copied):
    weights = load_file(copied / "model.safetensors")
    parts = {"a.safetensors": {}, "b.safetensors": {}}
    for name, array in weights.items():
        parts["a.safetensors" if "layers.0" in name else "b.safetensors"][name] = array
    for file, held in parts.items():
        save_file(held, copied / file)
    where = {name: file for file, held in parts.items() for name in held}
    (copied / folder.INDEX).write_text(json.dumps({"weight_map": where}))
    whole = folder.load(copied)
    (copied / "model.safetensors").unlink()
    assert jax.tree.all(jax.tree.map(jnp.array_equal, folder.load(copied).params, whole.params))
    (copied / "b.safetensors").unlink()
    with pytest.raises(ValueError, match=r"b.safetensors: no such file; .*index.json names it"):
        folder.load(copied)


def test_loading_shards_holds_no_second_copy(tmp_path, monkeypatch):
    """Arrays that live whenever a weight is laid out: those laid out before, and a few more."""
    config = Config(vocabulary=61, width=64, layers=12, heads=4, kv_heads=2, hidden=128)
    params = Transformer(config).new_params(jax.random.key(0))
    other = folder.load(DATA / "folders" / "llama")
    written_folder.write(tmp_path, config, params, other.tokenizer)
    del params, other
    weights = load_file(tmp_path / "model.safetensors")
    for index, name in enumerate(weights):
        save_file({name: weights[name]}, tmp_path / f"{index}.safetensors")
    where = {name: f"{index}.safetensors" for index, name in enumerate(weights)}
    (tmp_path / folder.INDEX).write_text(json.dumps({"weight_map": where}))
    (tmp_path / "model.safetensors").unlink()
    whole = sum(array.nbytes for array in weights.values())
    largest = max(array.nbytes for array in weights.values())
    del weights
    before = held_bytes()
    seen = []

    def laid(path, array):
        seen.append(held_bytes() - before)
        return _layout.laid(path, array)

    monkeypatch.setattr(llama, "laid", laid)
    loaded = folder.load(tmp_path)
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(loaded.params)) == whole
    print(f"at most {max(seen) / whole:.2f} times the weights")
    assert max(seen) <= whole + 3 * largest < 1.2 * whole
    monkeypatch.setattr(folder, "_arrays", lambda *asked: iter([*arrays_before(*asked)]))
    folder.load(tmp_path)
    assert max(seen) > 1.5 * whole, "planted: all arrays are read before the first is laid out"


def held_bytes() -> int:
    return sum(array.nbytes for array in jax.live_arrays())


def test_weights_in_bfloat16_stay_so_and_logits_are_float32(copied):
    weights = load_file(copied / "model.safetensors")
    save_file(
        {name: array.astype(jnp.bfloat16) for name, array in weights.items()},
        copied / "model.safetensors",
    )
    loaded = folder.load(copied)
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded.params)} == {jnp.dtype(jnp.bfloat16)}
    logits = loaded.model.forward(loaded.params, jnp.zeros((1, 3), int))
    assert logits.dtype == jnp.float32
    rounded = {
        name: array.astype(jnp.bfloat16).astype(jnp.float32) for name, array in weights.items()
    }
    save_file(rounded, copied / "model.safetensors")
    exact = folder.load(copied)
    same = exact.model.forward(exact.params, jnp.zeros((1, 3), int))
    np.testing.assert_allclose(logits, same, atol=1e-4)


def broken_field(path):
    fields = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(fields | {"hidden_act": "gelu"}))


def unknown_family(path):
    fields = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(fields | {"model_type": "mamba"}))


def unknown_rope(path):
    fields = json.loads((path / "config.json").read_text())
    changed = {"rope_parameters": {"rope_type": "yarn"}}
    (path / "config.json").write_text(json.dumps(fields | changed))


def truncated(path):
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])


def weight_missing(path):
    weights = load_file(path / "model.safetensors")
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, path / "model.safetensors")


def weight_of_another_shape(path):
    weights = load_file(path / "model.safetensors")
    save_file(weights | {"model.norm.weight": jnp.ones(7)}, path / "model.safetensors")


def weight_not_finite(path):
    weights = load_file(path / "model.safetensors")
    save_file(weights | {"model.norm.weight": jnp.full(32, jnp.nan)}, path / "model.safetensors")


BROKEN = {
    broken_field: r"config.json: hidden_act = 'gelu' is not supported, expected 'silu'",
    unknown_family: r"config.json: unknown model_type 'mamba': expected one of gemma2",
    unknown_rope: r"config.json: rope_type = 'yarn' is not supported, expected 'default' or",
    truncated: r"model.safetensors: no safetensors",
    weight_missing: r"mine: the weight model.layers.1.mlp.up_proj.weight is missing",
    weight_of_another_shape: r"mine: the weight model.norm.weight has shape \(7,\) as it is laid",
    weight_not_finite: r"mine: the weight model.norm.weight holds a number that is not finite",
    lambda path: (path / "config.json").unlink(): r"config.json: no such file",
    lambda path: (path / "config.json").write_text("{"): r"config.json: no JSON",
    lambda path: (path / "tokenizer.json").unlink(): r"tokenizer.json: no such file",
    lambda path: (path / "tokenizer.json").write_text("{}"): r"tokenizer.json: no tokenizer",
    lambda path: (path / "model.safetensors").unlink(): r"mine: no weights here; expected model",
}


@pytest.mark.parametrize(("plant", "words"), BROKEN.items())
def test_what_is_broken_is_refused_by_name(plant, words, copied):
    plant(copied)
    with pytest.raises(ValueError, match=words):
        folder.load(copied)


def kept_rows(cache):
    """Keys and values of the committed rows, of all blocks."""
    return np.stack([*cache.keys, *cache.values])[:, :, : int(cache.length)]


@by_name
def test_a_committed_path_is_what_its_text_would_have_left(path):
    """Trees and paths are drawn; planted: the first token of the path is another."""
    loaded, rng = folder.load(path), np.random.default_rng(0)
    model, size = loaded.model, 12
    score = jax.jit(model.score)
    prompt = jnp.array(rng.integers(0, model.vocabulary, 20))
    before = prefill(model, loaded.params, prompt, jnp.int32(20), 64).cache
    for _ in range(3):
        parents = [-1, *(int(rng.integers(0, i)) for i in range(1, size))]
        tree = dataclasses.replace(trees.chain(size - 1), parents=jnp.array(parents))
        depth = [0]
        for parent in parents[1:]:
            depth.append(depth[parent] + 1)
        tokens = rng.integers(0, model.vocabulary, size)
        tokens[0] = prompt[-1]
        tree = dataclasses.replace(tree, depth=jnp.array(depth))
        scored = score(loaded.params, before, jnp.array(tokens), tree).cache
        steps = [int(rng.integers(size))]
        while steps[0]:
            steps.insert(0, parents[steps[0]])
        after = model.commit(scored, jnp.array(steps + [-1] * (size - len(steps))))
        text = np.concatenate([prompt[:-1], tokens[steps], [0]])
        for changed, same in ((0, True), (1, False)):
            text[19] = (text[19] + changed) % model.vocabulary
            padded = jnp.array(np.pad(text, (0, 40 - len(text))))
            rebuilt = prefill(model, loaded.params, padded, jnp.int32(len(text)), 64).cache
            error = np.abs(kept_rows(after) - kept_rows(rebuilt)).max()
            assert (error < 1e-4) == same
