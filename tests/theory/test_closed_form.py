"""Closed forms against the enumerated law of each rule, written here once more, straight from its
sequential description.
"""

import itertools

import numpy as np
import pytest

from theory import Problem, battery, closed_form, is_lossless, selection, subsets


def residual(weights, fallback):
    total = weights.sum()
    return weights / total if total > 0 else fallback


def accepting(x, probability, rest):
    """The law of a rule that offers its drafts one by one and ends in `rest`."""
    law = np.zeros(len(rest))
    alive = 1.0
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
    target = p
    probability = []
    for token in x:
        probability.append(clip_ratio(target[token], q[token]))
        target = residual(np.maximum(target - q, 0), target)
    return accepting(x, probability, target)


def kseq(x, p, q):
    rho = closed_form.kseq_rho(p, q, len(x), "iid")
    n = len(x)
    thin = np.minimum(p / rho, q)
    beta = thin.sum()
    hit = thin * (1 - (1 - beta) ** n) / beta if beta > 0 else thin
    return accepting(
        x, [clip_ratio(p[i], rho * q[i]) for i in x], residual(np.maximum(p - hit, 0), p)
    )


def greedy(x, p, q):
    """Of the two or more drafts all but one are certain: the single rule on the uncertain one,
    under its own law.
    """
    top = sorted(range(len(q)), key=lambda i: (-q[i], i))
    count = min(len(x), np.count_nonzero(q)) - 1 if len(set(x)) == len(x) else 0
    last = q.copy()
    last[top[:count]] = 0
    last /= last.sum()
    drawn = next(i for i in x if i not in top[:count])
    return single([drawn], p, last)


def recursive_rejection_without_replacement(x, p, q):
    target = p
    draft = q
    probability = []
    for token in x:
        probability.append(clip_ratio(target[token], draft[token]))
        target = residual(np.maximum(target - draft, 0), target)
        draft = residual(np.where(np.arange(len(q)) == token, 0, draft), q)
    return accepting(x, probability, target)


def hub(x, p, q):
    """SpecHub step by step: what the target and the pairs still hold is written down after each
    offer.
    """
    a = np.argmax(q)
    other = x[1] if x[0] == np.argmax(q) else x[0]
    first = np.where(np.arange(len(q)) == a, 0, q)
    second = first * q[a] / first.sum() if first.any() else first
    after_first = np.where(np.arange(len(q)) == a, 0, np.maximum(p - first, 0))
    after_second = np.maximum(after_first - second, 0)
    open_second = np.maximum(second - after_first, 0).sum() if first.any() else 1.0
    open_first = np.maximum(first - p, 0).sum()
    hub_left = max(p[a] - open_second, 0)
    rest = after_second.copy()
    rest[a] = max(hub_left - open_first, 0)
    if x[0] == a:
        offers = [
            0.0 if other == a else clip_ratio(after_first[other], second[other]),
            clip_ratio(p[a], open_second),
        ]
    else:
        offers = [clip_ratio(p[other], first[other]), clip_ratio(hub_left, open_first)]
    return accepting([other, a], offers, residual(rest, p))


def one_hot(x, p, q):
    left = p.copy()
    probability = []
    for token in x:
        probability.append(left[token] / left.sum() if left.sum() > 0 else 0.0)
        left[token] = 0
    return accepting(x, probability, residual(left, p))


def importance_weighted(x, p, q):
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.clip(
            np.floor(64 * np.log(np.where(p > 0, p / q, 0)) + np.sqrt(0.5)), -64 * 22, 64 * 22
        )
    largest = np.zeros_like(q)
    for drawn in itertools.product(range(len(q)), repeat=len(x)):
        largest[max(drawn, key=level.__getitem__)] += q[list(drawn)].prod()
    weight = selection.selection_weight(p, q, largest)
    law = q + weight * (largest - q)
    best = max(x, key=level.__getitem__)  # the first of equals
    return weight * single([best], p, law) + (1 - weight) * single(x[:1], p, law)


COVERED = [
    (importance_weighted, "iid", (1, 2, 3)),
    (recursive_rejection_without_replacement, "without_replacement", (1, 2)),
    (hub, "hub", (2,)),
    (one_hot, "top_n", (1, 2, 3)),
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
        assert is_lossless(laws, joint.mass, pair.p, 1e-12), (
            f"{pair.name}: the second writing of the rule must be lossless"
        )
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
    """Its theorem: at least 1 - 1/e of the optimum. S^n >= R at rho up to rounding, so its residual
    is not clipped.
    """
    for pair in battery.laws(v, seed=n):
        rho = closed_form.kseq_rho(pair.p, pair.q, n, "iid")
        optimum = subsets.optimum(Problem(pair.p, pair.q, n, "iid")).value
        assert 1 <= rho <= n, pair.name
        assert closed_form.kseq(pair.p, pair.q, n, "iid") >= (1 - 1 / np.e) * optimum - 1e-12, (
            pair.name
        )
        excess = np.maximum(pair.p - rho * pair.q, 0).sum()
        assert ((excess + rho - 1) / rho) ** n >= excess - 4 * n * np.finfo(float).eps, pair.name


@pytest.mark.parametrize(
    ("rule", "scheme"), [("optimal", "iid"), ("optimal_without_replacement", "without_replacement")]
)
def test_the_optimal_rules_accept_the_optimum(rule, scheme):
    for n, pair in itertools.product((1, 2, 3), battery.laws(5, seed=0)):
        optimum = subsets.brute_force(Problem(pair.p, pair.q, n, scheme)).value
        assert abs(getattr(closed_form, rule)(pair.p, pair.q, n, scheme) - optimum) < 1e-10, (
            pair.name
        )


def multi_drafter(x, p, q):
    target = p
    probability = []
    for token, own in zip(x, q, strict=True):
        probability.append(clip_ratio(target[token], own[token]))
        target = residual(np.maximum(target - own, 0), target)
    return accepting(x, probability, target)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_closed_form_for_different_drafters(n):
    worst = 0.0
    for pair in battery.laws(4, seed=n):
        several = pair._replace(q=np.stack([pair.q, pair.p, pair.q[::-1]])[:n])
        joint, laws, accepted = enumerated(multi_drafter, several, n, "independent")
        assert is_lossless(laws, joint.mass, pair.p, 1e-12), pair.name
        stated = closed_form.multi_drafter(*several[1:], n, "independent")
        assert (
            stated <= subsets.brute_force(Problem(*several[1:], n, "independent")).value + 1e-12
        ), pair.name
        worst = max(worst, abs(stated - accepted))
    print(f"largest difference {worst:.1e}")
    assert worst < 1e-12


@pytest.mark.parametrize("seed", range(20))
def test_the_weight_of_the_selection_is_the_best_one(seed):
    """sum min(p, q + w (largest - q)) is nowhere on a fine grid larger by more than the slope that
    is let go.
    """
    for pair in battery.laws(6, seed=seed):
        largest = selection.picks(pair.q, selection.cells(pair.p, pair.q), 3).law
        weight = selection.selection_weight(pair.p, pair.q, largest)
        grid = np.append(np.linspace(0, 1, 501), weight)[:, None]
        accepted = np.minimum(pair.p, pair.q + grid * (largest - pair.q)).sum(axis=1)
        assert accepted[-1] >= accepted.max() - 1.001 * selection.SLOPE, pair.name


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
        (
            "recursive_rejection_without_replacement",
            3,
            "without_replacement",
            "closed form for at most 2 drafts, got 3",
        ),
        (
            "recursive_rejection",
            2,
            "without_replacement",
            "scheme: recursive_rejection has a closed form under iid",
        ),
        ("single", 2, "iid", "n: single verifies one draft, expected 1, got 2"),
        ("greedy", 2, "iid", "scheme: greedy has a closed form under greedy, hub, got 'iid'"),
    ],
)
def test_a_scheme_without_the_closed_form_is_refused(rule, n, scheme, message):
    with pytest.raises(ValueError, match=message):
        getattr(closed_form, rule)([0.5, 0.5], [0.4, 0.6], n, scheme)
