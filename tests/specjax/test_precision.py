"""Every product of floats behind a law, bound or certificate asks for full precision: a GPU rounds
others to 10 bits.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.inputs.named_verifiers import lifts_rules
from specjax import bounds, couplings, drafting, rules, trees, verifiers
from specjax.rules import Claims, register
from specjax.trees import growth

PRODUCTS = {"dot_general", "conv_general_dilated"}
SMALL, LARGE = 5, 5000  # where sets are sorted, and where they are binned
SIZES = {1: "2", 2: "2x2", 3: "4x2x2"}


def programs(jaxpr):
    """A jaxpr and all that its equations call, however deep."""
    yield jaxpr
    for equation in jaxpr.eqns:
        for part in jax.tree.leaves(
            equation.params, is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr")
        ):
            inner = getattr(part, "jaxpr", part)
            if hasattr(inner, "eqns"):
                yield from programs(inner)


def coarse(function, *arguments):
    """The products of floats of a function that leave their precision to the device."""
    found = []
    for program in programs(jax.make_jaxpr(function)(*arguments).jaxpr):
        for equation in program.eqns:
            exact = jax.lax.Precision.HIGHEST
            if equation.primitive.name in PRODUCTS and equation.invars[0].aval.dtype.kind == "f":
                found += (
                    [] if equation.params["precision"] in (exact, (exact, exact)) else [equation]
                )
    return found


def law(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def check(name, function, *arguments):
    assert not coarse(function, *arguments), name


def made(name, vocabulary, n):
    """The rule, or None where its size is not this one's."""
    make = rules.get(name)
    if not make.claims.admits(n):
        return None
    return make(jnp.zeros((vocabulary,) * (n + 1))) if make.claims.per_pair else make()


def of_q(scheme, vocabulary, n):
    return law(n, vocabulary) if scheme == "independent" else law(vocabulary)


@pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.thorough), 3])
@pytest.mark.parametrize("vocabulary", [SMALL, LARGE])
@pytest.mark.parametrize("name", rules.names())
def test_rules(name, vocabulary, n):
    claims = rules.get(name).claims
    if not claims.admits(n) or (claims.per_pair and vocabulary == LARGE):
        return
    rule = made(name, vocabulary, n)
    if isinstance(rule, rules.Sees):
        rule = rule.seeing(jnp.ones((n, 3)))
    for scheme in sorted(claims.drafting):
        q = of_q(scheme, vocabulary, n)
        check("law", rule.law, jnp.zeros(n, int), law(vocabulary), q, jnp.ones(n, bool))
        emitted = rules.emitted(rule, n, scheme)
        if emitted:
            check("emitted", emitted, law(vocabulary), q)
        for stated in (rules.expected_acceptance, rules.certificate):
            check(
                stated.__name__,
                functools.partial(stated, rule, n=n, scheme=scheme),
                law(vocabulary),
                q,
            )


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("vocabulary", [SMALL, LARGE])
@pytest.mark.parametrize("scheme", bounds.schemes())
def test_bounds_and_their_gradients(scheme, vocabulary, n):
    if scheme == "hub" and n != 2:
        return
    arguments = law(vocabulary), of_q(scheme, vocabulary, n)
    check("bracket", lambda p, q: bounds.bracket(p, q, n, scheme), *arguments)
    check(
        "gradient",
        jax.grad(lambda p, q: bounds.optimal_acceptance(p, q, n, scheme), (0, 1)),
        *arguments,
    )


def audited(name):
    make = verifiers.get(name)
    rule = rules.get("recursive_rejection")()
    return make(rule) if lifts_rules(make) else make()


@pytest.mark.parametrize("vocabulary", [SMALL, LARGE])
@pytest.mark.parametrize("name", verifiers.names())
def test_verifiers(name, vocabulary):
    one, tree = audited(name), trees.parse("chain:2")
    p = law(tree.nodes, vocabulary)

    def draft(q):
        return trees.Draft(tree, jnp.zeros(tree.nodes, jnp.int32), q, "iid")

    check("law", lambda p, q: one.law(draft(q), p), p, p)
    check("verify", lambda p, q: one.verify(jax.random.key(0), draft(q), p), p, p)


@pytest.mark.parametrize("name", drafting.names())
@pytest.mark.parametrize("n", [1, 2, 3])
def test_drafts(name, n):
    if name == "hub" and n != 2:
        return
    check(
        "sample",
        functools.partial(drafting.get(name)().sample, jax.random.key(0), n=n),
        of_q(name, LARGE, n),
    )


@pytest.mark.parametrize("name", growth.names())
def test_grown_trees(name):
    make = growth.get(name)
    tree = make(*map(int, SIZES[len(make.__dataclass_fields__)].split("x")))
    check("expand", lambda q: tree.expand(jax.random.key(0), 0, tree.start(), q), law(1, LARGE))


@pytest.mark.parametrize("name", couplings.names())
def test_couplings(name):
    couple = functools.partial(couplings.get(name)().couple, jax.random.key(0), n=1)
    check("couple", couple, law(LARGE), law(LARGE))


@register
class Coarse:
    """Planted error: a product of default precision, below a loop, a branch and a batch."""

    claims = Claims(lossless=True, drafting=frozenset({"iid"}))

    def law(self, tokens, p, q, mask):
        def turn(i, x):
            return jax.lax.cond(
                x[0] > 0, lambda x: jax.vmap(lambda row: row @ x)(jnp.outer(x, x)), lambda x: x, x
            )

        return jax.jit(lambda p: jax.lax.fori_loop(0, 3, turn, p))(p)


def test_a_product_of_default_precision_is_caught():
    assert coarse(Coarse().law, jnp.zeros(2, int), law(SMALL), law(SMALL), jnp.ones(2, bool))
    assert coarse(jax.grad(lambda p: jnp.dot(p, p)), law(SMALL))
    assert not coarse(lambda tokens: tokens @ tokens, np.ones(3, int))
