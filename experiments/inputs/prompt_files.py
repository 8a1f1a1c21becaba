"""Prompts out of files of text or JSONL."""

import json
from pathlib import Path
from typing import TypedDict

from specjax.models.chat import Conversation

JSON = (".jsonl", ".ndjson", ".json")


class Entry(TypedDict, total=False):
    """A line of a JSONL file of prompts, if it is as it should be; `prompt` goes first."""

    prompt: str
    turns: list[str]
    messages: list[dict[str, str]]


def read(path: Path) -> list[str]:
    """The prompts of a text file, one a line, or of a JSONL file, one object a line; line breaks
    inside a JSON string stay.

    An object holds `prompt`, `turns` (the first is taken) or `messages` (up to the first of the
    user, joined by blank lines).

    Raises:
      ValueError: the file cannot be read, a line is no such object, or there is no prompt.
    """
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as text: {error}") from None
    written = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not written:
        raise ValueError(f"{path}: expected one prompt a line, found none")
    return [
        _from_json(line, f"{path}, line {number}") if path.suffix in JSON else line
        for number, line in written
    ]


def _from_json(line: str, where: str) -> str:
    try:
        text = _prompt(json.loads(line))
    except (ValueError, TypeError, LookupError):
        raise ValueError(
            f"{where}: expected a JSON object with the text of a prompt, turns or messages"
        ) from None
    if not text:
        raise ValueError(f"{where}: the prompt is empty")
    return text


def _prompt(entry: Entry) -> str:
    if "prompt" in entry:
        text = entry["prompt"]
    elif "turns" in entry:
        text = entry["turns"][0]
    else:
        speakers = [message["role"] for message in entry["messages"]]
        text = Conversation(entry["messages"][: speakers.index("user") + 1])
    if not isinstance(text, str):
        raise TypeError
    return text
