"""Medusa's choice of a path: as theory has it, its text exact, at any vocabulary and any depth."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theory
from experiments.decoding import programs
from experiments.enumeration import verifier_laws
from experiments.inputs import named_verifiers
from specjax import rules, trees
from specjax.trees import growth
from specjax.verifiers import TopDown, TypicalPath
from tests.helpers.tree_laws import log_normal
from theory.typical_path import typical_path

GRID = [
    (tree, scheme) for tree in ("chain:2", "full:2,1", "full:2,2") for scheme in ("iid", "top_n")
]
PUBLISHED = TypicalPath()
WORLDS = 8  # two of random laws, the battery mixed, and the first of its pairs


@functools.cache
def instances(tree: str, scheme: str):
    return verifier_laws.cases(tree, scheme, None).instances


def laws(tree: str, drawn: theory.Drawn, verifier=PUBLISHED):
    """The law on all trees that are drawn."""
    drafting = growth.parse(tree, drawn.scheme)
    rows = verifier_laws._rows(drawn)
    return verifier_laws.laws(verifier, drafting, rows)


@pytest.mark.parametrize(("tree", "scheme"), GRID)
def test_the_law_is_theorys_on_every_tree(tree, scheme):
    names = list(dict.fromkeys(one.world for one in instances(tree, scheme)))[:WORLDS]
    held = [one for one in instances(tree, scheme) if one.world in names]
    assert held[0].drawn.target.shape[1] == 3
    for one in held:
        error = np.abs(laws(tree, one.drawn) - one.drawn.laws(typical_path)).max()
        assert error < 1e-12, one.name
    print(f"{sum(len(one.drawn.mass) for one in held)} trees in {len(held)} cases")


@pytest.mark.parametrize("cap", [0.2, 0.5])
def test_with_other_parameters_too(cap):
    (one, *_) = instances("full:2,2", "iid")
    found = laws("full:2,2", one.drawn, TypicalPath(cap, 0.4))
    exact = one.drawn.laws(lambda tree: typical_path(tree, cap, 0.4))
    assert np.abs(found - exact).max() < 1e-12


def test_on_one_path_it_is_the_rule_from_the_root_down_up_to_the_last_draft():
    lifted = TopDown(rules.Typical())
    for one in instances("chain:2", "iid"):
        found, other = laws("chain:2", one.drawn), laws("chain:2", one.drawn, lifted)
        live = one.drawn.active.sum(1)
        for law, ruled, depth in zip(found, other, live, strict=True):
            assert np.abs(law[: depth - 1] - ruled[: depth - 1]).max(initial=0) < 1e-12
            assert law[depth - 1].sum() == pytest.approx(ruled[depth - 1].sum(), abs=1e-12)


def second_order(parents, scheme: str, seed: int) -> theory.TreeProblem:
    """A chain whose laws hang on the last two tokens; two zeros stand before the root."""
    rng = np.random.default_rng(seed)
    pairs = rng.dirichlet(np.ones(3), (3, 3, 2))
    states = [(0, 0)]
    for context in range(1, theory.contexts.contexts_within(3, 3)):
        above, token = divmod(context - 1, 3)
        states.append((states[above][1], token))
    target, draft = np.array([pairs[state] for state in states]).swapaxes(0, 1)
    return theory.TreeProblem(parents, target, draft, scheme)


@pytest.mark.parametrize("seed", range(4))
def test_the_text_on_a_chain_of_order_two_costs_the_chance_of_what_was_emitted(seed):
    """Where nothing is drawn each emitted token y is certain: TV 1 - p(y), then 1 - P(all)."""
    parents = tuple(trees.full(2, 2, 1).parents.tolist())
    drawn = theory.trees.drawn(second_order(parents, "top_n", seed))
    law = laws("full:2,2,1", drawn)
    ((tree, end, last),) = np.argwhere(law)
    tokens = [int(last)]
    above = int(drawn.contexts[tree, end])
    while above:
        above, token = divmod(above - 1, 3)
        tokens.insert(0, token)
    left = theory.trees.emitted(drawn, law)
    chance, context = 1.0, 0
    for token in tokens:
        p = drawn.target[context]
        emitted = left.reshape(3, -1).sum(1)
        assert np.abs(emitted - p).sum() / 2 == pytest.approx(1 - p[token], abs=1e-12)
        chance *= p[token]
        left, context = left[token], context * 3 + 1 + token
    print(f"accepted {len(tokens) - 1}, P of what was emitted {chance:.3f}")
    assert theory.trees.loss(drawn, law) == pytest.approx(1 - chance, abs=1e-12)


def exact_text(problem: theory.TreeProblem) -> np.ndarray:
    """The law of D + 1 tokens after one path of independent drafts, context by context."""
    text = np.zeros((3,) * 4)

    def walk(context: int, so_far: tuple[int, ...], mass: float) -> None:
        p, q = problem.target[context], problem.draft[context]
        entropy = -(p * np.log(p + 1e-5)).sum()
        typical = (p > min(0.3, 0.09 * np.exp(-entropy))) & (len(so_far) < problem.depth)
        for token in np.flatnonzero(typical):
            walk(context * 3 + 1 + token, (*so_far, token), mass * q[token])
        stopped = mass * (1 - q[typical].sum())
        follow(context * 3 + 1 + int(p.argmax()), (*so_far, int(p.argmax())), stopped)

    def follow(context: int, so_far: tuple[int, ...], mass: float) -> None:
        if len(so_far) == text.ndim:
            text[so_far] += mass
            return
        for token in range(3):
            follow(context * 3 + 1 + token, (*so_far, token), mass * problem.target[context, token])

    walk(0, (), 1.0)
    return text


@pytest.mark.parametrize("seed", range(4))
def test_the_text_of_drawn_drafts_on_a_chain_of_order_two_is_exact(seed):
    problem = second_order((-1, 0, 1, 2), "iid", seed)
    drawn = theory.trees.drawn(problem)
    found = theory.trees.emitted(drawn, laws("chain:3", drawn))
    assert np.abs(found - exact_text(problem)).max() < 1e-12


def test_longer_goes_before_likelier_and_likelier_before_earlier():
    p = np.tile([0.6, 0.25, 0.15], (7, 1))
    shape = trees.full(2, 2)

    def end(*tokens, active=(True,) * 7, p=p):
        drawn = dataclasses.replace(shape, active=np.array(active))
        draft = trees.Draft(drawn, jnp.array([0, *tokens]), jnp.asarray(p), "iid")
        return int(TypicalPath().law(draft, jnp.asarray(p)).sum(1).argmax())

    assert end(1, 2, 0, 1, 0, 0) == 3
    assert end(1, 2, 1, 0, 0, 0) == 4
    assert end(1, 0, 2, 2, 0, 1) == 5
    assert end(0, 0, 1, 0, 0, 0) == 4
    assert end(1, 0, 0, 0, 0, 0, active=(True,) * 5 + (False,) * 2) == 3
    assert end(0, 1, 0, 0, 0, 0, active=(True, False) + (True,) * 5) == 5
    peaked = p.copy()
    peaked[1] = [1 - 2e-4, 1e-4, 1e-4]  # after the likelier draft neither of the next is typical
    assert end(0, 2, 1, 2, 1, 0, p=peaked) == 6


@pytest.mark.parametrize("deep", [1, 60])
def test_a_path_too_rare_for_float32_is_still_the_likelier(deep):
    """0.01^60 is 0 in float32."""
    shape = trees.full(2, *(1,) * deep)
    p = np.tile([0.97, 0.02, 0.01], (shape.nodes, 1)).astype(np.float32)
    tokens = np.full(shape.nodes, 2, np.int32)
    tokens[2] = 1
    draft = trees.Draft(shape, jnp.asarray(tokens), jnp.asarray(p), "iid")
    law = TypicalPath(0.0, 0.0).law(draft, jnp.asarray(p))
    assert int(law.sum(1).argmax()) == shape.nodes - 1


def test_at_a_large_vocabulary_a_batch_walks_as_its_law_says():
    shape = trees.full(2, 2)
    p, q, tokens = log_normal(shape, 131072, 0)
    best = np.argsort(-p, 1)
    tokens[1:] = best[shape.parents[1:], np.arange(6) % 2]
    batch = np.stack([tokens, np.zeros_like(tokens), best[0, :7]]).astype(np.int32)
    p, q = (jnp.asarray(law, jnp.float32) for law in (p, q))

    def both(tokens):
        draft = trees.Draft(shape, tokens, q, "top_n")
        uniforms = jnp.zeros((shape.nodes + 1, 2), jnp.float32)
        return TypicalPath().law(draft, p), TypicalPath().walk(uniforms, draft, p).verdict

    found, verdicts = jax.jit(jax.vmap(both))(jnp.asarray(batch))
    lengths = verdicts.length.tolist()
    assert lengths[0] == 3
    for law, tokens, path, length in zip(found, *verdicts[::2], lengths, strict=True):
        assert float(law[path[length - 1], tokens[length - 1]]) == float(law.sum()) == 1


def test_no_command_runs_it_unless_it_is_named():
    assert "typical_path" not in {one.name for one in named_verifiers.whole()}
    assert isinstance(named_verifiers.made("typical_path"), TypicalPath)
    usual = programs.programs((), ("full:2,2",))
    named = programs.programs(("typical_path",), ("full:2,2",))
    assert "typical_path" not in {one.name for program in usual for one in program.verifiers}
    assert {one.name for program in named for one in program.verifiers} == {"typical_path"}
