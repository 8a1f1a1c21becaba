"""A pair out of two local checkpoints, or out of one: then some of its layers are the draft."""

import functools
import hashlib
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from specjax.models import drafts, pairs, texts
from specjax.models._base import LanguageModel, Pair
from specjax.models.lifted import Lifted


def load(target: str, draft: str) -> Pair:
    """The pair of a target's checkpoint and a draft's.

    Args:
      target: a Hugging Face folder, or a GGUF file.
      draft: another one with the same tokens; or a kind of draft in `specjax.models.drafts`.

    Returns:
      The pair, with the texts that specjax carries as its prompts.

    Raises:
      ValueError: a package is missing, a folder is no model, or the tokens differ.
    """
    try:
        from specjax.models import local  # needs packages that only checkpoints need
    except ImportError as error:
        raise ValueError(f"{target}: {error}; run `pip install 'specjax[checkpoints]'`") from None
    held = local.load(Path(target))
    if isinstance(held.model, Lifted):
        raise ValueError(f"{target}: its head knows some tokens only; it can be a draft")
    pair = Pair(
        target=held.model,
        target_params=held.params,
        draft=held.model,
        draft_params=held.params,
        tokenizer=held.tokenizer,
        eos=held.eos or -1,
        prompts=texts.PROMPTS,
        name=label(target, draft),
    )
    if drafts.named(draft):
        return drafts.load(draft, pair)
    other = local.load(Path(draft))
    _same_tokens(draft, held.tokenizer.tokens(), other.tokenizer.tokens())
    _same_size(draft, held.model, other.model)
    return pair._replace(draft=other.model, draft_params=other.params)


def label(target: str, draft: str) -> str:
    """`TARGET-1a2b3c4d+DRAFT-5e6f7a8b`, each with a hash of its weights, or `+exit:4`."""
    other = draft if drafts.named(draft) else _named(draft)
    return f"{_named(target)}+{other}"


@functools.cache
def _named(name: str) -> str:
    """The name of a folder or file, and a hash of its weights."""
    path = Path(name).resolve()
    if not path.is_file() and not pairs.is_model(path):
        raise ValueError(f"{name}: no such folder or GGUF file")
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return f"{path.stem if path.is_file() else path.name}-{digest.hexdigest()[:8]}"


def _same_tokens(draft: str, ours: Sequence[str | None], theirs: Sequence[str | None]) -> None:
    for index, (one, other) in enumerate(zip_longest(ours, theirs)):
        if one != other:
            raise ValueError(
                f"{draft}: its tokens are not the target's: token {index} is {other!r}, and "
                f"{one!r} there"
            )


def _same_size(draft: str, ours: LanguageModel, theirs: LanguageModel) -> None:
    if ours.vocabulary != theirs.vocabulary:
        raise ValueError(
            f"{draft}: expected logits of {ours.vocabulary} tokens, as the target has, got "
            f"{theirs.vocabulary}"
        )
