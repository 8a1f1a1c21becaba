"""The pairs of laws at which a rule attains the least part of the optimum that it ever does.

There is one function for each rule, of the rule's name. alpha* = 1 at all of the pairs.

Recursive rejection, if each draft has a law q_i of its own. Let S be the tokens of which some p is
left in the end, T the others, x = p(T), C = prod q_i(T). Before draft i no more is left on S than
in all, Z_i, and the draft takes Z_i q_i(S) there. So 1 - alpha <= (q_1(T) - x) C / q_1(T), while
alpha* <= min(1, 1 + x - C). The ratio is least at x = C: 1 - C + C^2 / q_1(T).

- multi_drafter: 3/4, at q_1(T) = 1, C = 1/2;
- recursive_rejection has C = c^n: 1 - c n (n-1) / (2n-1)^2 at c^(n-1) = n / (2n-1), which falls to
  3/4.

K-SEQ. Let P(u) be the p mass of the tokens of smallest p/q that hold the q mass u. It is a convex
function, and alpha* >= a iff P(u) >= u^n - (1 - a) for all u. The acceptance A is min_u [P(u) + rho
(1 - u)] at the rho = A / (1 - (1 - A)^(1/n)), which falls in A. So the smaller P, the smaller A,
and the polygon through (0, 0), (u, P(u)), (1, 1), u the minimiser, has the same A. Two tokens
suffice, q = (c, 1 - c). The smallest P, max(0, u^n - (1 - a)), gives A(a) with rho = n c^(n-1).
With s = (1 - A)^(1/n), dA/da <= A / a comes down to c >= s. This holds as rho = 1 + s + .. +
s^(n-1) >= n s^(n-1). So A / a falls in a, hence a = 1 and p = (c^n, 1 - c^n).

- kseq: A = c^n + n c^(n-1) (1 - c) = 1 - ((1 - 1/n) c)^n at the c where the two agree. It falls to
  1 - e^(-1-y), e^y = 1 + y + 1/e, which is .82636. The theorem's 1 - 1/e is not tight: it is what
  rho = n, its choice, accepts if p = q.
"""

import numpy as np
from scipy.optimize import brentq

from theory.problem import Problem


def kseq(n: int) -> Problem:
    """The worst pair of K-SEQ.

    Args:
      n: number of iid drafts, at least 2.

    Returns:
      Two tokens, under scheme `iid`.
    """

    def gap(c: float) -> float:
        accepted = c**n + n * c ** (n - 1) * (1 - c)
        missed = (1 - 1 / n) * c
        return accepted - 1 + missed**n

    return _two_tokens(n, float(brentq(gap, 0.5, 1 - 0.1 / n, xtol=1e-16)))


def recursive_rejection(n: int) -> Problem:
    """The worst pair of recursive rejection.

    Args:
      n: number of iid drafts, at least 2.

    Returns:
      Two tokens, under scheme `iid`.
    """
    power = n / (2 * n - 1)
    return _two_tokens(n, power ** (1 / (n - 1)))


def multi_drafter(n: int) -> Problem:
    """The worst pair of recursive rejection if each draft has a law of its own.

    Args:
      n: number of drafts, at least 2.

    Returns:
      Two tokens, under scheme `independent`.
    """
    sure = np.array([1.0, 0.0])
    even = np.array([0.5, 0.5])
    laws = [sure, even] + [sure] * (n - 2)
    return Problem(even, np.stack(laws), n, "independent")


def _two_tokens(n: int, c: float) -> Problem:
    p = np.array([c**n, 1 - c**n])
    q = np.array([c, 1 - c])
    return Problem(p, q, n, "iid")
