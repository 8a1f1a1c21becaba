"""A small training loop that keeps the best weights.

Muon trains matrices and adam the rest, with warmup and linear decay.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import jax
import optax
from jax import Array
from jaxtyping import Int, PyTree
from rich.progress import track

from specjax._types import Index
from specjax.models import checkpoints
from specjax.training.objectives import Objective
from specjax.training.text import draw


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
      steps: number of updates.
      batch: number of windows for each update.
      window: number of contexts in each window.
      learning_rate: the peak rate.
      warmup: number of steps until the peak is reached; the rate then falls linearly to zero.
      every: number of steps between held-out evaluations.
      patience: number of evaluations that may pass without a new best.
      seed: of the weights and the windows.
    """

    steps: int
    batch: int = 32
    window: int = 128
    learning_rate: float = 5e-3
    warmup: int = 100
    every: int = 250
    patience: int = 3
    seed: int = 0


def optimizer(schedule: Schedule, params: PyTree) -> optax.GradientTransformation:
    """Muon on the kernels of linear maps, adam on embeddings and scales, one schedule for both."""
    rate = optax.warmup_constant_schedule(0.0, schedule.learning_rate, schedule.warmup)
    fall = optax.linear_schedule(1.0, 0.0, schedule.steps - schedule.warmup, schedule.warmup)
    kernels = jax.tree.map_with_path(
        lambda path, _: optax.contrib.MuonDimensionNumbers() if path[-1].key == "kernel" else None,
        params,
    )
    return optax.contrib.muon(
        lambda step: rate(step) * fall(step),
        muon_weight_dimension_numbers=kernels,
        consistent_rms=0.2,
    )


def train(
    objective: Objective,
    params: PyTree,
    tokens: Int[Array, " length"],
    held_out: Callable[[PyTree], float],
    schedule: Schedule,
    folder: Path,
) -> tuple[PyTree, list[tuple[int, float]]]:
    """Minimise an objective on windows of `tokens`.

    The best weights so far lie in `folder`. Training stops if `patience` evaluations bring no new
    best. It is deterministic given the seed.

    Args:
      objective: the loss of weights on windows.
      params: the weights to begin with.
      tokens: token ids of the training text.
      held_out: the loss of weights on held-out text.
      schedule: how long and how fast to train.
      folder: the folder of the checkpoint.

    Returns:
      The best weights, and the held-out losses as pairs (step, loss).
    """
    chain = optimizer(schedule, params)

    @jax.jit
    def update(params: PyTree, state: optax.OptState, step: Index) -> tuple[PyTree, optax.OptState]:
        key = jax.random.fold_in(jax.random.key(schedule.seed), step)
        gradient = jax.grad(objective)(params, draw(key, tokens, schedule.batch, schedule.window))
        change, state = chain.update(gradient, state, params)
        return optax.apply_updates(params, change), state

    state = chain.init(params)
    history = []
    best = params
    for step in track(range(1, schedule.steps + 1), description=folder.name):
        params, state = update(params, state, step)
        if step % schedule.every and step != schedule.steps:
            continue
        history.append((step, held_out(params)))
        losses = [loss for _, loss in history]
        since_best = len(losses) - 1 - losses.index(min(losses))
        print(f"{folder.name}: step {step}, held-out loss {losses[-1]:.4f}", flush=True)
        if since_best == 0:
            best = params
            checkpoints.save(folder, params)
        if since_best == schedule.patience:
            break
    return best, history
