"""The numbers of the search for weights, and what chose each."""

from typing import NamedTuple

from specjax.solvers.levels import race_masses


class Settings(NamedTuple):
    """The numbers of the search; "not swept" marks those that no measurement chose.

    The gaps are those of 20 to 1,000 contexts in float32, in units of 1e-6.

    Attributes:
      own: up to this V every token is a node. With 64, chords between nodes left flat q short.
      heads: likeliest tokens, which race one by one and are nodes of their own. Not swept.
      grid: nodes of the other tokens beyond V = own. With 96, chords left flat q short; 128 is as
        near as 192 on log-normal laws, and no faster.
      fine: steps of p/q by which the first nodes part the mass. Not swept.
      order: of the series in the rates of the other tokens. Not swept.
      cell: width of a cell of levels in the logarithm of time. Not swept.
      short: of the optimum is let go; with 8 instead of 3, log-normal laws of V = 32768 stay 4.5
        short.
      refinements: of the nodes, at most; with two, n = 8 stays 6.5 short where three leave 1.5.
      first: the slack of the first solve. Not swept.
      falls: times smaller the slack gets. Not swept.
      steady: mass that is wrong when it does. Not swept.
      farthest: step of a weight's logarithm. Not swept.
      worse: times more mass is wrong after a step that was too long. Not swept.
      steps: of Newton's method, at most. 13 to 24 are usual, 46 the most seen; flat q takes more.
      balances: rounds in which a node's shares are made to add up. Not swept.
      ridge: of the diagonal. With 1e-6 the steps ran out in float32 at n = 8 and flat q.
      little: of a rate, and of a part of the nodes, so that none is 0. Not swept.
      faint: a chance that is none.
      precise_float32: mass that may be wrong at the end of a solve in float32. Not swept.
      precise_float64: the same in float64. Not swept.
    """

    own: int = race_masses.ALL
    heads: int = 64
    grid: int = 192
    fine: int = 1024
    order: int = 3
    cell: float = 1.0
    short: float = 3e-6
    refinements: int = 3
    first: float = 0.1
    falls: float = 6.0
    steady: float = 0.1
    farthest: float = 2.0
    worse: float = 1.1
    steps: int = 120
    balances: int = 3
    ridge: float = 1e-5
    little: float = 1e-5
    faint: float = 1e-30
    precise_float32: float = 1e-6
    precise_float64: float = 1e-13


SETTINGS = Settings()
