"""Every rule's closed form is theory's, its law can be drawn from, and the table of claims is
README's.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import theory
from experiments import rules as table
from experiments.audit import battery
from experiments.enumeration import rule_laws
from specjax import drafting, numerics, rules
from tests.helpers.marks import thorough
from tests.helpers.places import ROOT
from tests.helpers.sampling import assert_drawn_from, distance

ALL = rules.all()
STATED = [
    pytest.param(make, scheme, marks=thorough(make.name))
    for make in ALL
    if hasattr(make, "expected_acceptance")
    for scheme in sorted(make.claims.expectation_under or make.claims.drafting)
]


@pytest.mark.parametrize(("make", "scheme"), STATED)
def test_expected_acceptance_is_that_of_theory(make, scheme):
    formula = getattr(theory.closed_form, make.name)
    p = np.stack([pair.p for pair in battery()])
    for n in (
        n
        for n in (1, 2, 3)
        if make.claims.admits(n)
        and make.claims.stated_at(scheme, n)
        and rule_laws.drafts(scheme, n)
    ):
        q = np.stack(
            [
                rule_laws.slots(pair.q, n) if scheme == "independent" else pair.q
                for pair in battery()
            ]
        )
        stated = rule_laws.expectations(lambda p, q, n=n: make().expected_acceptance(p, q, n), p, q)
        exact = np.array([formula(*pair, n, scheme) for pair in zip(p, q, strict=True)])
        error = np.abs(stated - exact)
        print(f"n = {n}: largest difference {error.max():.1e} on {battery()[error.argmax()].name}")
        assert error.max() < 1e-9


def draws(rule, scheme, p, q, key, count):
    """Emitted tokens of `count` nodes: drafts drawn, then one token from the rule's law."""

    def one(key):
        draft_key, rule_key = jax.random.split(key)
        tokens, mask = drafting.get(scheme)().sample(draft_key, q, 2)
        return numerics.draw(rule.law(tokens, p, q, mask), numerics.uniforms(rule_key, (), p.dtype))

    return jax.jit(jax.vmap(one))(jax.random.split(key, count))


P, Q = jnp.array([0.4, 0.3, 0.2, 0.1]), jnp.array([0.1, 0.2, 0.3, 0.4])


@pytest.mark.key_reuse
@pytest.mark.parametrize(
    "make", [make for make in ALL if make.claims.admits(2) and not make.claims.per_pair]
)
def test_what_is_drawn_has_law_p(make, key):
    """Or the law that a lossy rule says it emits."""
    for index, scheme in enumerate(sorted(make.claims.drafting - {"independent"})):
        drawn = draws(make(), scheme, P, Q, jax.random.fold_in(key, index), 40_000)
        assert_drawn_from(drawn, rules.emitted(make(), 2, scheme)(P, Q))


def test_noise_shared_between_draft_and_recovery_is_caught(key):
    """One key for drafting and recovery: p = (.4, .3, .2, .1) comes out otherwise."""

    def shared(key):
        token = jnp.argmax(jax.random.gumbel(key, (4,)) + jnp.log(P[::-1]))
        rest = numerics.residual(P, P[::-1])
        recovered = jnp.argmax(jax.random.gumbel(key, (4,)) + jnp.log(rest))
        accept = jax.random.uniform(jax.random.fold_in(key, 1)) * P[::-1][token] < P[token]
        return jnp.where(accept, token, recovered)

    emitted = jax.vmap(shared)(jax.random.split(key, 40_000))
    error, allowed = distance(emitted, P)
    assert error > allowed


def test_readme_holds_the_table():
    held = re.search(
        r"<!-- rules:begin -->\n(.*?)\n<!-- rules:end -->", (ROOT / "README.md").read_text(), re.S
    )
    assert held, "README has no table of rules between its markers"
    assert held[1].strip() == table.markdown(table.run(table.Config(markdown=True)).rows), (
        "run: specjax rules --markdown"
    )


def test_a_rule_is_refused_outside_its_proof():
    with pytest.raises(
        ValueError, match="its proof covers the schemes iid, not without_replacement"
    ):
        rules.check_scheme(rules.get("kseq")(), "without_replacement", 2)
    with pytest.raises(ValueError, match="takes n"):
        rules.check_scheme(rules.get("single")(), "iid", 2)


def test_two_rules_never_share_a_program():
    """Rules with equal fields are different pytrees, or jit would now and then run one for the
    other.
    """
    structures = [jax.tree.structure(make()) for make in ALL if not make.claims.per_pair]
    assert all(one != other for i, one in enumerate(structures) for other in structures[:i])


@pytest.mark.parametrize("make", ALL, ids=lambda cls: cls.name)
def test_every_source_is_in_the_bibliography(make):
    assert f"{{{make.claims.source}," in (ROOT / "references.bib").read_text()
