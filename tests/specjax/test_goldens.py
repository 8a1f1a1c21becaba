"""The one-node goldens from the enumerated laws of the rules, from their closed forms, and from the
optimum on device.
"""

import jax
import jax.numpy as jnp
import pytest

from experiments.enumeration import rule_laws
from specjax import bounds, rules
from tests.theory.test_goldens import ACCEPTANCE, OPTIMA, REVERSED
from theory import Problem, lp

pytestmark = pytest.mark.short

ENUMERATED = [
    (*golden[:2], "iid", *golden[2:]) for golden in ACCEPTANCE if golden[2] in rules.names()
]
ENUMERATED += [
    (REVERSED, 2, "without_replacement", "recursive_rejection_without_replacement", 0.82),
    (REVERSED, 2, "greedy", "greedy", 0.90),
]


@pytest.mark.parametrize(("pair", "n", "scheme", "rule", "golden"), ENUMERATED)
def test_acceptance(pair, n, scheme, rule, golden):
    problem, rule = Problem(*pair, n, scheme), rules.get(rule)()
    assert abs(rule_laws.acceptance(rule, problem) - golden) < 1e-6
    with jax.enable_x64(True):
        stated = rules.expected_acceptance(
            rule, jnp.asarray(problem.p), jnp.asarray(problem.q), n, scheme
        )
    assert stated is None or abs(stated - golden) < 1e-6


@pytest.mark.parametrize(("pair", "n", "scheme", "golden"), OPTIMA)
def test_optimum(pair, n, scheme, golden):
    problem = Problem(*pair, n, scheme)
    with jax.enable_x64(True):
        transport = rules.get("transport")(jnp.asarray(lp.plan(problem)))
        assert abs(rule_laws.acceptance(transport, problem) - golden) < 1e-6
        assert (
            abs(
                bounds.optimal_acceptance(jnp.asarray(problem.p), jnp.asarray(problem.q), n, scheme)
                - golden
            )
            < 1e-6
        )
