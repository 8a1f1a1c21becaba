"""The best draft law: its formulas against linear programs and gradients, and the experiment on a
small pair.
"""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import linprog

import theory
from experiments import best_draft
from specjax import bounds
from tests.helpers.places import ROOT

RESULTS = ROOT / "experiments" / "results"
STORED = sorted(RESULTS.glob("best_draft-*.json"))
CONFIG = best_draft.Config(
    pair="markov",
    n=(1, 2),
    temperature=(0.5, 1.0, 2.0),
    top_k=(2, 26),
    budget=(0.0, 0.1),
    contexts=6,
)
SUBSETS = np.array([[bool(index >> token & 1) for token in range(5)] for index in range(1, 32)])


def nearest(p, q, n, alpha):
    """The total variation from q to the nearest law at which alpha* >= alpha, by a linear program
    over all 31 subsets.
    """
    size = len(p)
    allowed = np.minimum(np.array([p[s].sum() for s in SUBSETS]) + 1 - alpha, 1) ** (1 / n)
    solution = linprog(
        c=np.concatenate((np.zeros(size), np.ones(size))),
        A_ub=np.block(
            [[SUBSETS.astype(float), np.zeros((31, size))], [-np.eye(size), -np.eye(size)]]
        ),
        b_ub=np.concatenate((allowed, -q)),
        A_eq=np.concatenate((np.ones(size), np.zeros(size)))[None],
        b_eq=[1.0],
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    assert solution.status == 0
    return solution.fun


@pytest.fixture(scope="module")
def content():
    return best_draft.run(CONFIG)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_distance_is_that_of_the_linear_program(n, seed):
    for name, p, q in theory.battery.laws(5, seed):
        assert abs(best_draft.distance(p[None], q[None], n)[0] - nearest(p, q, n, 1.0)) < 1e-8, name


@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_best_law_within_a_budget_needs_just_that_budget(n, seed):
    for name, p, q in theory.battery.laws(5, seed):
        for budget in (0.05, 0.3):
            best = best_draft.within(p[None], q[None], n, budget)[0]
            assert nearest(p, q, n, best) < budget + 1e-8, name
            if best < 1 - 1e-6:
                assert nearest(p, q, n, best + 1e-6) > budget, f"{name}: more than the formula says"


def test_a_budget_spent_outside_the_power_is_caught(seed):
    """Planted error: 1 + min_H [p(H) - (q(H)^n - d)+] promises more than the linear program
    grants.
    """
    p, q = np.random.default_rng(seed).dirichlet(np.ones(5), 2)
    wrong = 1 + min(p[s].sum() - max(q[s].sum() ** 2 - 0.05, 0) for s in SUBSETS)
    right = best_draft.within(p[None], q[None], 2, 0.05)[0]
    assert abs(nearest(p, q, 2, right) - 0.05) < 1e-8
    assert abs(nearest(p, q, 2, wrong) - 0.05) > 1e-3


def test_no_budget_is_alpha_star_and_one_draft_gains_all_of_it(seed):
    for _, p, q in theory.battery.laws(8, seed):
        for n in (1, 2, 4):
            assert (
                abs(
                    best_draft.within(p[None], q[None], n, 0.0)[0]
                    - theory.subsets.optimum(theory.Problem(p, q, n, "iid")).value
                )
                < 1e-12
            )
        overlap = np.minimum(p, q).sum()
        assert abs(best_draft.within(p[None], q[None], 1, 0.1)[0] - min(1, overlap + 0.1)) < 1e-12


@functools.partial(jax.jit, static_argnames="n")
def climbed(p, q, n, budget):
    """alpha* of the law that a gradient finds within the budget: q moves by budget (gain - loss),
    both laws, up the envelope's slope.
    """
    optimiser = optax.adam(optax.exponential_decay(0.3, 1500, 1e-6))

    def law(logits):
        gain, loss = jax.nn.softmax(logits[0]), jax.nn.softmax(logits[1])
        return optax.projections.projection_simplex(q + budget * (gain - loss))

    def missed(logits):
        return 1 - bounds.optimal_acceptance(p, law(logits), n, "iid")

    def step(state, _):
        logits, moments, least = state
        value, slope = jax.value_and_grad(missed)(logits)
        change, moments = optimiser.update(slope, moments)
        return (logits + change, moments, jnp.minimum(least, value)), None

    start = jnp.stack([jnp.log(p), jnp.log(q)])
    return 1 - jax.lax.scan(step, (start, optimiser.init(start), jnp.inf), None, 1500)[0][2]


@pytest.mark.parametrize("n", [2, 4])
def test_a_gradient_through_the_bound_gets_as_far_and_no_further(n, seed):
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        for _ in range(3):
            p, q = rng.dirichlet(np.full(6, 2.0), 2)
            best = best_draft.within(p[None], q[None], n, 0.05)[0]
            found = float(climbed(p, q, n, 0.05))
            assert best - 2e-3 < found <= best + 1e-9


@pytest.mark.parametrize("n", [2, 4])
def test_the_law_of_which_the_last_of_n_draws_is_p_is_perfect_and_not_nearer_than_it_is(n, seed):
    """A vertex of the perfect laws, whatever the order; past it by a little, alpha* < 1."""
    rng = np.random.default_rng(seed)
    for _ in range(20):
        p = rng.dirichlet(np.ones(7))
        vertex = np.diff(np.cumsum(p) ** (1 / n), prepend=0)
        assert best_draft.distance(p[None], vertex[None], n)[0] < 1e-12
        assert theory.subsets.optimum(theory.Problem(p, vertex, n, "iid")).value > 1 - 1e-12
        beyond = vertex + 0.01 * (vertex - p)
        if beyond.min() > 0:
            assert theory.subsets.optimum(theory.Problem(p, beyond, n, "iid")).value < 1 - 1e-6


def test_rows_hold_together(content):
    rows = content["rows"]
    assert len(rows) == 2 * 2 * (3 + 2) + 2 * 2 + 2
    named = {(row["study"], row["scheme"], row["n"], row["value"]): row for row in rows}
    for n in CONFIG.n:
        plain = named["temperature", "iid", n, 1.0]
        assert plain["gain"] == 0
        assert plain["low"] <= plain["alpha_star"] <= plain["high"]
        assert named["top_k", "iid", n, 26]["alpha_star"] == pytest.approx(
            plain["alpha_star"], abs=1e-6
        )
        assert named["budget", "iid", n, 0.0]["alpha_star"] == pytest.approx(
            plain["alpha_star"], abs=2e-6
        )
        assert named["budget", "iid", n, 0.1]["gain"] > 0
        assert plain["contexts"] == 54
    without = named["temperature", "without_replacement", 1, 2.0]
    assert without["alpha_star"] == pytest.approx(
        named["temperature", "iid", 1, 2.0]["alpha_star"], abs=1e-6
    )
    assert named["distance", "iid", 1, None]["distance"] == pytest.approx(
        1 - named["budget", "iid", 1, 0.0]["alpha_star"], abs=1e-9
    )
    assert content["provenance"]["config"]["seed"] == 0


def test_the_texts_come_from_the_target_and_the_seed(content):
    assert best_draft.run(dataclasses.replace(CONFIG, seed=1))["rows"] != content["rows"]


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored_rows_draw_and_gain_nothing_where_nothing_changes(path, tmp_path, capsys):
    from rich.console import Console

    stored = json.loads(path.read_text())
    best_draft.show(stored, Console(width=140))
    assert "total variation" in capsys.readouterr().out
    best_draft.plot(stored).savefig(tmp_path / "figure.png")
    for row in stored["rows"]:
        assert (
            row["low"]
            <= row["distance" if row["study"] == "distance" else "alpha_star"]
            <= row["high"]
        )
        if (row["study"], row["value"]) in (("temperature", 1.0), ("budget", 0.0)):
            assert row["gain"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": (0,)}, "n, top_k and contexts >= 1"),
        ({"top_k": (0,)}, "n, top_k and contexts >= 1"),
        ({"contexts": 0}, "n, top_k and contexts >= 1"),
        ({"budget": (-0.1,)}, "budget"),
        ({"temperature": (-1.0,)}, "temperature"),
        ({"pair": "nonsense"}, "unknown pair"),
    ],
)
def test_bad_input_is_refused_before_any_work(change, message):
    with pytest.raises(ValueError, match=message):
        best_draft.run(dataclasses.replace(CONFIG, **change))
