"""Which optimal plan is best inside a tree: the most even one where the laws do not change with the
context; else none that sees one node alone.
"""

import functools
import itertools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from specjax import rules
from specjax.numerics import divide
from specjax.solvers.levels import exchange
from specjax.trees import Draft, full
from specjax.verifiers import Layer
from theory import trees

REVERSED = [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]
OF_FOUR = [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]


def even(nodes, n, live):
    """`exchange._supply` with another choice of what is accepted inside H: the slopes of the
    greatest convex function below the sums of p.
    """
    ends = jnp.cumsum(nodes.mass)
    starts = jnp.append(0, ends[:-1])
    rate = jnp.where(live > 1, ends + starts, 1.0)  # of two drafts, or of one
    upper = jnp.cumsum(nodes.ratio * nodes.mass)
    lower = upper - nodes.ratio * nodes.mass
    won = (ends**live)[None] - (starts**live)[:, None]
    order = jnp.arange(len(ends))
    later = order[:, None] <= order
    slope = jnp.where(later & (won > 0), divide(upper[None] - lower[:, None], won), jnp.inf)
    least = jax.lax.cummin(slope, 1, reverse=True)
    accepted = jnp.clip(jnp.max(jnp.where(later, least, 0), 0), 0, 1)
    return exchange._Supply(rate * accepted, accepted)


USUAL = exchange._supply


@functools.cache
def compiled(branching, supply):
    """Layers over `optimal`, whose levels a plan supplies."""
    shape = full(*branching)

    def law(tokens, p, q):
        with mock.patch.object(exchange, "_supply", supply):
            return Layer(rules.Optimal()).law(Draft(shape, tokens, q, "iid"), p)

    return jax.jit(jax.vmap(law))


def accepted(branching, world, supply=USUAL) -> float:
    """E[ell] of layers over `optimal`."""
    drawn = trees.drawn(world)
    with jax.enable_x64(True):
        law = compiled(branching, supply)
        found = np.asarray(law(drawn.tokens.astype(np.int32), drawn.p, drawn.q))
    assert trees.loss(drawn, found) < 1e-12
    return trees.expected_accepted(drawn, found)


def everywhere(branching, p, q) -> trees.TreeProblem:
    return trees.everywhere(tuple(full(*branching).parents.tolist()), p, q, "iid")


def best_of_all_plans(p, q, below: int) -> float:
    """The most that any optimal plan for two drafts accepts of a tree with `below` drafts under
    each, by a linear program over plans f(x, drafts) and over t <= alpha*(W p) at the drafts.
    """
    p, q = np.array(p), np.array(q)
    drafts = list(itertools.product(range(len(p)), repeat=2))
    mass = np.array([q[x] * q[y] for x, y in drafts])
    places = [(i, x) for i, pair in enumerate(drafts) for x in sorted(set(pair))]
    size = len(places) + len(drafts)
    sets = [
        list(held)
        for count in range(len(p) + 1)
        for held in itertools.combinations(range(len(p)), count)
    ]
    rows, limits = [], []

    def limit(value: float, of_place, of_drafts=None) -> None:
        row = np.zeros(size)
        row[: len(places)] = [of_place(i, x) for i, x in places]
        if of_drafts is not None:
            row[len(places) + of_drafts] = 1
        rows.append(row)
        limits.append(value)

    for token in range(len(p)):
        limit(p[token], lambda i, x, token=token: x == token)
    for here in range(len(drafts)):
        limit(mass[here], lambda i, x, here=here: i == here)
        for held in sets:
            share, missed = p[held].sum(), 1 - q[held].sum() ** below
            limit(
                mass[here] * missed,
                lambda i, x, here=here, share=share: -share * (i == here),
                here,
            )
    alpha = min(1 + p[held].sum() - q[held].sum() ** 2 for held in sets)
    of_plan = np.arange(size) < len(places)
    found = linprog(-1.0 * ~of_plan, rows, limits, 1.0 * of_plan[None], [alpha])
    return float(alpha - found.fun)


@pytest.mark.parametrize(
    ("laws", "branching", "usual", "best"),
    [
        (REVERSED, (2, 2), 1.636389, 1.650000),
        (REVERSED, (2, 1), 1.490000, 1.490000),
        (OF_FOUR, (2, 1), 1.312992, 1.319000),
        (OF_FOUR, (2, 2), 1.447589, 1.454000),
    ],
)
def test_the_most_even_plan_is_the_best_of_all(laws, branching, usual, best):
    world = everywhere(branching, *laws)
    assert round(accepted(branching, world), 6) == usual
    assert round(accepted(branching, world, even), 6) == best
    assert best_of_all_plans(*laws, branching[1]) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("branching", [(2, 1), (2, 2)])
def test_so_it_is_for_random_laws_that_do_not_change(branching):
    rng = np.random.default_rng(1)
    gaps = []
    for _ in range(12):
        p, q = rng.dirichlet(np.ones(3), 2)
        best = best_of_all_plans(p, q, branching[1])
        gaps.append(abs(best - accepted(branching, everywhere(branching, p, q), even)))
    print(f"largest difference {max(gaps):.1e}")
    assert max(gaps) < 1e-9


def test_where_laws_change_no_plan_of_one_node_wins_everywhere():
    """Over 24 random problems the most even plan is worse in some and better in others."""
    parents = tuple(full(2, 1).parents.tolist())
    worlds = [trees.random(parents, 3, "iid", seed=seed) for seed in range(24)]
    usual = np.array([accepted((2, 1), world) for world in worlds])
    gain = np.array([accepted((2, 1), world, even) for world in worlds]) - usual
    print(f"gain {gain.mean():.5f} on average, from {gain.min():.4f} to {gain.max():.4f}")
    assert gain.min() < -1e-3 < 1e-3 < gain.max()
