"""The checks that make a verifier's claims true; each returns the reason for which it fails one, or an empty string."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

import theory
from experiments import _exact_trees
from experiments._checks import EXACT, OPTIMUM, SINGLE, Reason
from experiments._exact_trees import Array, Cases, Instance, Rows


@dataclasses.dataclass(frozen=True, eq=False)
class Judged:
    """The laws [T, N, V] of one verifier on all trees, each computed when it is first asked for: most of the time goes to compiling.

    Attributes:
      laws: (rows, dtype) -> the verifier's law on every tree.
    """

    cases: Cases
    rows: Rows
    laws: Callable[[Rows, type], Array]

    @functools.cached_property
    def wide(self) -> Array:
        """From float64 laws."""
        return self.laws(self.rows, np.float64)

    @functools.cached_property
    def single(self) -> Array:
        """From float32 laws."""
        return self.laws(self.rows, np.float32)

    @functools.cached_property
    def disturbed(self) -> Array:
        """From float64 laws, with other contents where nothing was drawn."""
        return self.laws(_exact_trees.disturbed(self.rows), np.float64)


def is_law(judged: Judged) -> Reason:
    """On every drawn tree the law over nodes and tokens is finite, non-negative and sums to 1."""
    return _law_reason(judged, judged.wide, EXACT, "")


def is_law_in_single_precision(judged: Judged) -> Reason:
    """The same in float32, within 1e-6."""
    return _law_reason(judged, judged.single, SINGLE, "in float32 ")


def _law_reason(judged: Judged, laws: Array, tolerance: float, precision: str) -> Reason:
    sums = laws.sum((1, 2))
    faults = (
        (np.where(np.isfinite(laws).all((1, 2)), 0, 1), "holds a number that is not finite"),
        (np.maximum(-laws, 0).max((1, 2)), "has a negative entry"),
        (np.abs(sums - 1), "does not sum to 1"),
    )
    for error, words in faults:
        row = int(np.argmax(error))
        if error[row] > tolerance:
            return f"no law: {precision}it {words} (sum {sums[row]:.6g}) on {_tree(judged, row)}"
    return ""


def ignores_what_was_not_drawn(judged: Judged) -> Reason:
    """No walk ends at a node that was not drawn; what such a node holds, and the draft law of a leaf, are never read."""
    moved = np.nan_to_num(np.abs(judged.disturbed - judged.wide).max((1, 2)), nan=np.inf)
    reached = np.where(judged.rows.active[..., None], 0, judged.wide).sum((1, 2))
    faults = (
        (moved, "reads what was never drawn: it moves the law by {:.3g} on {}"),
        (reached, "ends with probability {:.3g} at nodes that were never drawn, on {}"),
    )
    for error, words in faults:
        row = int(np.argmax(error))
        if error[row] > EXACT:
            return words.format(error[row], _tree(judged, row))
    return ""


def is_lossless(judged: Judged) -> Reason:
    """In every world, whatever is missing, emitted sequences have the target's law; where trees are drawn, within what may be chance."""
    return _loss_reason(judged, judged.wide, EXACT, "")


def is_no_better_than_the_optimum(judged: Judged) -> Reason:
    """What a lossless verifier accepts is bounded by the joint optimum of the tree."""
    for instance, value in accepted(judged, judged.wide):
        if instance.optimum is not None and value > instance.optimum + OPTIMUM:
            return f"accepts more than the joint optimum: {value:.9g} on {instance.name}, the optimum is {instance.optimum:.9g}"
    return ""


def holds_in_single_precision(judged: Judged) -> Reason:
    """Laws computed in float32 emit the target's sequences, and accept as much as those of float64, within 1e-6."""
    reason = _loss_reason(judged, judged.single, SINGLE, "in float32 ")
    if reason:
        return reason
    for (instance, wide), (_, single) in zip(accepted(judged, judged.wide), accepted(judged, judged.single), strict=True):
        if abs(wide - single) > SINGLE:
            return f"in float32 E[ell] differs from float64's, by {abs(wide - single):.3g} on {instance.name}"
    return ""


OF_ALL = (is_law, ignores_what_was_not_drawn, is_law_in_single_precision)
OF_LOSSLESS = (
    is_law,
    ignores_what_was_not_drawn,
    is_lossless,
    is_no_better_than_the_optimum,
    is_law_in_single_precision,
    holds_in_single_precision,
)


def loss(judged: Judged) -> float:
    """The largest total variation between emitted sequences and the target's, over all instances."""
    return max(theory.trees.loss(instance.drawn, laws) for instance, laws in _parts(judged, judged.wide))


def accepted(judged: Judged, laws: Array) -> list[tuple[Instance, float]]:
    """E[ell] in every world, on the whole tree."""
    parts = [(instance, part) for instance, part in _parts(judged, laws) if instance.missing is None]
    return [(instance, theory.trees.expected_accepted(instance.drawn, part)) for instance, part in parts]


def _parts(judged: Judged, laws: Array) -> list[tuple[Instance, Array]]:
    """The laws of each instance."""
    ends = np.cumsum([len(instance.drawn.mass) for instance in judged.cases.instances])
    return list(zip(judged.cases.instances, np.split(laws, ends[:-1]), strict=True))


def _loss_reason(judged: Judged, laws: Array, tolerance: float, precision: str) -> Reason:
    losses = {instance.name: theory.trees.loss(instance.drawn, part) for instance, part in _parts(judged, laws)}
    worst = max(losses, key=lambda name: losses[name])
    cases = judged.cases
    if losses[worst] <= tolerance + cases.allowance:
        return ""
    where = f"{cases.scheme} on {cases.tree}: total variation {losses[worst]:.3g} from the target's sequences on {worst}"
    if cases.draws:
        return f"{precision}biased under {where}, {cases.allowance:.1e} may be chance ({cases.draws} trees)"
    return f"{precision}not lossless under {where}"


def _tree(judged: Judged, row: int) -> str:
    drawn = zip(judged.rows.tokens[row, 1:].tolist(), judged.rows.active[row, 1:].tolist(), strict=True)
    ends = np.cumsum([len(instance.drawn.mass) for instance in judged.cases.instances])
    name = judged.cases.instances[int(np.searchsorted(ends, row, "right"))].name
    return f"drafts ({', '.join(str(token) if live else 'none' for token, live in drawn)}) on {name}"
