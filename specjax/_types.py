"""Types that all packages share: array names, claims, rules and drafting schemes."""

from abc import abstractmethod
from typing import ClassVar, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int, Key

Scalar = Float[Array, ""]
Count = Int[Array, ""]
Index = Int[Array, ""]
Law = Float[Array, " V"]
SlotLaws = Float[Array, "*slots V"]  # one law, or one for each draft
Tokens = Int[Array, " n"]
Mask = Bool[Array, " n"]
RandomKey = Key[Array, ""]
Uniforms = Float[Array, "U 2"]
# of the nodes of a tree, and of the nodes of one of its levels
NodeLaws = Float[Array, "N V"]
PerNode = Float[Array, " N"]
LevelLaws = Float[Array, "M V"]
# one entry for each depth of a walk
DepthInts = Int[Array, " D+1"]
DepthFloats = Float[Array, " D+1"]


class Loss(NamedTuple):
    """A bound that a lossy rule claims for its bias, at every pair of laws.

    Attributes:
      measure: how far the emitted law e may lie from p: tv is TV(e, p), kl is KL(e || p) in nats,
        ratio is the largest e/p.
      field: name of the rule's field that holds the budget.
    """

    measure: Literal["tv", "kl", "ratio"]
    field: str


class Claims(NamedTuple):
    """The claims of a rule; the audit tests what they promise.

    Attributes:
      lossless: the emitted token has law p for every (p, q) under every scheme in `drafting`.
      drafting: names of the drafting schemes that the proof covers.
      source: key in references.bib (any text outside the package).
      optimal_for: attains the optimum for every n up to it; 0 means never, -1 means every n.
      n_range: smallest and largest number of drafts that the rule takes; None is no limit.
      per_pair: the rule holds the plan of one (p, q, n) and serves no other.
      searches: runs a search of many steps at each pair of laws; `compare`, `bound`,
        `sweep` and `worst_ratio` run such a rule, as any lossy one, only where it is named.
      expectation_under: the schemes for which `expected_acceptance` and `emitted` hold; None is all
        of `drafting`.
      expectation_up_to: the largest n for which they hold; None is every n that the rule takes.
      sequential: takes its drafts one by one: given the drafts so far, the emitted token has the
        same law whether one more is drawn or not.
      loss: the bias that a lossy rule stays within; None claims nothing of it.
      on_front: no rule accepts more at the bias that this one has, min(1, alpha* + TV).
      bonus: what is emitted without drafts: a token of the target's p, or one of the rule's own
        making.
    """

    lossless: bool
    drafting: frozenset[str]
    source: str = ""
    optimal_for: int = 0
    n_range: tuple[int, int | None] = (1, None)
    per_pair: bool = False
    searches: bool = False
    expectation_under: frozenset[str] | None = None
    expectation_up_to: int | None = None
    sequential: bool = False
    loss: Loss | None = None
    on_front: bool = False
    bonus: Literal["target", "own"] = "target"

    @property
    def by_default(self) -> bool:
        """Whether commands run the rule where no rule is named."""
        return self.lossless and not self.searches

    def admits(self, n: int) -> bool:
        """Whether the rule takes n drafts."""
        low, high = self.n_range
        return low <= n and (high is None or n <= high)

    def optimal_at(self, n: int) -> bool:
        """Whether the rule claims to attain the optimum with n drafts."""
        return self.lossless and (self.optimal_for == -1 or n <= self.optimal_for)

    def stated_at(self, scheme: str, n: int) -> bool:
        """Whether what the rule states of itself holds for n drafts of this scheme."""
        return scheme in (self.expectation_under or self.drafting) and (
            self.expectation_up_to is None or n <= self.expectation_up_to
        )


class Certificate(NamedTuple):
    """How near an optimal rule came to the optimum and to p at one pair of laws.

    The audit compares every field but `converged` with enumeration.

    Attributes:
      alpha: acceptance reached, up to `tv_bound`.
      alpha_star: upper end of the certified bracket of the optimum.
      gap: alpha_star - alpha; the optimum lies at most this far above what was reached. Rounding
        may leave it below 0.
      tv_bound: bound of TV(emitted law, p); it covers rounding in the dtype of the computation, and
        the mass that the solve leaves out.
      converged: whether the solve met its tolerance; the rule is lossless either way.
    """

    alpha: Scalar
    alpha_star: Scalar
    gap: Scalar
    tv_bound: Scalar
    converged: Bool[Array, ""]


class Accepting(NamedTuple):
    """Which drafts a rule accepts, given the drafts and on average.

    Attributes:
      drafts: [n], the probability that the token of this slot is accepted; of equal drafts the
        first holds all of it.
      mass: [V], its mean over the drafts, for every token; 0 at a token that q never draws.
    """

    drafts: Float[Array, " n"]
    mass: Law


@runtime_checkable
class Rule(Protocol):
    """A verification rule at one node: a conditional law, not a sampler.

    `law(tokens[n], p[V], q[V], mask[n]) -> [V]` is the law of the emitted token given the drafts.
    `mask` is true at live slots. A rule may also offer `expected_acceptance(p, q, n)`, which is its
    exact acceptance. It may offer `accepted_mass(p, q, mask) -> [V]`: the probability, over the
    drafts too, that a draft of each token is accepted. A draft counts as accepted if its token is
    emitted; a rule that counts otherwise offers `accepting(tokens, p, q, mask) -> Accepting`. A
    lossy rule may offer `emitted(p, q, n) -> [V]`, its emitted law on average over the drafts. If a
    solver makes the rule optimal, the rule may also offer `certificate(p, q, n) -> Certificate`.
    """

    claims: ClassVar[Claims]
    name: ClassVar[str] = ""

    @abstractmethod
    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        """The law of the emitted token given the drafts, shape [V]."""
        ...


S = TypeVar("S")


@runtime_checkable
class Solves(Rule, Protocol[S]):
    """A rule that solves for its law at each (p, q).

    Its law, its expectation and its certificate share the solve. Such a rule derives from this
    class and has no `law` of its own.
    """

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        """The law of the emitted token, from a solve for the live drafts."""
        return self.law_of(self.solve(p, q, len(tokens), jnp.sum(mask)), tokens, p, mask)

    @abstractmethod
    def solve(self, p: Law, q: Law, n: int, live: Count) -> S:
        """Solve for the law of a node with `live` of n drafts."""
        ...

    @abstractmethod
    def law_of(self, solved: S, tokens: Tokens, p: Law, mask: Mask) -> Law:
        """The law of the emitted token given the drafts and a solve."""
        ...

    @abstractmethod
    def accepted(self, solved: S) -> Scalar:
        """The exact acceptance of a solve."""
        ...


@runtime_checkable
class Sees(Rule, Protocol):
    """A rule that reads evidence: the target's hidden state after each draft.

    The rule that `seeing` returns is an ordinary rule for these drafts. It never reads the evidence
    of masked slots.
    """

    @abstractmethod
    def seeing(self, evidence: Float[Array, "n d"]) -> Rule:
        """The rule that reads this evidence, a row for each slot."""
        ...


@runtime_checkable
class Drafting(Protocol):
    """A scheme that draws the n drafts of one node.

    `sample(key, q[V], n) -> (tokens[n], mask[n])` draws them; `mask` is true at live slots.
    """

    name: ClassVar[str] = ""

    @abstractmethod
    def sample(self, key: RandomKey, q: Law, n: int) -> tuple[Tokens, Mask]:
        """The drafts of one node, and which slots were drawn."""
        ...
