"""What is no pair of laws is refused where the bounds and the rules are called, in words; under jit
only its shape is seen.
"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax import _laws, bounds, rules

LAW = np.float32([0.5, 0.3, 0.2])
WRONG = {
    "batch": (
        np.stack([LAW, LAW]),
        r"p: expected shape \[V\], one law at a time, use jax.vmap for a batch, got \(2, 3\)",
    ),
    "integers": (np.array([1, 0, 0]), "p: expected probabilities in a float dtype, got int"),
    "logits": (
        np.float32([2.0, -1.0, 0.5]),
        "p: expected finite probabilities of at least 0, got -1.0: logits become a law",
    ),
    "weights": (np.float32([2.0, 1.0, 0.5]), "p: expected a sum within 0.001 of 1, got 3.5"),
    "nan": (
        np.float32([0.5, np.nan, 0.5]),
        "p: expected finite probabilities of at least 0, got nan",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_bounds_refuse_what_is_no_law(kind):
    wrong, message = WRONG[kind]
    # without the run-time checks of types, which users do not have
    bracket = inspect.unwrap(bounds.bracket)
    with pytest.raises(ValueError, match=message):
        bracket(jnp.asarray(wrong), jnp.asarray(LAW), 2, "iid")
    with pytest.raises(ValueError, match="q: expected"):
        bracket(jnp.asarray(LAW), jnp.asarray(wrong), 2, "iid")


def calls(name):
    """The public methods of a rule that take laws, as functions of p and q; of a rule made for this
    size.
    """
    make, tokens, mask = rules.get(name), jnp.zeros(1, int), jnp.ones(1, bool)
    rule = make(jnp.zeros((3, 3))) if make.claims.per_pair else make()
    yield lambda p, q: rule.law(tokens, p, q, mask)
    yield lambda p, q: rule.law(tokens=tokens, p=p, q=q, mask=mask)
    for stated in ("expected_acceptance", "certificate"):
        if hasattr(rule, stated):
            yield lambda p, q, stated=stated: getattr(rule, stated)(p, q, 1)


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("name", rules.names())
def test_rules_refuse_what_is_no_law(name, kind):
    wrong, message = WRONG[kind]
    for call in calls(name):
        with pytest.raises(ValueError, match=message):
            call(jnp.asarray(wrong), jnp.asarray(LAW))


def test_a_rule_that_passes_its_arguments_on_refuses_what_is_no_law():
    @rules.register
    class Same:
        claims = rules.Claims(lossless=True, drafting=frozenset({"iid"}))

        def law(self, tokens, *others):
            return rules.get("single")().law(tokens, *others)

    mask, law = jnp.ones(1, bool), jnp.asarray(LAW)
    assert jnp.allclose(Same().law(jnp.zeros(1, int), law, law, mask), jnp.array([1, 0, 0]))
    with pytest.raises(ValueError, match="p: expected a sum"):
        Same().law(jnp.zeros(1, int), 2 * law, law, mask)


def test_an_estimate_refuses_what_is_no_law(key):
    rule = rules.get("kseq")()
    with pytest.raises(ValueError, match="q: expected a sum"):
        rules.estimate_acceptance(key, rule, jnp.asarray(LAW), jnp.asarray(2 * LAW), 2, "iid", 4)


def test_within_a_program_only_the_shape_is_seen():
    rule, wrong = rules.get("single")(), jnp.asarray(2 * LAW)
    assert jax.jit(lambda p: rule.law(jnp.zeros(1, int), p, p, jnp.ones(1, bool)))(wrong).shape == (
        3,
    )
    with pytest.raises(ValueError, match="for a batch"):
        jax.jit(lambda p: rule.law(jnp.zeros(1, int), p, p, jnp.ones(1, bool)))(
            jnp.stack([wrong, wrong])
        )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float16, jnp.bfloat16])
def test_rounded_laws_pass(dtype, seed):
    rounded = jnp.asarray(np.random.default_rng(seed).dirichlet(np.ones(500), 20), dtype)
    for p in rounded:
        _laws.check_laws(p, p, slots=False)
    _laws.check_laws(rounded[0], rounded, slots=True)
