"""Expected acceptance of the rules that have a closed form.

There is one function for each rule, of the rule's name, and two bounds. Each takes (p, q, n,
scheme): the target law [V], the draft law [V] ([n, V] under `independent`), the number of drafts
and the drafting scheme. It returns a probability. It raises ValueError if (p, q, n, scheme) is no
`theory.Problem`, or if the formula does not cover the scheme. The functions of the lossy rules of
one draft, with the rules' defaults, come from `lossy_rules`.
"""

import inspect
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from theory import drafting, lossy, lossy_rules, selection, subsets
from theory._arrays import Law, Values
from theory.front import front as front_of
from theory.problem import Problem, as_law

Formula = Callable[[Problem], float]
Acceptance = Callable[[Law, Law, int, str], float]


def _under(*schemes: str) -> Callable[[Formula], Acceptance]:
    """Turns a formula into a function of (p, q, n, scheme).

    The function refuses schemes that are not named; if none is named, it takes all.
    """

    def wrap(formula: Formula) -> Acceptance:
        name = formula.__name__

        def acceptance(p: Law, q: Law, n: int, scheme: str) -> float:
            if schemes and scheme not in schemes:
                covered = ", ".join(schemes)
                raise ValueError(
                    f"scheme: {name} has a closed form under {covered}, got {scheme!r}"
                )
            return formula(Problem(p, q, n, scheme))

        acceptance.__name__ = acceptance.__qualname__ = name
        acceptance.__doc__ = formula.__doc__
        return acceptance

    return wrap


def __getattr__(name: str) -> Acceptance:
    """The acceptance of a lossy rule of one draft whose residual does not depend on the draft.

    Raises:
      AttributeError: `lossy_rules` has no rule of this name.
    """
    rule = getattr(lossy_rules, name, None)
    if not inspect.isfunction(rule) or name.startswith("_"):
        raise AttributeError(f"closed_form: no rule {name!r}")

    def accepted(problem: Problem) -> float:
        _check_one_draft(problem, name)
        made = rule(problem.p, problem.q)
        return lossy.measure(made, problem.p, problem.q).accepted

    accepted.__name__ = name
    return _under("iid")(accepted)


@_under("greedy", "iid", "without_replacement")
def single(problem: Problem) -> float:
    """sum min(p, q), for one draft from q.

    Cost: O(V). Source: leviathan2023fast.

    Raises:
      ValueError: n is not 1.

    Example:
      >>> from theory import closed_form
      >>> round(closed_form.single([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 1, "iid"), 6)
      0.7
    """
    _check_one_draft(problem, "single")
    return 1.0 - total_variation(problem.p, problem.q)


@_under("iid")
def cactus(problem: Problem) -> float:
    """sum min(q, h), h = p + sqrt(0.2 p (1 - p)); no refused draft is drawn again.

    Cost: O(V). Source: hao2026cactus.
    """
    _check_one_draft(problem, "cactus")
    variance = problem.p * (1.0 - problem.p)
    raised = problem.p + np.sqrt(0.2 * variance)
    return float(np.minimum(problem.q, raised).sum())


@_under("iid")
def sglang_thresholds(problem: Problem) -> float:
    """sum of q where p >= 1/2, of q p elsewhere; no refused draft is drawn again.

    Cost: O(V). Source: zheng2024sglang.
    """
    _check_one_draft(problem, "sglang_thresholds")
    kept = np.where(problem.p >= 0.5, 1.0, problem.p)
    return float(problem.q @ kept)


@_under()
def naive_membership(problem: Problem) -> float:
    """sum_y p(y) P(y among the drafts): the output is drawn from p, whatever the drafts are.

    Source: miao2024specinfer.
    """
    return float(problem.p @ _inclusion(problem))


@_under("iid")
def naive_first(problem: Problem) -> float:
    """sum min(p, q) + sum (p - q)+ (1 - (1 - q)^(n-1)): the single rule on the first draft.

    Its residual may hit another draft. Cost: O(V).
    """
    excess = np.maximum(problem.p - problem.q, 0.0)
    missed = (1.0 - problem.q) ** (problem.n - 1)
    return 1.0 - float(excess @ missed)


@_under("iid")
def recursive_rejection(problem: Problem) -> float:
    """1 - prod_i sum (r_i - q)+, with r_1 = p and r_{i+1} ~ (r_i - q)+.

    Cost: O(V n). Source: miao2024specinfer.

    Example:
      >>> from theory import closed_form
      >>> round(closed_form.recursive_rejection([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "iid"), 6)
      0.76
    """
    return _recursion(problem.p, np.tile(problem.q, (problem.n, 1)))


@_under("iid")
def kseq(problem: Problem) -> float:
    """1 - S(rho*)^n, S(rho) = 1 - sum min(p / rho, q), at the optimal rho.

    Cost: O(V) for each step of the root. Source: sun2023spectr.

    Example:
      >>> from theory import closed_form
      >>> round(closed_form.kseq([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "iid"), 6)
      0.791355
    """
    rho = _root(problem)
    return 1.0 - _stay(problem, rho) ** problem.n


@_under("iid")
def kseq_rho(problem: Problem) -> float:
    """K-SEQ's optimal rho in [1, n], the root of 1 - (1 - beta)^n = rho beta.

    It lies on the side of the root on which the rule is lossless. Source: sun2023spectr.
    """
    return _root(problem)


@_under("greedy", "hub")
def greedy(problem: Problem) -> float:
    """The optimum of the greedy and hub schemes, which their rule attains.

    Cost: O(V log V). Source: hu2025towards, sun2024spechub.
    """
    return subsets.optimum(problem).value


@_under("iid")
def optimal(problem: Problem) -> float:
    """The optimum of independent drafts, which their optimal rule attains.

    Cost: O(V log V). Source: hu2025towards.

    Example:
      >>> from theory import closed_form
      >>> round(closed_form.optimal([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "iid"), 6)
      0.86
    """
    return subsets.optimum(problem).value


@_under("without_replacement")
def optimal_without_replacement(problem: Problem) -> float:
    """The optimum of drafts without replacement, which the rule of this name seeks.

    Cost: O(V n nodes). Source: hu2025towards.
    """
    return subsets.optimum(problem).value


@_under("hub")
def hub(problem: Problem) -> float:
    """p_a + sum over the rest of min(p, q / (1 - q_a)), a the most likely token of q.

    It is the scheme's optimum. Source: sun2024spechub.
    """
    p = problem.p
    q = problem.q
    others = np.arange(len(q)) != np.argmax(q)
    spread = q[others]
    if spread.any():
        spread = spread / spread.sum()
    hit = np.minimum(p[others], spread)
    return float(p[~others].sum() + hit.sum())


@_under("top_n")
def one_hot(problem: Problem) -> float:
    """1 - prod_i (1 - p(x_i) / (1 - p(x_1) - .. - p(x_{i-1}))).

    It telescopes to p of the drafted set. Source: li2024eagle.
    """
    missed = 1.0
    for token in problem.joint().tokens[0]:
        missed = max(missed - problem.p[token], 0.0)
    return 1.0 - missed


@_under("independent")
def multi_drafter(problem: Problem) -> float:
    """1 - prod_i sum (r_i - q_i)+, with r_1 = p and r_{i+1} ~ (r_i - q_i)+.

    Cost: O(V n). Source: miao2024specinfer.
    """
    return _recursion(problem.p, problem.q)


@_under("iid")
def front(problem: Problem) -> float:
    """The most that any rule accepts where one more unit costs 1 nat of KL: see `theory.front`.

    Cost: O(V log V). Source: specjax2026.
    """
    return front_of(problem).at_price(1.0).acceptance


@_under("iid")
def importance_weighted(problem: Problem) -> float:
    """The draft of largest p/q, or the first, before the one-draft rule: see `theory.selection`.

    Source: khisti2024multidraft.
    """
    return selection.importance_weighted(problem.p, problem.q, problem.n)


@_under("without_replacement")
def recursive_rejection_without_replacement(problem: Problem) -> float:
    """1 - sum (p - q)+ for one draft, `theory.selection.pairs_without_replacement` for two.

    Source: jeon2024recursive.

    Raises:
      ValueError: n is above 2.
    """
    if problem.n > 2:
        raise ValueError(
            f"n: recursive_rejection_without_replacement has a closed form for at most 2 drafts, "
            f"got {problem.n}"
        )
    if problem.n == 1:
        return 1.0 - total_variation(problem.p, problem.q)
    return selection.pairs_without_replacement(problem.p, problem.q)


@_under()
def singleton_bound(problem: Problem) -> float:
    """sum_y min(p(y), P(y among the drafts)), which no lossless rule exceeds.

    Each token is accepted only if it was drafted.
    """
    return float(np.minimum(problem.p, _inclusion(problem)).sum())


def total_variation(p: ArrayLike, q: ArrayLike) -> float:
    """sum (p - q)+, half the L1 distance.

    Cost: O(V).

    Args:
      p: [.., V].
      q: as p.

    Returns:
      The distance, in [0, 1] for two laws.

    Raises:
      ValueError: p or q is not a law, or their shapes differ.
    """
    first = as_law("p", p)
    second = as_law("q", q)
    if first.shape != second.shape:
        raise ValueError(f"q: expected the shape of p, {first.shape}, got {second.shape}")
    return float(np.abs(first - second).sum() / 2.0)


def _check_one_draft(problem: Problem, name: str) -> None:
    if problem.n != 1:
        raise ValueError(f"n: {name} verifies one draft, expected 1, got {problem.n}")


def _recursion(p: Law, laws: Law) -> float:
    """1 - prod_i sum (r_i - q_i)+, with r_1 = p and r_{i+1} ~ (r_i - q_i)+.

    The laws q_i [n, V] are those of the drafts.
    """
    residual = p
    rejected = 1.0
    for law in laws:
        residual = np.maximum(residual - law, 0.0)
        stay = float(residual.sum())
        if stay == 0.0:
            return 1.0
        residual = residual / stay
        rejected = rejected * stay
    return 1.0 - rejected


def _inclusion(problem: Problem) -> Values:
    return drafting.get(problem.drafting).inclusion(problem.q, problem.n)


def _excess(problem: Problem, rho: float) -> float:
    """R(rho) = sum (p - rho q)+."""
    return float(np.maximum(problem.p - rho * problem.q, 0.0).sum())


def _stay(problem: Problem, rho: float) -> float:
    """S(rho) = 1 - beta = (R(rho) + rho - 1) / rho, without the cancellation of 1 - beta."""
    return (_excess(problem, rho) + (rho - 1.0)) / rho


def _root(problem: Problem) -> float:
    """The root of S(rho)^n = R(rho), which is 1 - (1 - beta)^n = rho beta.

    It is rounded up until S^n >= R: the rule is lossless from there. S rises and R falls,
    S(1)^n <= R(1) and S(n)^n >= R(n), so [1, n] brackets it.
    """
    n = problem.n

    def slack(rho: float) -> float:
        return _stay(problem, rho) ** n - _excess(problem, rho)

    if slack(1.0) >= 0.0:
        return 1.0
    if slack(n) <= 0.0:
        return float(n)
    step = np.finfo(float).eps
    rho = brentq(slack, 1.0, n, xtol=1e-15, rtol=4 * step)
    while slack(rho) < 0.0:
        rho = min(rho + step, float(n))
        step = 2 * step
    return float(rho)
