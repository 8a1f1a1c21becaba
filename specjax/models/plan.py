"""Which parts of a transformer run, and which of them read the same stream."""

import dataclasses
from collections.abc import Collection
from typing import NamedTuple


class Group(NamedTuple):
    """Blocks whose attention reads one stream.

    Attributes:
      attention: the blocks whose attention runs, ascending.
      mlp: the blocks whose MLP runs, ascending.
    """

    attention: tuple[int, ...]
    mlp: tuple[int, ...]

    @property
    def blocks(self) -> tuple[int, ...]:
        """The blocks of which a part runs, ascending."""
        return tuple(sorted({*self.attention, *self.mlp}))


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a forward runs, group after group.

    The attention of all blocks of a group reads the input of the group. The blocks then add to the
    stream in turn: what attention gave, and what the MLP makes of the stream by then. Groups of
    several blocks are those of EasySpec.
    """

    groups: tuple[Group, ...]

    @property
    def blocks(self) -> tuple[int, ...]:
        """The blocks of which a part runs."""
        return tuple(block for group in self.groups for block in group.blocks)


def every(layers: int) -> Plan:
    """The plan of all blocks: the same forward as without a plan."""
    return dropping(layers, (), ())


def first(blocks: int) -> Plan:
    """The plan of an early exit after so many blocks."""
    return every(blocks)


def without(layers: int, blocks: Collection[int]) -> Plan:
    """The plan of all blocks but some."""
    return dropping(layers, blocks, blocks)


def dropping(layers: int, attention: Collection[int], mlp: Collection[int]) -> Plan:
    """The plan of all blocks without the attention of some and the MLP of some.

    Args:
      layers: the number of blocks.
      attention: the blocks whose attention does not run.
      mlp: the blocks whose MLP does not run.

    Returns:
      The plan.
    """
    parts = [
        Group(_one(block, block not in attention), _one(block, block not in mlp))
        for block in range(layers)
    ]
    return Plan(tuple(group for group in parts if group.blocks))


def _one(block: int, runs: bool) -> tuple[int, ...]:
    return (block,) if runs else ()


def groups(layers: int, size: int, start: int = 2) -> Plan:
    """The plan in which `size` consecutive blocks stand side by side, from block `start` on.

    Args:
      layers: the number of blocks.
      size: the number of blocks of a group, at least 1; the last group may have fewer.
      start: the number of first blocks that stand alone.

    Returns:
      The plan.
    """
    alone = every(min(start, layers)).groups
    bounds = range(start, layers, size)
    sets = [tuple(range(first, min(first + size, layers))) for first in bounds]
    return Plan((*alone, *(Group(blocks, blocks) for blocks in sets)))
