"""A log-normal law, and the same law at another temperature."""

from typing import ClassVar

import jax

from specjax.families._base import Family, Laws, RandomKey, expect, register, tail


@register
class Temperature(Family):
    """Takes p = softmax(z) and q = softmax(z / ratio), with z ~ N(0, spread^2) for each token.

    p and q order the tokens alike. E TV goes to 1 - 2 Phi(-spread abs(1 - 1 / ratio) / 2) as V
    grows: under p and under q the logits are normal, with means that far apart. Below V ~
    e^(spread^2) E TV is smaller.

    Cost: one pass of noise over V.

    Example:
      >>> from specjax import families
      >>> round(families.Temperature(ratio=1.5).mean_tv(50_000), 3)
      0.383
    """

    limit: ClassVar[bool] = True
    spread: float = 3.0
    ratio: float = 1.5

    def __post_init__(self) -> None:
        expect("spread", self.spread, 0, 30)
        expect("ratio", self.ratio, 0.01, 100)

    def sample(self, key: RandomKey, vocabulary: int) -> Laws:
        z = self.spread * jax.random.normal(key, (vocabulary,))
        return Laws(jax.nn.softmax(z), jax.nn.softmax(z / self.ratio))

    def mean_tv(self, vocabulary: int) -> float:
        return 1 - tail(self.spread * abs(1 - 1 / self.ratio))
