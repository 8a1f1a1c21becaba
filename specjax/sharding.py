"""The one seam for devices: independent work, one random key each, spread over all devices of all
processes.
"""

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


def connect() -> None:
    """Join the processes of one job; before any other use of JAX, in every process alike.

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
    """What the first process holds, in every process: where all must do the same, one of them
    looks.
    """
    return np.asarray(multihost_utils.broadcast_one_to_all(flags), bool)


def map_over_keys(fn: Callable[..., T], keys: Key[Array, " K"], mesh: Mesh, *rows: PyTree) -> T:
    """fn(keys[i], rows[0][i], ..) for every i, stacked: `jax.pmap` of a `vmap`, for any K.

    Every process passes the same arguments and gets the whole result. fn sees one key, whichever
    device it runs on, so that what it draws depends on neither layout nor number of devices; sums
    may round differently where XLA vectorises them for another batch.

    Args:
      fn: static; one object for one program, or it compiles again at each call.
      rows: more arguments of fn, mapped alike: every leaf has K rows.

    Raises:
      ValueError: no key, or rows that are not as many as the keys.

    Cost: ceil(K / devices) calls on each device; the last shard is filled up with the last key's
    work, which is dropped.
    """
    sizes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves((keys, rows))}
    if sizes != {keys.shape[:1]} or not keys.size:
        raise ValueError(
            f"expected at least one key and a row for each, got {keys.shape[0]} keys and rows of "
            f"lengths {sorted(sizes)}"
        )
    return _mapped(
        fn,
        mesh,
        jax.tree.map(partial(_copied, NamedSharding(mesh, PartitionSpec())), (keys, *rows)),
    )


def _copied(everywhere: NamedSharding, leaf: ArrayLike) -> Array:
    """What every process holds of its own, as one array that all of them share."""
    if isinstance(leaf, jax.Array) and leaf.sharding == everywhere:
        return leaf
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(
            _copied(everywhere, jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf)
        )
    own = np.asarray(leaf)
    return jax.make_array_from_callback(own.shape, everywhere, lambda index: own[index])


@partial(jax.jit, static_argnames=("fn", "mesh"))
def _mapped(fn: Callable[..., T], mesh: Mesh, rows: tuple[PyTree, ...]) -> T:
    count = jax.tree.leaves(rows)[0].shape[0]
    slots = jnp.minimum(jnp.arange(-(-count // mesh.size) * mesh.size), count - 1)
    shards = PartitionSpec(mesh.axis_names)
    # Nothing crosses the devices inside, so which values vary among them need not be tracked: fn's
    # loops stay as they are.
    spread = jax.shard_map(
        jax.vmap(fn), mesh=mesh, in_specs=shards, out_specs=shards, check_vma=False
    )
    done = spread(*jax.tree.map(lambda leaf: leaf[slots], rows))
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.lax.with_sharding_constraint(
        jax.tree.map(lambda leaf: leaf[:count], done), everywhere
    )
