"""A model in a local checkpoint: a Hugging Face folder or a GGUF file.

This module needs the packages `gguf`, `safetensors` and `tokenizers`.
"""

from pathlib import Path

from specjax.models import folder, gguf_file
from specjax.models._loading import Loaded
from specjax.models.pairs import GGUF


def load(path: Path) -> Loaded:
    """The model in a folder or file.

    Raises:
      ValueError: a file is missing or broken, or something in it is not supported; the message
        names the file.
    """
    return gguf_file.load(path) if path.suffix == GGUF else folder.load(path)
