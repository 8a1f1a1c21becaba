"""Closed forms against the enumerated law of each rule, written here once more, straight from its sequential description."""

import numpy as np
import pytest

from theory import Problem, battery, closed_form, is_lossless, subsets


def residual(weights, fallback):
    total = weights.sum()
    return weights / total if total > 0 else fallback


def accepting(x, probability, rest):
    """The law of a rule that offers its drafts one by one and ends in `rest`."""
    law, alive = np.zeros(len(rest)), 1.0
    for token, accept in zip(x, probability, strict=True):
        law[token] += alive * accept
        alive *= 1 - accept
    return law + alive * rest


def clip_ratio(a, b):
    return 1.0 if a >= b else a / b


def single(x, p, q):
    (token,) = x
    return accepting(x, [clip_ratio(p[token], q[token])], residual(np.maximum(p - q, 0), p))


def naive_first(x, p, q):
    return single(x[:1], p, q)


def naive_membership(x, p, q):
    return p


def recursive_rejection(x, p, q):
    target, probability = p, []
    for token in x:
        probability.append(clip_ratio(target[token], q[token]))
        target = residual(np.maximum(target - q, 0), target)
    return accepting(x, probability, target)


def kseq(x, p, q):
    rho, n = closed_form.kseq_rho(p, q, len(x), "iid"), len(x)
    thin = np.minimum(p / rho, q)
    beta = thin.sum()
    hit = thin * (1 - (1 - beta) ** n) / beta if beta > 0 else thin
    return accepting(x, [clip_ratio(p[i], rho * q[i]) for i in x], residual(np.maximum(p - hit, 0), p))


def greedy(x, p, q):
    """Of the two or more drafts all but one are certain: the single rule on the uncertain one, under its own law."""
    top = sorted(range(len(q)), key=lambda i: (-q[i], i))
    count = min(len(x), np.count_nonzero(q)) - 1 if len(set(x)) == len(x) else 0
    last = q.copy()
    last[top[:count]] = 0
    last /= last.sum()
    drawn = next(i for i in x if i not in top[:count])
    return single([drawn], p, last)


COVERED = [
    (single, "iid", (1,)),
    (single, "greedy", (1,)),
    (single, "without_replacement", (1,)),
    (naive_membership, "iid", (1, 2, 3)),
    (naive_membership, "without_replacement", (1, 2, 3)),
    (naive_membership, "greedy", (1, 2, 3)),
    (naive_membership, "hub", (2,)),
    (naive_membership, "top_n", (1, 2, 3)),
    (naive_first, "iid", (1, 2, 3)),
    (recursive_rejection, "iid", (1, 2, 3)),
    (kseq, "iid", (1, 2, 3)),
    (greedy, "greedy", (1, 2, 3)),
    (greedy, "hub", (2,)),
]
CASES = [(rule, scheme, n) for rule, scheme, lengths in COVERED for n in lengths]


def enumerated(rule, pair, n, scheme):
    """The joint law of the drafts, the rule's laws, and the acceptance by membership."""
    problem = Problem(pair.p, pair.q, n, scheme)
    joint = problem.joint()
    drafts = joint.tokens.tolist()
    laws = np.array([rule(x, problem.p, problem.q) for x in drafts])
    member = np.array([np.isin(np.arange(len(problem.p)), x) for x in drafts])
    return joint, laws, joint.mass @ (laws * member).sum(axis=1)


@pytest.mark.parametrize("v", [2, 5])
@pytest.mark.parametrize(("rule", "scheme", "n"), CASES)
def test_closed_form_is_the_enumerated_acceptance(rule, scheme, n, v):
    worst = 0.0
    for pair in battery.laws(v, seed=n):
        joint, laws, accepted = enumerated(rule, pair, n, scheme)
        assert is_lossless(laws, joint.mass, pair.p, 1e-12), f"{pair.name}: the second writing of the rule must be lossless"
        error = abs(getattr(closed_form, rule.__name__)(pair.p, pair.q, n, scheme) - accepted)
        assert error < 1e-12, f"{pair.name}: off by {error:.1e}"
        worst = max(worst, error)
    print(f"largest difference {worst:.1e}")


@pytest.mark.parametrize("v", [2, 5, 30])
@pytest.mark.parametrize(("rule", "scheme", "n"), CASES)
def test_no_rule_exceeds_the_optimum(rule, scheme, n, v):
    for pair in battery.laws(v, seed=n):
        acceptance = getattr(closed_form, rule.__name__)(pair.p, pair.q, n, scheme)
        optimum = subsets.optimum(Problem(pair.p, pair.q, n, scheme)).value
        assert -1e-15 <= acceptance <= optimum + 1e-12, pair.name
        assert optimum <= closed_form.singleton_bound(pair.p, pair.q, n, scheme) + 1e-12, pair.name


@pytest.mark.parametrize("n", [1, 2, 4, 8, 64])
@pytest.mark.parametrize("v", [2, 5, 200])
def test_kseq_keeps_its_promise_and_its_side_of_the_root(n, v):
    """Its theorem: at least 1 - 1/e of the optimum. S^n >= R at rho up to rounding, so its residual is not clipped."""
    for pair in battery.laws(v, seed=n):
        rho = closed_form.kseq_rho(pair.p, pair.q, n, "iid")
        optimum = subsets.optimum(Problem(pair.p, pair.q, n, "iid")).value
        assert 1 <= rho <= n, pair.name
        assert closed_form.kseq(pair.p, pair.q, n, "iid") >= (1 - 1 / np.e) * optimum - 1e-12, pair.name
        excess = np.maximum(pair.p - rho * pair.q, 0).sum()
        assert ((excess + rho - 1) / rho) ** n >= excess - 4 * n * np.finfo(float).eps, pair.name


def test_equal_laws_accept_everything():
    law = battery.laws(6, seed=0)[0].p
    for rule in ("naive_first", "recursive_rejection", "kseq"):
        assert getattr(closed_form, rule)(law, law, 3, "iid") == pytest.approx(1.0, abs=1e-15)


def resampling_from_p(x, p, q):
    """A known bug: after a rejection the output is drawn from p instead of the residual."""
    return accepting(x[:1], [clip_ratio(p[x[0]], q[x[0]])], p)


def counting_explicitly(x, p, q):
    """A known slip: what is right for one draft only, offered for all of them."""
    return accepting(x, [clip_ratio(p[i], q[i]) for i in x], residual(np.maximum(p - q, 0), p))


@pytest.mark.parametrize("bug", [resampling_from_p, counting_explicitly])
def test_a_biased_rule_is_caught(bug):
    errors = {}
    for pair in battery.laws(5, seed=0):
        joint, laws, _ = enumerated(bug, pair, 2, "iid")
        errors[pair.name] = is_lossless(laws, joint.mass, pair.p, 1e-12).error
    print(f"caught on {sum(error > 1e-12 for error in errors.values())} of {len(errors)} pairs")
    assert errors["dirichlet"] > 1e-3


def test_a_rule_under_a_foreign_scheme_is_caught():
    pair = battery.laws(5, seed=0)[0]
    joint, laws, _ = enumerated(recursive_rejection, pair, 2, "without_replacement")
    check = is_lossless(laws, joint.mass, pair.p)
    print(check.reason)
    assert not check
    assert check.error > 1e-3


def test_a_wrong_closed_form_is_caught():
    """Explicit acceptance (stop at the first rejection) is not membership."""
    pair = battery.laws(5, seed=0)[0]
    _, _, accepted = enumerated(naive_first, pair, 2, "iid")
    assert accepted - (1 - closed_form.total_variation(pair.p, pair.q)) > 1e-3


@pytest.mark.parametrize(
    ("rule", "n", "scheme", "message"),
    [
        ("kseq", 2, "greedy", "scheme: kseq has a closed form under iid, got 'greedy'"),
        ("recursive_rejection", 2, "without_replacement", "scheme: recursive_rejection has a closed form under iid"),
        ("single", 2, "iid", "n: single verifies one draft, expected 1, got 2"),
        ("greedy", 2, "iid", "scheme: greedy has a closed form under greedy, hub, got 'iid'"),
    ],
)
def test_a_scheme_without_the_closed_form_is_refused(rule, n, scheme, message):
    with pytest.raises(ValueError, match=message):
        getattr(closed_form, rule)([0.5, 0.5], [0.4, 0.6], n, scheme)
