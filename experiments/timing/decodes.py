"""A decode of a pair whose models cost next to nothing, beside its forwards and one law for each
visited node.
"""

import functools
from typing import TypedDict

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from experiments.cli import seeds
from experiments.cli.tables import Table
from experiments.timing.clock import Call, against, bind, medians, stated
from experiments.timing.clock import table as figures
from specjax import decode, rules
from specjax._types import Count, RandomKey, Scalar
from specjax.decode import Decoder, DecodeState, Params
from specjax.models import Pair
from specjax.models.markov import Markov, random_tables
from specjax.models.pairs.markov import Letters
from specjax.trees import Draft, Verdict, full
from specjax.verifiers import TopDown, Verifier, Walk, node_report
from specjax.verifiers._nodes import node_view

VOCABULARY = 4096
TREE = full(4, 2)
TOKENS = 64
RULES = ("kseq", "optimal")
ENTROPY, DISTANCE = 0.8, 0.25  # of the tables
LIMIT = 1.2  # times the parts
SCHEME = "iid"


class Row(TypedDict):
    """The times of one rule's decode."""

    rule: str
    vocabulary: int
    tree: str
    tokens: int
    milliseconds: float
    recorded_ms: float
    parts_ms: float
    multiple_of_parts: float
    limit: float


def run(repeats: int, seed: int) -> list[Row]:
    """Milliseconds of a decode that records nothing, of one that records the node report, and of
    the first one's parts.
    """
    model = Markov(VOCABULARY, 1)
    params = Params(*random_tables(VOCABULARY, 1, ENTROPY, DISTANCE, seed))
    decoder = decode.decoder(
        Pair(model, params.target, model, params.drafter, Letters(), -1, ()), TREE, SCHEME
    )
    calls: dict[str, Call] = {}
    for name in RULES:
        verifier = TopDown(rules.get(name)())
        asked = (seeds.key(seed), params, jnp.zeros(4, jnp.int32), jnp.int32(4))
        calls[f"{name} alone"] = bind(decode.decode, decoder, verifier, *asked, TOKENS)
        calls[f"{name} recorded"] = bind(
            decode.decode, decoder, verifier, *asked, TOKENS, node_report
        )
        known = decode.decode(decoder, verifier, *asked, TOKENS, _verdict)
        calls[f"{name} parts"] = bind(
            _parts, decoder, verifier, *asked, known.info.record, known.steps
        )
    times = medians(calls, repeats, "decodes")
    return [
        {
            "rule": name,
            "vocabulary": VOCABULARY,
            "tree": "full:4,2",
            "tokens": TOKENS,
            "milliseconds": times[f"{name} alone"],
            "recorded_ms": times[f"{name} recorded"],
            "parts_ms": times[f"{name} parts"],
            "multiple_of_parts": times[f"{name} alone"] / times[f"{name} parts"],
            "limit": LIMIT,
        }
        for name in RULES
    ]


def _verdict(
    verifier: Verifier,
    draft: Draft,
    p: Float[Array, "N V"],
    walk: Walk,
    emitted: Count,
) -> Verdict:
    return walk.verdict


@functools.partial(jax.jit, static_argnums=0)
def _parts(
    decoder: Decoder,
    verifier: TopDown,
    key: RandomKey,
    params: Params,
    prompt: Int[Array, " P"],
    length: Count,
    verdicts: Verdict,
    steps: Count,
) -> tuple[DecodeState, Scalar]:
    """The same decode by verdicts that are known: what it drafts, scores and commits, and the law
    of each node that it visits.
    """

    def step(turn: Count, carry: tuple[DecodeState, Scalar]) -> tuple[DecodeState, Scalar]:
        state, mass = carry
        proposed = decode.propose(decoder, key, params, state)
        draft, p = proposed.draft, proposed.p
        verdict: Verdict = jax.tree.map(lambda rows: rows[turn], verdicts)

        def visit(depth: Count, mass: Scalar) -> Scalar:
            node = verdict.path[depth]
            view = node_view(draft, node)
            law = verifier.rule.law(view.tokens, p[node], draft.q[node], view.mask)
            return mass + law[view.tokens[0]]

        return decode.commit(decoder, proposed, verdict), jax.lax.fori_loop(
            0, verdict.length, visit, mass
        )

    start = decode.init(decoder, params, prompt, length, TOKENS)
    end: tuple[DecodeState, Scalar] = jax.lax.fori_loop(0, steps, step, (start, jnp.zeros(())))
    return end


def table(rows: list[Row]) -> Table:
    """One line per rule."""
    lines = [
        (
            row["rule"],
            f"{row['milliseconds']:.1f}",
            f"{row['parts_ms']:.1f}",
            against(row["multiple_of_parts"], row["limit"], ".2f"),
            stated(row["limit"]),
            f"{row['recorded_ms']:.1f}",
        )
        for row in rows
    ]
    title = (
        f"decodes of {rows[0]['tokens']} tokens, {rows[0]['tree']}, V = {rows[0]['vocabulary']}, a "
        "table for a model"
    )
    return figures(
        title, ("rule", "ms", "parts, ms", "x parts", "limit", "with the report, ms"), lines, 1
    )
