"""Lossy rules of one draft: they are what `theory.lossy_rules` says, keep what they claim, and give
laws in float32.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.enumeration import rule_laws
from specjax import rules
from tests.helpers.lossy_families import nearest, pairs
from theory import battery, front, lossy, lossy_rules

LOSSY = [
    make for make in rules.all() if hasattr(lossy_rules, make.name) and not hasattr(make, "seeing")
]
FRONT = [make for make in LOSSY if make.claims.on_front]
LIVE = np.array([[False], [True]])
FAMILIES = ("text", "image")


@functools.cache
def family(kind, count=30):
    return list(pairs(kind, count))


def small():
    return [pair[1:] for pair in (*battery.laws(6, 0), *battery.drawn(6, 0))]


def groups():
    """Pairs of one size each: of the battery, and of the families with an embedding for all."""
    yield small(), None
    yield [pair[1:] for pair in battery.laws(33, 0)], None
    for kind in FAMILIES:
        yield [pair[:2] for pair in family(kind)], family(kind)[0][2]


def made(make, embedding):
    """The rule with small tables, if it reads any."""
    if embedding is None or make.name not in ("lantern", "grouped"):
        return make()
    if make.name == "grouped":
        return make(embedding=jnp.asarray(embedding, jnp.float32))
    return make(count=32, neighbours=jnp.asarray(nearest(embedding)[:, :33], jnp.int32))


def twin(rule, p, q):
    """The rule as theory has it."""
    fields = {
        name: np.asarray(value) if isinstance(value, jax.Array) else value
        for name, value in vars(rule).items()
    }
    return getattr(lossy_rules, rule.name)(p, q, **fields)


def table(rule, laws):
    """The rule's laws without and with the draft, [B, 2, V, V], and the stacked p and q."""
    p, q = (np.stack(column) for column in zip(*laws, strict=True))
    return rule_laws.laws(rule, p, q, 1, LIVE), p, q


@pytest.mark.parametrize("make", LOSSY, ids=lambda make: make.name)
def test_the_rule_is_that_of_theory(make):
    for laws, embedding in groups():
        rule = made(make, embedding)
        found, p, q = table(rule, laws)
        exact = np.stack([lossy.laws(twin(rule, *pair)) for pair in laws])
        error = np.abs(q[:, :, None] * (found[:, 1] - exact)).max()
        print(f"V = {p.shape[1]}: largest difference {error:.1e}")
        assert error < 1e-9
        np.testing.assert_allclose(found[:, 1].sum(-1), 1, atol=1e-12)
        assert found.min() >= 0
        best = np.eye(p.shape[1])[p.argmax(1)]
        alone = p if make.claims.bonus == "target" else best
        np.testing.assert_array_equal(found[:, 0], np.broadcast_to(alone[:, None], exact.shape))


@pytest.mark.parametrize("make", LOSSY, ids=lambda make: make.name)
def test_what_is_stated_is_what_is_enumerated(make):
    for laws, embedding in groups():
        rule = made(make, embedding)
        found, p, q = table(rule, laws)
        if hasattr(rule, "emitted"):
            stated = rule_laws.expectations(lambda p, q, rule=rule: rule.emitted(p, q, 1), p, q)
            emitted = np.einsum("bx,bxy->by", q, found[:, 1])
            assert np.abs(stated - emitted).max() < 1e-9
        if hasattr(rule, "expected_acceptance"):
            stated = rule_laws.expectations(
                lambda p, q, rule=rule: rule.expected_acceptance(p, q, 1), p, q
            )
            assert np.abs(stated - np.einsum("bx,bxx->b", q, found[:, 1])).max() < 1e-9


def distances(laws, rule):
    """Acceptance, optimum and emitted law at every pair."""
    found, p, q = table(rule, laws)
    accepted = np.einsum("bx,bxx->b", q, found[:, 1])
    return accepted, np.minimum(p, q).sum(1), np.einsum("bx,bxy->by", q, found[:, 1]), p


@pytest.mark.parametrize("make", LOSSY, ids=lambda make: make.name)
def test_a_rule_claims_the_front_iff_it_is_on_it(make):
    """A = min(1, alpha* + TV) at every pair; a rule that does not claim it is below somewhere."""
    short = 0.0
    for laws, embedding in groups():
        accepted, optimum, emitted, p = distances(laws, made(make, embedding))
        front = np.minimum(1, optimum + np.abs(emitted - p).sum(1) / 2)
        assert (accepted <= front + 1e-9).all()
        short = max(short, (front - accepted).max())
    print(f"largest distance from the front {short:.1e}")
    assert (short < 1e-9) == make.claims.on_front


def measured(measure, emitted, p):
    if measure == "tv":
        return np.abs(emitted - p).sum(1) / 2
    if measure == "kl":
        return np.array([front.divergence(*pair) for pair in zip(emitted, p, strict=True)])
    known = np.where(p > 0, p, 1)
    return np.where(p > 0, emitted / known, np.where(emitted > 1e-12, np.inf, 0)).max(1)


@pytest.mark.parametrize("value", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("make", [make for make in LOSSY if make.claims.loss], ids=lambda m: m.name)
def test_a_rule_stays_within_its_budget(make, value):
    (field,) = dataclasses.fields(make)
    rule = make(**{field.name: value})
    loss = make.claims.loss
    for laws, _ in groups():
        *_, emitted, p = distances(laws, rule)
        emitted = np.where(emitted < 1e-15, 0, emitted)
        spent = measured(loss.measure, emitted, p).max()
        print(f"{loss.measure} {spent:.4f} of {getattr(rule, loss.field):.4f}")
        assert spent <= getattr(rule, loss.field) * (1 + 1e-9)


@pytest.mark.parametrize("delta", [0.01, 0.05, 0.1, 0.5])
def test_cactus_exceeds_its_delta(delta):
    """Its delta bounds the law of each draft; what is emitted is further from p at most pairs."""
    laws = [pair[:2] for pair in family("text", 200)]
    *_, emitted, p = distances(laws, rules.get("cactus")(delta))
    spent = measured("kl", emitted, p)
    print(f"delta {delta}: KL {spent.mean():.3f}, larger at {(spent > delta).mean():.1%} of pairs")
    assert delta == 0.5 or (spent > delta).mean() > 0.85


@pytest.mark.parametrize("make", LOSSY, ids=lambda make: make.name)
def test_float32_at_a_large_vocabulary(make, seed):
    """A law with a heavy tail and zeros, under jit: finite, sums to 1; the draft where p or q is 0,
    and where both are.
    """
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, 50257)
    p, q = (np.exp(x) for x in (logits, logits + rng.normal(size=logits.shape)))
    p[::3] = 0
    q[::5] = 0
    p, q = (jnp.asarray(law / law.sum(), jnp.float32) for law in (p, q))
    law = jax.jit(lambda token, live, p, q: make().law(token[None], p, q, live[None]))
    for token, live in ((3, True), (5, True), (15, True), (7, True), (8, True), (7, False)):
        found = np.asarray(law(jnp.asarray(token), jnp.asarray(live), p, q), np.float64)
        assert np.isfinite(found).all()
        assert found.min() >= 0
        assert abs(found.sum() - 1) < 1e-5, token
