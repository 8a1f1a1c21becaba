"""What lossy rules of one draft share: a test of the draft, and a law if it fails."""

from abc import abstractmethod

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from specjax.numerics import acceptance_probability, add_at, residual, total
from specjax.rules._base import Law, Mask, Rule, Scalar, Tokens


def tested(kept: Float[Array, " n"], rest: Law, tokens: Tokens) -> Law:
    """The law that keeps the one draft with probability `kept`, and is `rest` otherwise [V]."""
    return add_at(rest * (1 - jnp.sum(kept)), tokens, kept)


class OneDraft(Rule):
    """Keeps the draft x with probability a(x), else draws from a law r that does not depend on x.

    The emitted law is e = q a + (1 - sum q a) r. A rule whose r depends on x has its own `law`.
    """

    @abstractmethod
    def kept(self, p: Law, q: Law) -> Law:
        """a(x), the probability that the draft is kept, for every token [V]."""
        ...

    @abstractmethod
    def rest(self, p: Law, q: Law) -> Law:
        """r, the law of the token that stands for a refused draft [V]."""
        ...

    def alone(self, p: Law) -> Law:
        """The law of the token that is emitted without a draft [V]."""
        return p

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        """The law of the emitted token given the draft, [V]."""
        tried = tested(self.kept(p, q)[tokens], self.rest(p, q), tokens)
        return jnp.where(mask[0], tried, self.alone(p))

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        """P(the draft is emitted): kept, or drawn again after it was refused."""
        kept = self.kept(p, q)
        return total(q * (kept + (1 - kept) * self.rest(p, q)))

    def emitted(self, p: Law, q: Law, n: int) -> Law:
        """The emitted law, on average over the draft [V]."""
        mass = q * self.kept(p, q)
        return mass + self.rest(p, q) * (1 - total(mass))


class Accepts(OneDraft):
    """Keeps the tokens of a set, and emits the target's likeliest token for any other."""

    @abstractmethod
    def accepts(self, p: Law) -> Bool[Array, " V"]:
        """The set of tokens, of which p alone decides [V]."""
        ...

    def kept(self, p: Law, q: Law) -> Law:
        """1 in the set, 0 outside [V]."""
        return self.accepts(p).astype(p.dtype)

    def rest(self, p: Law, q: Law) -> Law:
        """One-hot at the likeliest token, at the first of equal ones [V]."""
        return likeliest(p)


class Retargeted(Rule):
    """The lossless rule of one draft, run for another target e than p, which it emits.

    It keeps the draft with probability min(1, e/q), else draws from (e - q)+.
    """

    @abstractmethod
    def target(self, p: Law, q: Law) -> Law:
        """e, the law that is emitted [V]."""
        ...

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        """The law of the emitted token given the draft, [V]."""
        target = self.target(p, q)
        kept = acceptance_probability(target[tokens], q[tokens])
        return jnp.where(mask[0], tested(kept, residual(target, q), tokens), p)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        """sum min(e, q)."""
        return total(jnp.minimum(self.target(p, q), q))

    def emitted(self, p: Law, q: Law, n: int) -> Law:
        """The target e [V]."""
        return self.target(p, q)


def likeliest(p: Law) -> Law:
    """One-hot at the first of the largest probabilities [V]."""
    return jax.nn.one_hot(jnp.argmax(p), p.shape[0], dtype=p.dtype)
