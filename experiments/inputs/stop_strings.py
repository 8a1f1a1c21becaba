"""Stop strings: the text ends before the first one; the tokens and the target calls up to its end
are what was emitted.
"""

import bisect
from collections.abc import Callable
from typing import TypedDict

Span = tuple[str, bool]  # a text, and whether it was accepted


class Step(TypedDict):
    """A target call: its tokens, how many of them were accepted drafts, and the node report by
    depth of its walk, where something was proposed.
    """

    emitted: int
    accepted: int
    proposed: list[int]
    hit: list[bool]
    law_mass: list[float]
    expected: list[float]
    alpha_star: list[float]
    gap: list[float]


def cut(
    tokens: list[int], stops: tuple[str, ...], to_text: Callable[[list[int]], str]
) -> tuple[list[int], int]:
    """The fewest first tokens whose text holds a stop string, and how many characters of that text
    lie past the cut; else all, 0.
    """

    def places(count: int) -> list[int]:
        text = to_text(tokens[:count])
        return [text.find(stop) for stop in stops if stop in text]

    if not places(len(tokens)):
        return tokens, 0
    kept = tokens[
        : bisect.bisect_left(range(len(tokens)), True, key=lambda count: bool(places(count)))
    ]
    return kept, len(to_text(kept)) - min(places(len(kept)))


def steps(records: list[Step], emitted: int) -> list[Step]:
    """The records of the target calls that `emitted` tokens took; of the last one what lies within
    them.
    """
    kept: list[Step] = []
    for record in records:
        if not emitted and record["emitted"]:
            break
        within = min(record["emitted"], emitted)
        kept.append({**record, "emitted": within, "accepted": min(record["accepted"], within)})
        emitted -= within
    return kept


def spans(pieces: list[Span], tail: int) -> list[Span]:
    """The pieces of a text without its last `tail` characters."""
    kept: list[Span] = []
    for text, accepted in reversed(pieces):
        shown = text[: max(len(text) - tail, 0)]
        tail -= len(text) - len(shown)
        kept.append((shown, accepted))
    return [piece for piece in reversed(kept) if piece[0]]
