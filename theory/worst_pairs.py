"""The pairs of laws at which a rule attains the least part of the optimum that it ever does: one
function per rule, of the rule's name.

alpha* = 1 at all of them.

Recursive rejection, each draft with a law q_i of its own. Let S be the tokens of which some p is
left in the end, T the others, x = p(T), C = prod q_i(T). Before draft i no more is left on S than
in all, Z_i, and the draft takes Z_i q_i(S) there: so 1 - alpha <= (q_1(T) - x) C / q_1(T), while
alpha* <= min(1, 1 + x - C). The ratio is least at x = C: 1 - C + C^2 / q_1(T).

- multi_drafter: 3/4, at q_1(T) = 1, C = 1/2;
- recursive_rejection, where C = c^n: 1 - c n (n-1) / (2n-1)^2 at c^(n-1) = n / (2n-1), which falls
  to 3/4.

K-SEQ. Let P(u) be the p mass of the tokens of smallest p/q that hold the q mass u: a convex
function, and alpha* >= a iff P(u) >= u^n - (1 - a) for all u. The acceptance A is min_u [P(u) + rho
(1 - u)] at the rho = A / (1 - (1 - A)^(1/n)), which falls in A: so the smaller P, the smaller A,
and the polygon through (0, 0), (u, P(u)), (1, 1), u the minimiser, has the same A. Two tokens
suffice, q = (c, 1 - c). The smallest P, max(0, u^n - (1 - a)), gives A(a) with rho = n c^(n-1).
With s = (1 - A)^(1/n), dA/da <= A / a comes down to c >= s, which holds as rho = 1 + s + .. +
s^(n-1) >= n s^(n-1): A / a falls in a, hence a = 1 and p = (c^n, 1 - c^n).

- kseq: A = c^n + n c^(n-1) (1 - c) = 1 - ((1 - 1/n) c)^n at the c where the two agree; it falls to
  1 - e^(-1-y), e^y = 1 + y + 1/e, which is .82636. The theorem's 1 - 1/e is not tight: it is what
  rho = n, its choice, accepts where p = q.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from theory.problem import Problem


def kseq(n: int) -> Problem:
    """For n >= 2."""

    def gap(c: float) -> float:
        return c**n + n * c ** (n - 1) * (1 - c) - 1 + ((1 - 1 / n) * c) ** n

    return _two_tokens(n, float(brentq(gap, 0.5, 1 - 0.1 / n, xtol=1e-16)))


def recursive_rejection(n: int) -> Problem:
    """For n >= 2."""
    return _two_tokens(n, (n / (2 * n - 1)) ** (1 / (n - 1)))


def multi_drafter(n: int) -> Problem:
    """For n >= 2."""
    sure = np.array([1.0, 0.0])
    even = np.array([0.5, 0.5])
    return Problem(even, np.stack([sure, even, *[sure] * (n - 2)]), n, "independent")


def _two_tokens(n: int, c: float) -> Problem:
    return Problem(np.array([c**n, 1 - c**n]), np.array([c, 1 - c]), n, "iid")
