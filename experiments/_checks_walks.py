"""Whether what a verifier draws has its law: `verify` and `walk` on drawn trees, by frequencies of stated error."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from experiments import _exact_trees
from experiments._checks import Reason
from experiments._exact import CELLS
from experiments._exact_trees import Array, Cases, Instance, Rows
from experiments._frequencies import allowance
from specjax import numerics
from specjax.trees import NO_NODE, ROOT, Draft, TreeDrafting, Verdict
from specjax.verifiers import Verifier

WALKS = 1 << 15  # in each instance, fewer where V is large: in a law on 40 ends chance moves less than 0.032


class Chance(NamedTuple):
    """What a walk is drawn with: a key [..], or uniforms [.., N + 1, 2]."""

    key: jax.Array
    uniforms: jax.Array


Draw = Callable[[Verifier, Chance, Draft, jax.Array], Verdict]


def draws_its_law(verifier: Verifier, cases: Cases, rows: Rows, wide: Array) -> Reason:
    """In every world, and in the first also with gaps, `walk` and `verify` end where the law says, as often as it says.

    Where a walk ends is told by the drafts on the way and the next token. A verifier that lacks one of the two is judged
    by the other; a `verify` that runs `walk` on the uniforms of its key is the same program, and is not run again.
    """
    faces, start = _faces(verifier, cases.drafting, _part(rows, slice(0, 1))), 0
    for instance in cases.instances:
        part = slice(start, start + len(instance.drawn.mass))
        start = part.stop
        for face, draw in faces.items() if instance.missing is None or instance.name.startswith(cases.instances[0].name) else ():
            reason = _face_reason(functools.partial(_verdicts, verifier, draw, cases.drafting), instance, _part(rows, part), wide[part])
            if reason:
                return f"{face} {reason}"
    return ""


def _part(rows: Rows, part: slice) -> Rows:
    return _exact_trees.typed(jax.tree.map(lambda column: column[part], rows), np.float32)


def _walk(verifier: Verifier, chance: Chance, draft: Draft, p: jax.Array) -> Verdict:
    return verifier.walk(chance.uniforms, draft, p).verdict


def _verify(verifier: Verifier, chance: Chance, draft: Draft, p: jax.Array) -> Verdict:
    return verifier.verify(chance.key, draft, p)


def _walk_by_key(verifier: Verifier, chance: Chance, draft: Draft, p: jax.Array) -> Verdict:
    return verifier.walk(numerics.uniforms(chance.key, (draft.topology.nodes + 1,), p.dtype), draft, p).verdict


def _faces(verifier: Verifier, drafting: TreeDrafting, row: Rows) -> dict[str, Draw]:
    """What the verifier has to draw with, without what runs the same program."""
    held: dict[str, Draw] = {face: draw for face, draw in (("walk", _walk), ("verify", _verify)) if callable(getattr(verifier, face, None))}
    if len(held) == 2 and _program(_walk_by_key, verifier, drafting, row) == _program(_verify, verifier, drafting, row):
        del held["verify"]
    return held


def _program(draw: Draw, verifier: Verifier, drafting: TreeDrafting, row: Rows) -> tuple[str, list[bytes]]:
    """What is run, with its constants; what cannot be traced goes by the name of its way to draw, and fails when it is run."""
    try:
        traced = jax.make_jaxpr(functools.partial(_together, verifier, draw, drafting))(_chances(1, row.tokens.shape[1]), row)
        return str(traced), [np.asarray(value).tobytes() for value in traced.consts]
    except Exception:
        return draw.__name__, []


def _chances(walks: int, nodes: int) -> Chance:
    uniforms = np.random.default_rng(0).random((walks, nodes + 1, 2), np.float32)
    return Chance(jax.random.split(jax.random.key(0), walks), jax.numpy.asarray(uniforms))


def _face_reason(draw: Callable[[Chance, Rows], Verdict], instance: Instance, rows: Rows, laws: Array) -> Reason:
    walks = max(1, min(WALKS, CELLS // laws[0].size))
    tree = np.random.default_rng(1).choice(len(rows.tokens), walks, p=instance.drawn.mass / instance.drawn.mass.sum())
    seen = jax.tree.map(lambda column: column[tree], rows)
    try:
        verdict = jax.tree.map(np.asarray, draw(_chances(walks, laws.shape[1]), seen))
    except Exception as error:  # whatever a stranger's verifier raises is a finding, not a crash
        return f"raises {type(error).__name__}: {str(error).partition(chr(10))[0]}"
    fault = _fault(verdict, seen)
    if fault:
        return f"returns no walk: {fault}, on {instance.name}"
    every, last, vocabulary = np.arange(walks), verdict.length - 1, laws.shape[2]
    ends = np.maximum(instance.drawn.contexts, ROOT) * vocabulary  # [T, N]
    seen_at = ends[tree, verdict.path[every, last]] + verdict.tokens[every, last]
    frequencies = np.bincount(seen_at, minlength=instance.drawn.target.size) / walks
    stated_at, mass = ends[..., None] + np.arange(vocabulary), instance.drawn.mass[:, None, None] * laws
    stated = np.bincount(stated_at.reshape(-1), mass.reshape(-1), instance.drawn.target.size).astype(np.float64)
    distance, allowed = float(np.abs(frequencies - stated).sum() / 2), allowance(stated, walks)
    if distance <= allowed:
        return ""
    return f"does not draw its law: total variation {distance:.3g} on {instance.name}, {allowed:.2g} may be chance ({walks} walks)"


def _fault(verdict: Verdict, rows: Rows) -> str:
    """Why one of the verdicts is no way down its tree, with the drafts there and one token more; empty if all are."""
    steps, every = verdict.path.shape[1], np.arange(len(verdict.path))
    if np.any((verdict.length < 1) | (verdict.length > steps)):
        return "its length is not from 1 to D + 1"
    on = np.arange(steps) < verdict.length[:, None]
    if np.any(verdict.path[:, 0] != ROOT) or np.any((verdict.path == NO_NODE) == on) or np.any(verdict.tokens[~on] != 0):
        return "it does not begin at the root, or holds something beyond its length"
    for step in range(1, steps):
        walk = every[on[:, step]]
        node, above = verdict.path[walk, step], verdict.path[walk, step - 1]
        if np.any(rows.parents[walk, node] != above) or not rows.active[walk, node].all():
            return "it visits a node that does not hang below the last, or was never drawn"
        if np.any(rows.tokens[walk, node] != verdict.tokens[walk, step - 1]):
            return "its tokens are not the drafts on its path"
    last = verdict.tokens[every, verdict.length - 1]
    return "" if np.all((last >= 0) & (last < rows.p.shape[2])) else "its last token is none"


def _together(verifier: Verifier, draw: Draw, drafting: TreeDrafting, chances: Chance, rows: Rows) -> Verdict:
    return jax.vmap(lambda chance, row: draw(verifier, chance, *_exact_trees.draft(drafting, row)))(chances, rows)


_verdicts = jax.jit(_together, static_argnames=("draw", "drafting"))
