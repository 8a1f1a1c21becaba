"""Log-normal laws whose logits differ by noise."""

from typing import ClassVar

import jax

from specjax.families._base import Family, Laws, RandomKey, expect, register, tail


@register
class LogNormal(Family):
    """Gives p and q the logits z + e/2 and z - e/2, with independent normal z and e for each token.

    z ~ N(0, spread^2) and e ~ N(0, noise^2), so that the tokens are exchangeable. E TV goes to 1 -
    2 Phi(-noise / 2) as V grows, for every spread: the limit is the overlap E min / E of two
    log-normal weights. Below V ~ e^(spread^2) E TV is smaller.

    Cost: two passes of noise over V.

    Example:
      >>> from specjax import families
      >>> round(families.LogNormal(noise=1.0).mean_tv(50_000), 3)
      0.383
    """

    limit: ClassVar[bool] = True
    spread: float = 3.0
    noise: float = 1.0

    def __post_init__(self) -> None:
        expect("spread", self.spread, 0, 30)
        expect("noise", self.noise, 0, 30)

    def sample(self, key: RandomKey, vocabulary: int) -> Laws:
        z, e = jax.random.normal(key, (2, vocabulary))
        middle = self.spread * z
        apart = self.noise * e / 2
        return Laws(jax.nn.softmax(middle + apart), jax.nn.softmax(middle - apart))

    def mean_tv(self, vocabulary: int) -> float:
        return 1 - tail(self.noise)
