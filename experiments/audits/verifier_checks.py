"""The checks that make a verifier's claims true; each returns the reason for which it fails one, or
an empty string.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

import theory
from experiments.audits.outcomes import Reason
from experiments.audits.tolerances import EXACT, NEARBY, OPTIMUM, SINGLE, law_faults, near, off
from experiments.enumeration import verifier_laws
from experiments.enumeration.verifier_laws import Array, Cases, Instance, Rows
from specjax.verifiers import Verifier


class Reached(NamedTuple):
    """E[ell] in one world, and the most that any verifier accepts at the same TV of the texts; None
    if not known.
    """

    instance: Instance
    accepted: float
    front: float | None


@dataclasses.dataclass(frozen=True, eq=False)
class VerifierUnderAudit:
    """The laws [T, N, V] of one verifier on all trees, each computed when it is first asked for:
    most of the time goes to compiling.

    Attributes:
      laws: (rows, dtype) -> the verifier's law on every tree.
      seed: of the walks that are drawn.
    """

    verifier: Verifier
    cases: Cases
    rows: Rows
    laws: Callable[[Rows, type], Array]
    seed: int

    @functools.cached_property
    def wide(self) -> Array:
        """From float64 laws."""
        return self.laws(self.rows, np.float64)

    @functools.cached_property
    def single(self) -> Array:
        """From float32 laws."""
        return self.laws(self.rows, np.float32)

    @functools.cached_property
    def reached(self) -> list["Reached"]:
        """What it accepts in each world, beside the joint front at its own bias."""
        return [
            Reached(
                instance,
                theory.trees.expected_accepted(instance.drawn, part),
                verifier_laws.front(instance, theory.tree_front.bias(instance.drawn, part)),
            )
            for instance, part in of_instances(self, self.wide)
            if instance.missing is None
        ]

    @functools.cached_property
    def disturbed(self) -> Array:
        """From float64 laws, with other contents where nothing was drawn."""
        return self.laws(verifier_laws.disturbed(self.rows), np.float64)


def is_law(audited: VerifierUnderAudit) -> Reason:
    """On every drawn tree the law over nodes and tokens is finite, non-negative and sums to 1."""
    return _law_reason(audited, audited.wide, EXACT, "")


def is_law_in_single_precision(audited: VerifierUnderAudit) -> Reason:
    """The same in float32, within 1e-6."""
    return _law_reason(audited, audited.single, SINGLE, "in float32 ")


def _law_reason(
    audited: VerifierUnderAudit, laws: Array, tolerance: float, precision: str
) -> Reason:
    for error, words in law_faults(laws, (1, 2)):
        row = int(np.argmax(error))
        if error[row] > tolerance:
            total = laws[row].sum()
            return f"no law: {precision}it {words} (sum {total:.6g}) on {_tree(audited, row)}"
    return ""


def ignores_what_was_not_drawn(audited: VerifierUnderAudit) -> Reason:
    """No walk ends at a node that was not drawn; what such a node holds, and the draft law of a
    leaf, are never read.
    """
    moved = np.nan_to_num(np.abs(audited.disturbed - audited.wide).max((1, 2)), nan=np.inf)
    reached = np.where(audited.rows.active[..., None], 0, audited.wide).sum((1, 2))
    faults = (
        (moved, "reads what was never drawn: it moves the law by {:.3g} on {}"),
        (reached, "ends with probability {:.3g} at nodes that were never drawn, on {}"),
    )
    for error, words in faults:
        row = int(np.argmax(error))
        if error[row] > EXACT:
            return words.format(error[row], _tree(audited, row))
    return ""


def is_lossless(audited: VerifierUnderAudit) -> Reason:
    """In every world, whatever is missing, emitted sequences have the target's law; where trees are
    drawn, within what may be chance.
    """
    return _loss_reason(audited, audited.wide, EXACT, "")


def is_no_better_than_the_optimum(audited: VerifierUnderAudit) -> Reason:
    """What a lossless verifier accepts is bounded by the joint optimum of the tree."""
    for instance, value in accepted(audited, audited.wide):
        if instance.optimum is not None and value > instance.optimum + OPTIMUM:
            return (
                f"accepts more than the joint optimum: {value:.9g} on {instance.name}, the optimum "
                f"is {instance.optimum:.9g}"
            )
    return ""


def holds_in_single_precision(audited: VerifierUnderAudit) -> Reason:
    """Laws computed in float32 emit the target's sequences, and accept as much as those of float64,
    within 1e-6.

    Near a tie a verifier may take another branch in float32: then it is held to what float64
    accepts of laws nearby.
    """
    return _loss_reason(audited, audited.single, SINGLE, "in float32 ") or accepts_alike_in_single(
        audited
    )


def accepts_alike_in_single(audited: VerifierUnderAudit) -> Reason:
    """Laws computed in float32 accept as much as those of float64, or as those of laws nearby."""
    shift = _shift(audited)
    if shift.max() > SINGLE:
        values = [_values(audited, law) for law in (audited.wide, *laws_nearby(audited))]
        shift = off(_values(audited, audited.single), np.min(values, 0), np.max(values, 0))
    return _worst(audited, shift, "in float32 E[ell] differs from float64's")


def flips_at_near_ties(audited: VerifierUnderAudit) -> str:
    """A warning where float32 accepts more or less than float64, as float64 itself does of laws
    that float32 cannot tell apart.
    """
    return _worst(
        audited, _shift(audited), "; beware: at near ties float32 accepts otherwise than float64"
    )


def _shift(audited: VerifierUnderAudit) -> Array:
    return np.nan_to_num(
        np.abs(_values(audited, audited.single) - _values(audited, audited.wide)), nan=np.inf
    )


def _worst(audited: VerifierUnderAudit, error: Array, words: str) -> Reason:
    worlds = [instance.name for instance in audited.cases.instances if instance.missing is None]
    row = int(np.argmax(error))
    return f"{words}, by {error[row]:.3g} on {worlds[row]}" if error[row] > SINGLE else ""


def laws_nearby(audited: VerifierUnderAudit) -> Iterator[Array]:
    """The laws on the same trees, where target and draft differ by roundings of float32."""
    rng = np.random.default_rng(0)
    for _ in range(NEARBY):
        moved = [
            instance._replace(
                drawn=dataclasses.replace(
                    instance.drawn,
                    target=near(instance.drawn.target, rng),
                    draft=near(instance.drawn.draft, rng),
                )
            )
            for instance in audited.cases.instances
        ]
        yield audited.laws(
            verifier_laws.rows(dataclasses.replace(audited.cases, instances=tuple(moved))),
            np.float64,
        )


def is_sequential(audited: VerifierUnderAudit) -> Reason:
    """Given the rest of the tree, the emitted sequences have the same law whether a leaf is drawn
    or not.

    Shown at every leaf that is the last child of its parent; what is left is the tree that lacks
    this leaf.
    """
    parts = {
        (instance.world, instance.missing): (instance.drawn, laws)
        for instance, laws in of_instances(audited, audited.wide)
    }
    for (world, leaf), (lacking, laws) in parts.items():
        parents = lacking.parents[0]
        if not leaf or np.any(parents == leaf) or np.any(parents[leaf + 1 :] == parents[leaf]):
            continue
        error = _moved(leaf, parts[world, None], (lacking, laws))
        if error > EXACT:
            return (
                f"not sequential: whether node {leaf} is drawn moves the law of the emitted "
                f"sequences by {error:.3g} on {world}"
            )
    return ""


def _moved(leaf: int, *parts: tuple[theory.Drawn, Array]) -> float:
    """The total variation between the joint laws of the rest of the tree and the emitted sequences,
    with a leaf and without.
    """
    rest = [np.delete(drawn.contexts, leaf, 1) for drawn, _ in parts]
    found, place = np.unique(np.concatenate(rest), axis=0, return_inverse=True)
    places = np.split(place.reshape(-1), [len(rest[0])])
    total = 0.0
    for tree in range(len(found)):
        emitted = []
        for (drawn, laws), here in zip(parts, places, strict=True):
            rows = here == tree
            some = dataclasses.replace(
                drawn,
                parents=drawn.parents[rows],
                contexts=drawn.contexts[rows],
                mass=drawn.mass[rows],
            )
            emitted.append(theory.trees.emitted(some, laws[rows]))
        total += float(np.abs(emitted[0] - emitted[1]).sum()) / 2
    return total


Checks = tuple[Callable[[VerifierUnderAudit], Reason], ...]
OF_LOSSLESS: Checks = (
    is_law,
    ignores_what_was_not_drawn,
    is_lossless,
    is_no_better_than_the_optimum,
    is_law_in_single_precision,
    holds_in_single_precision,
)
OF_SEQUENTIAL = (is_sequential,)


def loss(audited: VerifierUnderAudit) -> float:
    """The largest total variation between emitted sequences and the target's, over all
    instances.
    """
    return max(
        theory.trees.loss(instance.drawn, laws)
        for instance, laws in of_instances(audited, audited.wide)
    )


def _values(audited: VerifierUnderAudit, laws: Array) -> Array:
    return np.array([value for _, value in accepted(audited, laws)])


def accepted(audited: VerifierUnderAudit, laws: Array) -> list[tuple[Instance, float]]:
    """E[ell] in every world, on the whole tree."""
    return [
        (instance, theory.trees.expected_accepted(instance.drawn, part))
        for instance, part in of_instances(audited, laws)
        if instance.missing is None
    ]


def of_instances(audited: VerifierUnderAudit, laws: Array) -> list[tuple[Instance, Array]]:
    """The laws of each instance."""
    ends = np.cumsum([len(instance.drawn.mass) for instance in audited.cases.instances])
    return list(zip(audited.cases.instances, np.split(laws, ends[:-1]), strict=True))


def _loss_reason(
    audited: VerifierUnderAudit, laws: Array, tolerance: float, precision: str
) -> Reason:
    losses = {
        instance.name: theory.trees.loss(instance.drawn, part)
        for instance, part in of_instances(audited, laws)
    }
    worst = max(losses, key=lambda name: losses[name])
    cases = audited.cases
    if losses[worst] <= tolerance + cases.allowance:
        return ""
    where = (
        f"{cases.scheme} on {cases.tree}: total variation {losses[worst]:.3g} from the target's "
        f"sequences on {worst}"
    )
    if cases.draws:
        return (
            f"{precision}biased under {where}, {cases.allowance:.1e} may be chance ({cases.draws} "
            "trees)"
        )
    return f"{precision}not lossless under {where}"


def _tree(audited: VerifierUnderAudit, row: int) -> str:
    drawn = zip(
        audited.rows.tokens[row, 1:].tolist(), audited.rows.active[row, 1:].tolist(), strict=True
    )
    ends = np.cumsum([len(instance.drawn.mass) for instance in audited.cases.instances])
    name = audited.cases.instances[int(np.searchsorted(ends, row, "right"))].name
    return (
        f"drafts ({', '.join(str(token) if live else 'none' for token, live in drawn)}) on {name}"
    )
