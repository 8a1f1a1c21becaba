"""The shape of a decoder: what the families of checkpoints fill in."""

import dataclasses
from typing import Literal

UNBOUNDED = 2**30  # more positions than any text has


@dataclasses.dataclass(frozen=True)
class Config:
    """The shape of a decoder.

    Attributes:
      vocabulary: V.
      width: of the residual stream.
      layers: number of blocks.
      heads: number of query heads.
      kv_heads: number of key and value heads.
      hidden: width of the MLP.
      rope_theta: base of the rotary angles.
      norm_eps: the number that RMSNorm adds to the mean square.
      window: how many positions, itself included, each position attends to in a block.
      longest: the largest number of tokens of a text, as the family states it.
      adapter: whether an affine map acts on the last block's output, before the final norm (early
        exits).
      head: width of a head; width / heads if not given.
      tied: whether the embedding is the head's matrix too.
      known: how many tokens a head of its own knows; all if not given.
      projection_bias: whether query, key and value have a bias (Qwen2).
      head_norm: whether each query and key is normalised before it is turned (Qwen3).
      stretch: divisors of the rotary angles, one for each pair of numbers of a head (Llama 3.1); 1
        if not given.
      activation: of the MLP: `silu`, `relu`, or `gelu` by its tanh formula.
      gated: whether the activation gates a second projection, or is all there is (GPT-2, OPT).
      centred: whether norms subtract the mean and have a bias (LayerNorm), or not (RMSNorm).
      biases: whether the projections behind attention and those of the MLP have a bias.
      learned_positions: whether a table of `longest` rows stands for rotary angles.
      embedding_scale: a factor of the embedding (Gemma).
      after_norms: whether attention and MLP are normalised once more before they are added (Gemma).
      query_scale: a factor of the queries; 1 / sqrt(width of a head) if not given.
      attention_cap: attention scores x become cap tanh(x / cap) (Gemma 2).
      logit_cap: logits likewise.
      local_layers: numbers of the blocks with a window and rotary angles of their own.
      local_window: the window of these blocks.
      local_theta: the base of their rotary angles.

    Raises:
      ValueError: a head's width is not even or no whole number, or kv_heads does not divide heads.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    hidden: int
    rope_theta: float = 1e4
    norm_eps: float = 1e-5
    window: int = UNBOUNDED
    longest: int = UNBOUNDED
    adapter: bool = False
    head: int | None = None
    tied: bool = True
    known: int | None = None
    projection_bias: bool = False
    head_norm: bool = False
    stretch: tuple[float, ...] | None = None
    activation: Literal["silu", "gelu", "relu"] = "silu"
    gated: bool = True
    centred: bool = False
    biases: bool = False
    learned_positions: bool = False
    embedding_scale: float = 1.0
    after_norms: bool = False
    query_scale: float | None = None
    attention_cap: float | None = None
    logit_cap: float | None = None
    local_layers: tuple[int, ...] = ()
    local_window: int = UNBOUNDED
    local_theta: float = 1e4

    def __post_init__(self) -> None:
        broken = self.width % self.heads if self.head is None else 0
        if broken or self.head_width % 2 or self.heads % self.kv_heads:
            raise ValueError(
                f"config: expected heads of one even width and heads divisible by kv_heads, got "
                f"width {self.width}, {self.heads} heads, {self.kv_heads} kv_heads"
            )

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads if self.head is None else self.head

    @property
    def query_width(self) -> int:
        """Width of all query heads together."""
        return self.heads * self.head_width

    @property
    def kv_width(self) -> int:
        """Width of all key heads together, and of all value heads."""
        return self.kv_heads * self.head_width

    @property
    def local(self) -> "Config":
        """The shape, with the window and the rotary angles of local blocks for all."""
        return dataclasses.replace(
            self, window=self.local_window, rope_theta=self.local_theta, stretch=None
        )
