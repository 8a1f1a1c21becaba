"""Pairs out of local folders: whose tokens agree, which layers draft, and what rows call them."""

import json
import shutil

import jax
import jax.numpy as jnp
import pyarrow.parquet
import pytest
from safetensors.flax import load_file, save_file

import specjax
from experiments.__main__ import main
from specjax import decode
from specjax.models import pairs
from specjax.numerics import Sampling
from specjax.trees import chain, full
from tests.helpers.places import DATA

FOLDERS = sorted((DATA / "folders").iterdir())
SOME = [path for path in FOLDERS if path.name in {"gemma2", "gpt2", "llama", "qwen3"}]
REST = [pytest.param(path, marks=pytest.mark.thorough) for path in FOLDERS if path not in SOME]
TARGET, DRAFT = DATA / "folders" / "qwen3", DATA / "folders" / "llama"


def test_families_with_one_tokenizer_work_together():
    pair = pairs.load(f"{TARGET}::{DRAFT}")
    assert pair.target.vocabulary == pair.draft.vocabulary == 61
    assert pair.eos == (1, 0)
    out = specjax.generate(
        jax.random.key(0), pair, "TO BE OR NOT", specjax.rules.KSeq(), full(2, 2), tokens=12
    )
    assert len(out.text) == len(out.tokens) == 12 or out.tokens[-1] in pair.eos
    assert 1 <= out.steps <= len(out.tokens)


@pytest.mark.parametrize("path", SOME + REST, ids=lambda path: path.name)
def test_a_decode_with_a_cache_says_what_whole_forwards_say(path):
    """Greedy, 60 tokens: each is the likeliest after all before it, but for near ties."""
    pair = pairs.load(f"{path}::exit:1")._replace(eos=-1)
    out = specjax.generate(
        jax.random.key(0),
        pair,
        "TO BE OR NOT",
        specjax.rules.KSeq(),
        full(2, 1),
        tokens=60,
        sampling=Sampling(temperature=0),
    )
    prompt = pair.tokenizer.encode("TO BE OR NOT")
    text = jnp.array([*prompt, *out.tokens])
    logits = pair.target.forward(pair.target_params, text[None])[0]
    after = logits[len(prompt) - 1 : -1]
    assert len(out.tokens) == 60
    assert jnp.all(after.max(-1) - after[jnp.arange(60), jnp.array(out.tokens)] < 1e-4)


def test_a_draft_that_is_the_target_is_always_accepted():
    pair = pairs.load(f"{TARGET}::layers:0-1")
    out = specjax.generate(
        jax.random.key(1), pair, "TO BE", specjax.rules.Single(), specjax.trees.chain(3), tokens=32
    )
    assert out.steps == -(-len(out.tokens) // 4)


@pytest.mark.parametrize(
    ("draft", "attention", "mlp"),
    [
        ("exit:1", (0,), (0,)),
        ("skip:0", (1,), (1,)),
        ("no_mlp:1", (0, 1), (0,)),
        ("no_attention:0", (1,), (0, 1)),
        ("groups:2", (0, 1), (0, 1)),
        ("unified:2", (0, 1), (0, 1)),
    ],
)
def test_parts_of_the_target_draft_on_its_cache(draft, attention, mlp):
    pair = pairs.load(f"{TARGET}::{draft}")
    groups = pair.draft.model.plan.groups
    assert sum((group.attention for group in groups), ()) == attention
    assert sum((group.mlp for group in groups), ()) == mlp
    assert pair.draft_params is pair.target_params
    own = pairs.load(f"{TARGET}::own:{draft}")
    assert own.draft == pair.draft.model
    assert own.draft_params is own.target_params


def test_layers_of_the_target_draft_in_another_order():
    pair = pairs.load(f"{TARGET}::layers:1,0")
    assert pair.draft.config.layers == 2
    for place, layer in enumerate((1, 0)):
        ours, theirs = pair.draft_params["blocks"][place], pair.target_params["blocks"][layer]
        assert jax.tree.all(jax.tree.map(jnp.array_equal, ours, theirs))


@pytest.mark.parametrize(
    ("draft", "error"),
    [
        ("own:layers:0", "expected a draft on the target's cache, such as skip:3"),
        ("groups:0", "expected groups of at least 1 layer, got 0"),
        ("unified:x", "expected a number such as 1.5, got x"),
        ("unified:0.5", "expected a number of at least 1, got 0.5"),
    ],
)
def test_drafts_that_there_are_not_are_refused(draft, error):
    with pytest.raises(ValueError, match=f"draft {draft}: {error}"):
        pairs.load(f"{TARGET}::{draft}")


@pytest.mark.parametrize(
    ("draft", "local"), [("layers:0", (0,)), ("layers:1", ()), ("layers:1,0", (1,))]
)
def test_a_local_layer_stays_local(draft, local):
    pair = pairs.load(f"{DATA / 'folders' / 'gemma3_text'}::{draft}")
    assert pair.target.config.local_layers == (0,)
    assert pair.draft.config.local_layers == local


@pytest.mark.parametrize("draft", ["exit:3", "exit:0", "skip:0,1", "skip:5", "layers:0-2"])
def test_layers_that_there_are_not_are_refused(draft):
    with pytest.raises(ValueError, match=rf"draft {draft}: the target has the layers 0 to 1"):
        pairs.load(f"{TARGET}::{draft}")


def test_no_numbers_are_refused():
    with pytest.raises(ValueError, match=r"draft skip:-: expected numbers such as 3,7 or 0-5"):
        pairs.load(f"{TARGET}::skip:-")


def test_other_tokens_are_refused_with_the_first_that_differs(tmp_path):
    other = shutil.copytree(DRAFT, tmp_path / "other")
    held = json.loads((other / "tokenizer.json").read_text())
    vocabulary = held["model"]["vocab"]
    vocabulary["A"], vocabulary["B"] = vocabulary["B"], vocabulary["A"]
    (other / "tokenizer.json").write_text(json.dumps(held))
    with pytest.raises(
        ValueError, match=r"its tokens are not the target's: token 35 is 'B', and 'A'"
    ):
        pairs.load(f"{TARGET}::{other}")


def test_rows_name_folders_and_weights_and_no_path(tmp_path, capsys):
    moved = shutil.copytree(TARGET, tmp_path / "elsewhere" / "qwen3")
    command = ["compare", "--draft", "exit:1", "--rules", "kseq", "--n", "2", "--contexts", "24"]
    command += ["--figure", str(tmp_path / "figure.png")]
    found = []
    for target in (TARGET, moved):
        file = tmp_path / "rows.json"
        assert main([*command, "--target", str(target), "--json", str(file)]) == 0
        found.append(json.loads(file.read_text()))
        assert str(target) not in file.read_text()
    assert {row["pair"] for content in found for row in content["rows"]} == {
        found[0]["provenance"]["config"]["pair"]
    }
    assert found[0]["rows"][0]["pair"].startswith("qwen3-")
    assert found[0]["rows"][0]["pair"].endswith("+exit:1")
    assert "qwen3-" in capsys.readouterr().out


def test_a_sweep_takes_folders(tmp_path):
    grid = tmp_path / "grid.toml"
    grid.write_text(
        f'[[grid]]\npair = ["{TARGET}::exit:1"]\nrule = ["kseq"]\nn = [2]\ncontexts = 24\n'
    )
    rows = tmp_path / "rows.parquet"
    assert main(["sweep", str(grid), "--out", str(tmp_path / "cells")]) == 0
    assert main(["merge", str(tmp_path / "cells"), "--out", str(rows)]) == 0
    (row,) = pyarrow.parquet.read_table(rows).to_pylist()
    assert row["pair"].startswith("qwen3-")
    assert str(TARGET).encode() not in rows.read_bytes()
    grid.write_text('[[grid]]\npair = ["nowhere::exit:1"]\nrule = ["kseq"]\n')
    assert main(["sweep", str(grid), "--out", str(tmp_path / "others")]) == 2


def test_a_pair_out_of_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("from specjax.models.pairs import markov\n\nload = markov.load\n")
    pair = pairs.load(str(file))
    assert pair.target.vocabulary == 26
    assert pair.name.startswith("mine-")
    file.write_text("")
    assert pairs.label(str(file)) != pair.name  # so that a sweep does not take old cells for it
    with pytest.raises(ValueError, match=r"mine.py: expected a function load\(\) -> Pair"):
        pairs.load(str(file))


def test_one_folder_alone_is_one_line(capsys):
    assert main(["decode", "TO BE", "--target", str(TARGET)]) == 2
    assert "expected both --target and --draft" in capsys.readouterr().err


COMMANDS = (
    "decode TOBE --tokens 8 --rule kseq --tree full:2,1",
    "best_draft --n 2 --temperature 1 --top-k 4 --budget 0.1 --contexts 8",
    "tree_budget --methods RSD-S --budget 4 --depth 4 --prompts 4 --calls 4",
)


@pytest.mark.parametrize(
    "command",
    [COMMANDS[0], *(pytest.param(line, marks=pytest.mark.thorough) for line in COMMANDS[1:])],
    ids=lambda command: command.split()[0],
)
def test_every_command_that_takes_a_pair_takes_folders(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*command.split(), "--target", str(TARGET), "--draft", str(DRAFT)]) == 0


KNOWN = jnp.array([0, 1, 4, 9, 16, 25, 36, 49, 60])


def trimmed(folder, changed):
    """A copy of the tiny Llama whose head knows KNOWN only."""
    shutil.copytree(DRAFT, folder)
    fields = json.loads((folder / "config.json").read_text())
    fields |= {"draft_vocab_size": len(KNOWN), "tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(fields))
    weights = load_file(folder / "model.safetensors")
    head = weights["model.embed_tokens.weight"][KNOWN]
    save_file(weights | {"lm_head.weight": head} | changed, folder / "model.safetensors")


@pytest.mark.parametrize("told", ["d2t", "draft_token_ids"])
def test_a_head_of_some_tokens_is_lifted_to_all(told, tmp_path):
    """Its logits are those of the whole head at the tokens that it knows, and -inf elsewhere."""
    ids = KNOWN if told == "draft_token_ids" else KNOWN - jnp.arange(len(KNOWN))
    trimmed(tmp_path / "small", {told: ids})
    small = pairs.load(f"{TARGET}::{tmp_path / 'small'}")
    whole = pairs.load(f"{TARGET}::{DRAFT}")
    text = jnp.array(small.tokenizer.encode("TO BE OR NOT"))

    def logits(pair):
        cache = pair.draft.init(len(text), 0)
        return pair.draft.score(pair.draft_params, cache, text, chain(len(text) - 1)).logits

    found, right = logits(small), logits(whole)
    assert found.shape == right.shape
    assert jnp.array_equal(jnp.isfinite(found[0]), jnp.isin(jnp.arange(61), KNOWN))
    assert jnp.abs(found - right)[:, KNOWN].max() < 1e-5
    shifted = jnp.abs(jnp.roll(found, 1, 1) - right)[:, KNOWN + 1 - (KNOWN == 60)]
    assert shifted.max() > 1e-2, "planted: every id is another"
    out = specjax.generate(jax.random.key(0), small, "TO BE", specjax.rules.KSeq(), tokens=12)
    assert out.steps <= len(out.tokens)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "draft_vocab_size = 9 needs a weight d2t or draft_token_ids"),
        ({"draft_token_ids": KNOWN.at[0].set(1)}, "expected 9 different tokens below 61"),
        ({"draft_token_ids": KNOWN + 1}, "expected 9 different tokens below 61"),
    ],
)
def test_a_map_that_is_none_is_refused(changed, words, tmp_path):
    trimmed(tmp_path / "small", changed)
    with pytest.raises(ValueError, match=words):
        pairs.load(f"{TARGET}::{tmp_path / 'small'}")


def test_a_head_of_some_tokens_is_no_target(tmp_path):
    trimmed(tmp_path / "small", {"draft_token_ids": KNOWN})
    with pytest.raises(ValueError, match="knows some tokens only; it can be a draft"):
        pairs.load(f"{tmp_path / 'small'}::{DRAFT}")


@pytest.mark.parametrize(
    "family",
    ["gpt2", *(pytest.param(name, marks=pytest.mark.thorough) for name in ("opt", "llama"))],
)
def test_a_text_may_reach_the_last_position_and_no_further(family):
    """Trees that hang beyond the last position do no harm; the text is that of plain decoding."""
    path = DATA / "folders" / family
    pair = pairs.load(f"{path}::exit:1")._replace(eos=-1)
    longest = pair.target.config.longest
    text = "TO BE OR NOT " * (longest // 13)
    asked = longest - len(pair.tokenizer.encode(text))
    assert 0 < asked < 50
    texts = [
        specjax.generate(
            jax.random.key(0), pair, text, specjax.rules.KSeq(), tree, asked, Sampling(0)
        ).tokens
        for tree in ("none", "chain:4")
    ]
    assert texts[0] == texts[1]
    assert len(texts[0]) == asked
    with pytest.raises(ValueError, match=f"{asked + 1} more are too long: the models take"):
        specjax.generate(jax.random.key(0), pair, text, tokens=asked + 1)


def test_a_budget_beyond_the_last_position_ends_there():
    """Whoever asks no one before."""
    pair = pairs.load(f"{DATA / 'folders' / 'gpt2'}::exit:1")._replace(eos=-1)
    tree = chain(2)
    prompts, lengths = decode.padded([[5] * 250])
    found = decode.decode(
        decode.decoder(pair, tree, "iid"),
        decode.verifier(specjax.rules.Single(), "iid", tree),
        jax.random.key(0),
        decode.Params(pair.target_params, pair.draft_params),
        prompts[0],
        lengths[0],
        20,
    )
    assert (int(found.length), int(found.status)) == (256, decode.FINE)
