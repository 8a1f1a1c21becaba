"""Whether what a verifier draws has its law: `verify` and `walk` on drawn trees, by frequencies of
stated error.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from experiments.audits.outcomes import Reason
from experiments.audits.verifier_checks import VerifierUnderAudit
from experiments.cli import seeds
from experiments.cli.console import raised
from experiments.enumeration import verifier_laws
from experiments.enumeration.rule_laws import CELLS
from experiments.enumeration.verifier_laws import Array, Cases, Instance, Rows
from experiments.stats.frequencies import allowance
from specjax import numerics
from specjax.trees import NO_NODE, ROOT, Draft, TreeDrafting, Verdict
from specjax.verifiers import Verifier

# in each instance, fewer where V is large: in a law on 40 ends chance moves less than 0.016, over
# 30 worlds 0.003
WALKS = 1 << 17


class Chance(NamedTuple):
    """What a walk is drawn with: a key [..], or uniforms [.., N + 1, 2]."""

    key: jax.Array
    uniforms: jax.Array


Draw = Callable[[Verifier, Chance, Draft, jax.Array], Verdict]


def draws_its_law(audited: VerifierUnderAudit) -> Reason:
    """`walk` and `verify` end where the law says, as often as it says: in every world, over all
    worlds, and in the first with gaps.

    Where a walk ends is told by the drafts on the way and the next token. A verifier that lacks one
    of the two is audited by the other. A `verify` that runs `walk` on the uniforms of its key is
    the same program, and is not run again.
    """
    verifier = audited.verifier
    cases = audited.cases
    rows = audited.rows
    ends = cases.instances[0].drawn.target.size
    seed = seeds.natural(audited.seed)
    parts = _instances(cases)
    for face, draw in _faces(verifier, cases.drafting, _part(rows, slice(0, 1))).items():
        ran = functools.partial(_verdicts, verifier, draw, cases.drafting)
        try:
            counts = [
                _counts(ran, instance, _part(rows, part), audited.wide[part], ends, (seed, place))
                for place, (instance, part) in enumerate(parts)
            ]
            _hold("all worlds", *np.sum(counts, 0))
        except _MisdrawnError as finding:
            return f"{face} {finding}"
    return ""


OF_WALKS = (draws_its_law,)


class _MisdrawnError(Exception):
    """Why what is drawn does not have its law."""


def _instances(cases: Cases) -> list[tuple[Instance, slice]]:
    """On which trees walks are drawn, with their place among the rows of all."""
    ends = np.cumsum([len(instance.drawn.mass) for instance in cases.instances]).tolist()
    parts = [
        (instance, slice(start, end))
        for instance, start, end in zip(cases.instances, [0, *ends], ends, strict=False)
    ]
    return [
        (one, part)
        for one, part in parts
        if one.missing is None or one.world == cases.instances[0].world
    ]


def walks(cases: Cases) -> int:
    """How many walks are drawn in all."""
    return sum(_walks(instance) for instance, _ in _instances(cases))


def chance(cases: Cases) -> float:
    """How far chance may move the frequencies of all walks, whatever their law is."""
    ends = cases.instances[0].drawn.target.size
    return allowance(np.full(ends, 1 / ends), walks(cases))


def _walks(instance: Instance) -> int:
    return max(1, min(WALKS, CELLS // int(instance.drawn.p[0].size)))


def _part(rows: Rows, part: slice) -> Rows:
    return verifier_laws.typed(jax.tree.map(lambda column: column[part], rows), np.float32)


def _walk(verifier: Verifier, chance: Chance, draft: Draft, p: jax.Array) -> Verdict:
    return verifier.walk(chance.uniforms, draft, p).verdict


def _verify(verifier: Verifier, chance: Chance, draft: Draft, p: jax.Array) -> Verdict:
    return verifier.verify(chance.key, draft, p)


def _walk_by_key(verifier: Verifier, chance: Chance, draft: Draft, p: jax.Array) -> Verdict:
    return verifier.walk(
        numerics.uniforms(chance.key, (draft.topology.nodes + 1,), p.dtype), draft, p
    ).verdict


def _faces(verifier: Verifier, drafting: TreeDrafting, row: Rows) -> dict[str, Draw]:
    """What the verifier has to draw with, without what runs the same program."""
    held: dict[str, Draw] = {
        face: draw
        for face, draw in (("walk", _walk), ("verify", _verify))
        if callable(getattr(verifier, face, None))
    }
    if len(held) == 2 and _program(_walk_by_key, verifier, drafting, row) == _program(
        _verify, verifier, drafting, row
    ):
        del held["verify"]
    return held


def _program(
    draw: Draw, verifier: Verifier, drafting: TreeDrafting, row: Rows
) -> tuple[str, list[bytes]]:
    """What is run, with its constants; what cannot be traced goes by the name of its way to draw,
    and fails when it is run.
    """
    try:
        traced = jax.make_jaxpr(functools.partial(_together, verifier, draw, drafting))(
            _chances(1, row.tokens.shape[1]), row
        )
        return str(traced), [np.asarray(value).tobytes() for value in traced.consts]
    except Exception:
        return draw.__name__, []


def _chances(walks: int, nodes: int, seed: tuple[int, ...] = (0,)) -> Chance:
    first, second = np.random.default_rng(seed).integers(1 << 32, size=2).tolist()
    uniforms = numerics.uniforms(seeds.key(first), (walks, nodes + 1), np.float32)
    return Chance(jax.random.split(seeds.key(second), walks), uniforms)


def _counts(
    draw: Callable[[Chance, Rows], Verdict],
    one: Instance,
    rows: Rows,
    laws: Array,
    size: int,
    seed: tuple[int, int],
) -> tuple[Array, Array]:
    """How often the walks on one instance's trees ended at each context and token, and how often
    they should have.

    Raises:
      _MisdrawnError: they are no walks, or ended otherwise than chance allows.
    """
    walks = _walks(one)
    tree = np.random.default_rng((*seed, 1)).choice(
        len(rows.tokens), walks, p=one.drawn.mass / one.drawn.mass.sum()
    )
    seen = jax.tree.map(lambda column: column[tree], rows)
    try:
        verdict = jax.tree.map(np.asarray, draw(_chances(walks, laws.shape[1], seed), seen))
    except Exception as error:  # whatever a stranger's verifier raises is a finding, not a crash
        raise _MisdrawnError(raised(error)) from error
    fault = _fault(verdict, seen)
    if fault:
        raise _MisdrawnError(f"returns no walk: {fault}, on {one.name}")
    every = np.arange(walks)
    last = verdict.length - 1
    vocabulary = laws.shape[2]
    ends = np.maximum(one.drawn.contexts, ROOT) * vocabulary  # [T, N]
    seen_at = ends[tree, verdict.path[every, last]] + verdict.tokens[every, last]
    stated_at = ends[..., None] + np.arange(vocabulary)
    mass = one.drawn.mass[:, None, None] * laws
    stated = np.bincount(stated_at.reshape(-1), mass.reshape(-1), size)
    counts = (
        np.bincount(seen_at, minlength=size).astype(np.float64),
        np.asarray(stated * walks, np.float64),
    )
    _hold(one.name, *counts)
    return counts


def _hold(name: str, seen: Array, stated: Array) -> None:
    walks = int(seen.sum())
    distance = float(np.abs(seen - stated).sum() / 2 / walks)
    allowed = allowance(stated / walks, walks)
    if distance > allowed:
        raise _MisdrawnError(
            f"does not draw its law: total variation {distance:.3g} on {name}, {allowed:.2g} may "
            f"be chance ({walks} walks)"
        )


def _fault(verdict: Verdict, rows: Rows) -> str:
    """Why one of the verdicts is no way down its tree, with the drafts there and one token more;
    empty if all are.
    """
    steps = verdict.path.shape[1]
    every = np.arange(len(verdict.path))
    if np.any((verdict.length < 1) | (verdict.length > steps)):
        return "its length is not from 1 to D + 1"
    on = np.arange(steps) < verdict.length[:, None]
    if (
        np.any(verdict.path[:, 0] != ROOT)
        or np.any((verdict.path == NO_NODE) == on)
        or np.any(verdict.tokens[~on] != 0)
    ):
        return "it does not begin at the root, or holds something beyond its length"
    for step in range(1, steps):
        walk = every[on[:, step]]
        node = verdict.path[walk, step]
        above = verdict.path[walk, step - 1]
        if np.any(rows.parents[walk, node] != above) or not rows.active[walk, node].all():
            return "it visits a node that does not hang below the last, or was never drawn"
        if np.any(rows.tokens[walk, node] != verdict.tokens[walk, step - 1]):
            return "its tokens are not the drafts on its path"
    last = verdict.tokens[every, verdict.length - 1]
    return "" if np.all((last >= 0) & (last < rows.p.shape[2])) else "its last token is none"


def _together(
    verifier: Verifier,
    draw: Draw,
    drafting: TreeDrafting,
    chances: Chance,
    rows: Rows,
) -> Verdict:
    return jax.vmap(
        lambda chance, row: draw(verifier, chance, *verifier_laws.draft(drafting, row))
    )(chances, rows)


_verdicts = jax.jit(_together, static_argnames=("draw", "drafting"))
