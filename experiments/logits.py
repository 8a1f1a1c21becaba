"""The logits of a pair's two models over texts, as files that `specjax bound` reads.

OUT/target.npy and OUT/draft.npy are [T, V] in float32: a row for what follows each token of all
texts, one text after another. OUT/tokens.json holds the tokens and the first row of each text.
"""

import dataclasses
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from experiments.cli import whole_files
from experiments.cli.provenance import provenance
from experiments.cli.rows import Record
from experiments.inputs import model_logits
from experiments.inputs.model_logits import Files
from specjax.models import pairs


@dataclasses.dataclass(frozen=True)
class Config:
    """What is read, and where the files go.

    Attributes:
      pair: target and draft model: bytes (embedded), smollm2 (make smollm2), markov, or a Python
        file with `load() -> Pair`.
      prompts: a file of texts in place of the pair's held-out prompts: text, one a line, or .jsonl
        with `prompt`, `turns` or `messages`.
      out: the folder of the three files.
    """

    pair: str = "bytes"
    prompts: Path | None = None
    out: Path = Path("out/logits")


class Written(NamedTuple):
    """The files, and where they come from.

    Attributes:
      files: the two files of logits.
      provenance: the command, its configuration and versions.
    """

    files: Files
    provenance: Record


def run(config: Config) -> Written:
    """Write the three files, each whole or not at all.

    Raises:
      ValueError: a pair or file that cannot be used, or a text without a token.
    """
    for name in ("target.npy", "draft.npy", "tokens.json"):
        whole_files.check_writable(config.out / name)
    files = model_logits.write(pairs.load(config.pair), config.prompts, config.out)
    written = Written(files, provenance(config))
    whole_files.write_json(config.out / "tokens.json", document(written))
    return written


def show(content: Written, console: Console) -> None:
    """What was written, and the command that reads it."""
    files = content.files
    rows, vocabulary = files.shape
    console.print(
        f"{rows} rows of {vocabulary} logits, after each token of {len(files.texts)} texts"
    )
    command = f"specjax bound --target {files.target} --draft {files.draft}"
    console.print(command, highlight=False, soft_wrap=True)


def document(content: Written) -> Record:
    """Where each text's rows are."""
    return {
        "rows": [text._asdict() for text in content.files.texts],
        "shape": list(content.files.shape),
        "provenance": content.provenance,
    }
