"""The tool that one would use instead: transformers, with the same weights out of folders.

This module needs the packages `torch` and `transformers`: `make bench-decode` has an environment
with both.
"""

import os
from pathlib import Path

import torch
import transformers


class Peer:
    """A target and an assistant that decode greedily, with no end but the number of tokens."""

    def __init__(self, target: Path, drafts: dict[str, Path]):
        torch.set_num_threads(os.cpu_count() or 1)
        transformers.logging.set_verbosity_error()
        self.target = _model(target)
        self.drafts = {name: _model(path) for name, path in drafts.items()}
        self.calls = 0
        self.target.register_forward_hook(self._count)

    def decode(
        self, prompt: list[int], tokens: int, draft: str | None = None, each: int = 0
    ) -> list[int]:
        """The tokens after a prompt; with a draft model, `each` drafts a call, without stop."""
        self.calls = 0
        ids = torch.tensor([prompt])
        assistant = None if draft is None else self.drafts[draft]
        if assistant is not None:
            settings = assistant.generation_config
            settings.num_assistant_tokens = each
            settings.num_assistant_tokens_schedule = "constant"
            settings.assistant_confidence_threshold = 0.0
        with torch.inference_mode():
            out = self.target.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                assistant_model=assistant,
                max_new_tokens=tokens,
                do_sample=False,
            )
        said: list[int] = out[0, len(prompt) :].tolist()
        return said

    def _count(self, *_: object) -> None:
        self.calls += 1


def _model(path: Path) -> "transformers.PreTrainedModel":
    model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model.eval()
