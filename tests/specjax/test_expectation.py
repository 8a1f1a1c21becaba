"""Expected acceptance without enumeration: exact where it is claimed, unbiased where it is
estimated, and differentiable.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.audits import rule_under_audit
from experiments.enumeration import rule_laws
from specjax import rules
from tests.helpers.marks import thorough
from tests.helpers.sampling import DELTA
from theory import Problem, battery, closed_form, selection

ALL = rules.all()
STATED = [make for make in ALL if hasattr(make, "expected_acceptance")]
PAIRS_ONLY = rules.get("recursive_rejection_without_replacement")
CASES = [
    pytest.param(make, n, marks=thorough(make.name))
    for make in STATED
    for n in (1, 2, 4)
    if make.claims.admits(n)
    and make.claims.stated_at(min(make.claims.expectation_under or make.claims.drafting), n)
]
SAMPLES = 4096
KNOWN = tuple(battery.laws(5, seed=0))


def acceptance(make, n):
    """The rule's closed form, as a function of p and q."""
    return lambda p, q: make().expected_acceptance(p, q, n)


def draft_laws(make, q, n):
    return rule_laws.slots(q, n) if make.claims.drafting == {"independent"} else q


@pytest.mark.parametrize(("make", "n"), CASES)
def test_gradients_are_finite_everywhere(make, n):
    """Reverse mode, in float32 and float64, on the whole battery: p = q, one-hot, shared zeros and
    tails included.

    The gradient of x / y divides by y^2: where y may be a mass that float32 cannot square, only
    float64 is held to it.
    """
    gradient = jax.jit(jax.grad(acceptance(make, n), (0, 1)))
    for dtype in (np.float32, np.float64):
        with jax.enable_x64(dtype is np.float64):
            for pair in KNOWN:
                if pair.q[pair.q > 0].min() ** 2 < np.finfo(dtype).tiny:
                    continue
                found = gradient(pair.p.astype(dtype), draft_laws(make, pair.q, n).astype(dtype))
                assert all(np.isfinite(part).all() for part in found), (pair.name, dtype)


@pytest.mark.parametrize(("make", "n"), CASES)
def test_gradients_are_finite_differences(make, n, seed):
    """Along random directions that keep the laws' sums, at pairs without kinks nearby; central
    differences are good to 1e-6 or so.
    """
    value, rng = acceptance(make, n), np.random.default_rng(seed)
    worst = 0.0
    with jax.enable_x64(True):
        both = jax.jit(lambda p, q, dp, dq: jax.jvp(value, (p, q), (dp, dq))[1])
        reverse = jax.jit(jax.grad(value, (0, 1)))
        value = jax.jit(value)
        for _ in range(10):
            p, q = (
                rng.dirichlet(np.full(8, 2.0)),
                draft_laws(make, rng.dirichlet(np.full(8, 2.0)), n),
            )
            dp, dq = rng.normal(size=p.shape), rng.normal(size=q.shape)
            dp, dq = dp - dp.mean(), dq - dq.mean(-1, keepdims=True)
            step = 1e-6 * min(p.min(), q.min())
            slope = (value(p + step * dp, q + step * dq) - value(p - step * dp, q - step * dq)) / (
                2 * step
            )
            by_p, by_q = reverse(p, q)
            found = slope - both(p, q, dp, dq), slope - (by_p * dp).sum() - (by_q * dq).sum()
            worst = max(worst, *(abs(float(difference)) for difference in found))
    print(f"largest difference {worst:.1e}")
    assert worst < 1e-5


@pytest.mark.parametrize(("make", "n"), CASES)
def test_float32_at_a_large_vocabulary(make, n, seed):
    """V = 32768, a heavy tail: float32 against theory's float64."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, 32768)
    p, q = (np.exp(x) / np.exp(x).sum() for x in (logits, logits + rng.normal(0, 1, logits.shape)))
    scheme, q = min(make.claims.expectation_under or make.claims.drafting), draft_laws(make, q, n)
    exact = getattr(closed_form, make.name)(p, q, n, scheme)
    found = float(jax.jit(acceptance(make, n))(p.astype(np.float32), q.astype(np.float32)))
    print(f"{found:.7f}, exactly {exact:.7f}: {found - exact:+.1e}")
    assert abs(found - exact) < 1e-5


def test_two_drafts_without_replacement_are_exact():
    rule, errors = PAIRS_ONLY(), {"theory": 0.0, "device": 0.0}
    with jax.enable_x64(True):
        device = jax.jit(acceptance(PAIRS_ONLY, 2))
        for pair in KNOWN:
            exact = rule_laws.acceptance(rule, Problem(pair.p, pair.q, 2, "without_replacement"))
            errors["theory"] = max(
                errors["theory"], abs(selection.pairs_without_replacement(pair.p, pair.q) - exact)
            )
            errors["device"] = max(errors["device"], abs(device(pair.p, pair.q) - exact))
    print(errors)
    assert max(errors.values()) < 1e-12
    p, q = map(jnp.asarray, KNOWN[0][1:])
    assert rules.expected_acceptance(rule, p, q, 2, "without_replacement") is not None
    assert rules.expected_acceptance(rule, p, q, 3, "without_replacement") is None


SCHEMES = [
    pytest.param(make, scheme, marks=thorough(make.name))
    for make in ALL
    if not make.claims.per_pair and (make.claims.lossless or make.claims.admits(2))
    for scheme in sorted(make.claims.drafting)
]


def estimates(estimate, make, scheme, n, key):
    """(estimate - exact) / standard error on every pair of the battery; 0 where the law mass hardly
    varies and the estimate is right.
    """
    cases, masks = rule_laws.cases(KNOWN, scheme, n), rule_laws.patterns(n)
    table = rule_laws.laws(make(), cases.p, cases.q, n, masks)
    exact = rule_under_audit.acceptance(
        rule_under_audit.RuleUnderAudit(make(), cases, table, table, masks), table
    )
    keys = jax.random.split(key, len(exact))
    p, q = (jnp.asarray(x, jnp.float32) for x in (cases.p, cases.q))
    mean, error = jax.vmap(lambda key, p, q: estimate(key, make(), p, q, n, scheme, SAMPLES))(
        keys, p, q
    )
    off = np.abs(np.asarray(mean) - exact)
    return np.where(off < 1e-5, 0.0, off / np.maximum(error, 1e-9))


@pytest.mark.parametrize(("make", "scheme"), SCHEMES)
def test_the_estimate_is_unbiased(make, scheme, key):
    """Within what a normal law allows at DELTA over the battery; drafts rarer than 1 in 10^5 may
    stay away and shift it by as little.
    """
    n = 2 if make.claims.admits(2) and rule_laws.drafts(scheme, 2) else 1
    scores = estimates(rules.estimate_acceptance, make, scheme, n, key)
    print(f"largest score {scores.max():.2f}, median {np.median(scores):.2f}")
    allowed = math.sqrt(2 * math.log(2 * len(KNOWN) / DELTA))
    assert (scores <= allowed).all()


def test_an_estimate_that_counts_repeated_drafts_twice_is_caught(key):
    def careless(key, rule, p, q, n, scheme, samples):
        tokens = jax.random.categorical(key, jnp.log(q), shape=(samples, n))
        mass = jax.vmap(lambda x: rule.law(x, p, q, jnp.ones(n, bool))[x].sum())(tokens)
        return mass.mean(), mass.std() / samples**0.5

    assert estimates(careless, rules.get("kseq"), "iid", 2, key).max() > 10


def test_the_estimate_refuses_what_the_proof_does_not_cover(key):
    p, q = map(jnp.asarray, KNOWN[0][1:])
    with pytest.raises(ValueError, match="its proof covers the schemes iid"):
        rules.estimate_acceptance(key, rules.get("kseq")(), p, q, 2, "without_replacement", 10)
    with pytest.raises(ValueError, match="samples: expected at least 2, got 1"):
        rules.estimate_acceptance(key, rules.get("kseq")(), p, q, 2, "iid", 1)


@pytest.mark.thorough
def test_more_drafts_than_two_without_replacement_are_estimated_at_a_large_vocabulary(key):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, 4096)
    p, q = (
        jax.nn.softmax(jnp.asarray(x, jnp.float32))
        for x in (logits, logits + rng.normal(0, 1, logits.shape))
    )
    two, four = (
        rules.estimate_acceptance(key, PAIRS_ONLY(), p, q, n, "without_replacement", 512)
        for n in (2, 4)
    )
    exact = float(PAIRS_ONLY().expected_acceptance(p, q, 2))
    print(
        f"n = 2: {two.mean:.4f} +- {two.standard_error:.4f}, exactly {exact:.4f}; n = 4: "
        f"{four.mean:.4f} +- {four.standard_error:.4f}"
    )
    assert abs(two.mean - exact) < 5 * two.standard_error
    assert four.mean > two.mean
