"""Laws of a few contexts: two vectors, some rows of two files of logits, or what two models say."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from experiments.inputs import law_files, logit_files, logit_rows, model_logits
from specjax.models import pairs
from specjax.numerics import AS_IS, Sampling

TOGETHER = 64  # rows read at once


class Laws(NamedTuple):
    """Target and draft laws of C contexts, [C, V] in float32."""

    p: NDArray[np.float32]
    q: NDArray[np.float32]


def load(target: Path, draft: Path, sampling: Sampling, contexts: int) -> Laws:
    """At most so many contexts, spread evenly over those there are.

    Args:
      target: a vector of probabilities, logits [T, V], or a model.
      draft: the same of the draft; beside a model, layers of it too.
      sampling: how logits become laws.
      contexts: at least 1.

    Raises:
      ValueError: a file cannot be used, the shapes differ, a row is no law, or steps of sampling
        act on vectors of probabilities.
    """
    if contexts < 1:
        raise ValueError(f"contexts: expected >= 1, got {contexts}")
    if pairs.is_model(target):
        pair = pairs.load(f"{target}{pairs.BETWEEN}{draft}")
        with tempfile.TemporaryDirectory() as folder:
            files = model_logits.write(pair, None, Path(folder))
            return load(files.target, files.draft, sampling, contexts)
    found = [logit_files.find(path) for path in (target, draft)]
    if [len(file.shape) for file in found] == [1, 1]:
        if sampling != AS_IS:
            raise ValueError("the steps of sampling act on logits, got vectors of probabilities")
        p, q = law_files.load_pair(target, draft)
        return Laws(p[None].astype(np.float32), q[None].astype(np.float32))
    if found[0].shape != found[1].shape or len(found[0].shape) not in (2, 3):
        raise ValueError(
            f"{target} has shape {found[0].shape} and {draft} {found[1].shape}: expected two "
            "vectors of probabilities, or logits of the same contexts"
        )
    return Laws(*[_some(file, sampling, contexts) for file in found])


def _some(file: logit_files.FloatArray, sampling: Sampling, contexts: int) -> NDArray[np.float32]:
    """The laws of some rows of a file."""
    count = int(np.prod(file.shape[:-1]))
    wanted = np.unique(np.linspace(0, count - 1, contexts).astype(int))
    kept = []
    start = 0
    for rows in file.read(TOGETHER):
        here = wanted[(wanted >= start) & (wanted < start + len(rows))] - start
        kept.append(rows[here].astype(np.float32))
        start += len(rows)
    rows = np.concatenate(kept)
    probable = logit_rows.are_laws(rows[:1])[0]
    laws, faults = logit_rows.read(sampling, jnp.asarray(rows), probable)
    logit_rows.check(file.path, np.asarray(faults), wanted)
    return np.asarray(laws)
