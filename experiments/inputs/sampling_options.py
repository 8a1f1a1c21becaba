"""How a user says in which steps logits become laws, and how rows and titles say it."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict

from specjax.numerics import Sampling
from specjax.numerics.sampling import ORDER

BETWEEN = ","  # two steps of an order
USUAL = BETWEEN.join(ORDER)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """The steps of target and draft alike.

    Attributes:
      temperature: of target and draft alike; 0 is greedy decoding.
      top_k: how many of the most likely tokens are kept, of target and draft alike; 0 keeps all.
      top_p: nucleus of target and draft alike; 1 keeps all.
      min_p: the least share of the largest probability that is kept, of target and draft alike.
      order: of these four steps; the first comes first.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    order: str = USUAL


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairSamplingOptions(SamplingOptions):
    """The same, and what the draft has of its own.

    Attributes:
      draft_temperature: of the draft; the target's if not given.
      draft_top_k: of the draft; the target's if not given.
      draft_top_p: of the draft; the target's if not given.
      draft_min_p: of the draft; the target's if not given.
      draft_order: of the draft; the target's if not given.
    """

    draft_temperature: float | None = None
    draft_top_k: int | None = None
    draft_top_p: float | None = None
    draft_min_p: float | None = None
    draft_order: str | None = None


class PairSampling(NamedTuple):
    """How the logits of target and draft become laws."""

    target: Sampling
    draft: Sampling


class Columns(TypedDict):
    """How laws came about, in a row."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    order: str


def steps(order: str) -> tuple[str, ...]:
    """The steps of an order; `Sampling` refuses what is none."""
    return tuple(order.split(BETWEEN))


def of(options: SamplingOptions) -> Sampling:
    """How the target's logits become laws.

    Raises:
      ValueError: a setting is out of its range, or the order is none.
    """
    return Sampling(
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        min_p=options.min_p,
        order=steps(options.order),
    )


def of_pair(options: PairSamplingOptions) -> PairSampling:
    """The same of both: the draft's as the target's, where nothing else is said.

    Raises:
      ValueError: a setting is out of its range, or the order is none.
    """
    names = [field.name for field in dataclasses.fields(SamplingOptions)]
    own = {name: getattr(options, f"draft_{name}") for name in names}
    said = {name: value for name, value in own.items() if value is not None}
    target = of(options)
    try:
        return PairSampling(target, of(dataclasses.replace(options, **said)))
    except ValueError as error:
        raise ValueError(f"draft: {error}") from None


def columns(sampling: Sampling) -> Columns:
    """What a row says of a sampling."""
    return {
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "order": BETWEEN.join(sampling.order),
    }


def words(row: Mapping[str, Any]) -> str:
    """What a title says of a row: temperature and cuts."""
    return f"temperature {row.get('temperature', 1.0):g}, {cuts(row)}"


def cuts(row: Mapping[str, Any]) -> str:
    """What a title says beside the temperature; what an older row lacks did nothing."""
    said = [f"top-p {row.get('top_p', 1.0):g}"]
    if row.get("top_k"):
        said.append(f"top-k {row['top_k']}")
    if row.get("min_p"):
        said.append(f"min-p {row['min_p']:g}")
    if (row.get("order") or USUAL) != USUAL:
        said.append(f"order {row['order']}")
    for penalty, none in (("repetition_penalty", 1), ("presence_penalty", 0)):
        if row.get(penalty, none) != none:
            said.append(f"{penalty.replace('_', ' ')} {row[penalty]:g}")
    if row.get("draft_sampling"):
        said.append(f"draft: {words(row['draft_sampling'])}")
    for field in dataclasses.fields(PairSamplingOptions):  # a sweep's columns hold what was asked
        value = row.get(field.name) if field.default is None else None
        if value is not None:
            name = field.name.replace("_", " ", 1).replace("_", "-")
            said.append(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(said)
