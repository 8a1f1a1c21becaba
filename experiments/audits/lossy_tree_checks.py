"""The checks of a verifier that says that it is lossy; each returns the reason for which the
verifier fails it, or an empty string.
"""

import numpy as np

import theory
from experiments.audits.outcomes import Reason
from experiments.audits.tolerances import OPTIMUM, SINGLE, off
from experiments.audits.verifier_checks import (
    Checks,
    VerifierUnderAudit,
    accepts_alike_in_single,
    ignores_what_was_not_drawn,
    is_law,
    is_law_in_single_precision,
    laws_nearby,
    of_instances,
)
from experiments.enumeration.rule_laws import Array


def keeps_under_the_joint_front(audited: VerifierUnderAudit) -> Reason:
    """A verifier whose texts of D tokens lie at TV d from the target's accepts at most what the
    joint program allows at d.
    """
    for world in audited.reached:
        if world.front is not None and world.accepted > world.front + OPTIMUM:
            return (
                f"accepts more than the joint front at the TV of its texts: {world.accepted:.9g} "
                f"on {world.instance.name}, the front is {world.front:.9g}"
            )
    return ""


def holds_in_single_precision(audited: VerifierUnderAudit) -> Reason:
    """Laws computed in float32 emit and accept what those of float64 do, within 1e-6.

    Near a tie a verifier that compares may take another branch in float32: then it is held to what
    float64 emits and accepts of laws nearby.
    """
    texts = _texts(audited, audited.single)
    moved = np.abs(texts - _texts(audited, audited.wide)).sum(1) / 2
    if moved.max() > SINGLE:
        known = [_texts(audited, laws) for laws in (audited.wide, *laws_nearby(audited))]
        moved = off(texts, np.min(known, 0), np.max(known, 0)).sum(1) / 2
    row = int(np.argmax(moved))
    if moved[row] > SINGLE:
        return (
            f"in float32 it emits other texts than in float64, by {moved[row]:.3g} on "
            f"{audited.cases.instances[row].name}"
        )
    return accepts_alike_in_single(audited)


def beside_the_front(audited: VerifierUnderAudit) -> str:
    """The joint front, mean over the worlds in which it is known, in words."""
    known = [world.front for world in audited.reached if world.front is not None]
    if not known:
        return ""
    return (
        f"; at the TV of its texts nobody accepts more than {np.mean(known):.6f}, the joint front "
        f"of {len(known)} worlds"
    )


def _texts(audited: VerifierUnderAudit, laws: Array) -> Array:
    """The law of the texts of each instance, [I, V^(D + 1)]."""
    emitted = [
        theory.trees.emitted(instance.drawn, part).ravel()
        for instance, part in of_instances(audited, laws)
    ]
    return np.nan_to_num(np.stack(emitted), nan=np.inf)


OF_LOSSY: Checks = (
    is_law,
    ignores_what_was_not_drawn,
    keeps_under_the_joint_front,
    is_law_in_single_precision,
    holds_in_single_precision,
)
