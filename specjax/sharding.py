"""Spreads independent work, one random key each, over all devices of all processes."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, ArrayLike, Bool, Key, PyTree

T = TypeVar("T", bound=PyTree)
AXIS = "keys"
# jax gives these two no types
_spec: Callable[..., PartitionSpec] = PartitionSpec
_constrained: Callable[..., PyTree] = jax.lax.with_sharding_constraint


def connect() -> None:
    """Join the processes of one job, before any other use of JAX, in every process alike.

    SLURM, Kubernetes, Open MPI and TPU pods are recognised by their environment.

    Raises:
      RuntimeError: there is no such environment, or JAX is in use already.
    """
    try:
        jax.distributed.initialize()
    except ValueError as error:
        raise RuntimeError(
            f"no environment of several processes found (SLURM, Kubernetes, Open MPI, TPU pod): "
            f"{error}"
        ) from None


def all_devices() -> Mesh:
    """The devices of all processes, in one line."""
    return jax.make_mesh((jax.device_count(),), (AXIS,), axis_types=(AxisType.Auto,))


def is_first_process() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def agreed(flags: Bool[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """The flags of the first process, in every process.

    All processes must do the same, so one of them looks.
    """
    return np.asarray(multihost_utils.broadcast_one_to_all(flags), bool)


def map_over_keys(fn: Callable[..., T], keys: Key[Array, " K"], mesh: Mesh, *rows: PyTree) -> T:
    """Compute fn(keys[i], rows[0][i], ..) for every i, stacked: `jax.pmap` of a `vmap`, for any K.

    Every process passes the same arguments and gets the whole result. fn sees one key on any
    device, so that its draws depend neither on the layout nor on the number of devices. Sums may
    round differently if XLA vectorises them for another batch.

    Args:
      fn: static; pass one object for one program, or it compiles again at each call.
      keys: typed keys, [K].
      mesh: the devices, as `all_devices` returns them.
      rows: more arguments of fn, mapped alike: every leaf has K rows.

    Returns:
      The results of fn, every leaf with K rows.

    Raises:
      ValueError: there is no key, or the numbers of rows and keys differ.

    Cost: ceil(K / devices) calls on each device. The last shard is filled up with the last key's
    work, which is dropped.
    """
    sizes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves((keys, rows))}
    if sizes != {keys.shape[:1]} or not keys.size:
        raise ValueError(
            f"expected at least one key and a row for each, got {keys.shape[0]} keys and rows of "
            f"lengths {sorted(sizes)}"
        )
    everywhere = NamedSharding(mesh, _spec())
    copies = jax.tree.map(partial(_copied, everywhere), (keys, *rows))
    results: T = _mapped(fn, mesh, copies)
    return results


def _copied(everywhere: NamedSharding, leaf: ArrayLike) -> Array:
    """What every process holds of its own, as one array that all processes share."""
    if isinstance(leaf, jax.Array) and leaf.sharding == everywhere:
        return leaf
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        words = _copied(everywhere, jax.random.key_data(leaf))
        keys: Array = jax.random.wrap_key_data(words, impl=jax.random.key_impl(leaf))
        return keys
    own = np.asarray(leaf)
    copy: Array = jax.make_array_from_callback(own.shape, everywhere, lambda index: own[index])
    return copy


@partial(jax.jit, static_argnames=("fn", "mesh"))
def _mapped(fn: Callable[..., T], mesh: Mesh, rows: tuple[PyTree, ...]) -> T:
    count = jax.tree.leaves(rows)[0].shape[0]
    slots = jnp.minimum(jnp.arange(-(-count // mesh.size) * mesh.size), count - 1)
    shards = _spec(mesh.axis_names)
    # Nothing crosses the devices inside, so which values vary among them need not be tracked: fn's
    # loops stay as they are.
    spread = jax.shard_map(
        jax.vmap(fn), mesh=mesh, in_specs=shards, out_specs=shards, check_vma=False
    )
    done = spread(*jax.tree.map(lambda leaf: leaf[slots], rows))
    kept = jax.tree.map(lambda leaf: leaf[:count], done)
    results: T = _constrained(kept, NamedSharding(mesh, _spec()))
    return results
