"""The only vmap over signals, divided over devices: codes of many signals, and what they decode to.

What needs no outer loop, so that the codec starts without its libraries.
"""

import itertools
from collections.abc import Callable

import jax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, PyTree

from mscn_flax.gates import GateState
from mscn_flax.learner import MetaLearner, Theta
from mscn_flax.refine import refine

SIGNALS = "signals"
"""Name of the mesh axis that signals are divided along."""


def over_signals(fn: Callable, in_axes: tuple[int | None, ...]) -> Callable:
    """`fn` for each signal of a chunk: the vmap, but for a chunk of one.

    Of a batch of one XLA makes products with transposed copies of their factors (a fifth of a meta-step's time).
    """

    def mapped(*arguments):
        own = [axis is not None for axis in in_axes]
        signals = len(jax.tree.leaves(list(itertools.compress(arguments, own)))[0])
        if signals > 1:
            return jax.vmap(fn, in_axes)(*arguments)
        of_one = [
            jax.tree.map(lambda a: a[0], each) if mine else each for each, mine in zip(arguments, own, strict=True)
        ]
        return jax.tree.map(lambda a: a[None], fn(*of_one))

    return mapped


def in_chunks(tree: PyTree, size: int) -> PyTree:
    """Splits the leading axis B into [B / size, size]."""
    return jax.tree.map(lambda a: a.reshape(a.shape[0] // size, size, *a.shape[1:]), tree)


def layout(coords: Float[Array, "..."], targets: Float[Array, "B ..."]) -> tuple[PartitionSpec, int | None]:
    """How coordinates are laid out on the mesh, and their axis of signals: None if all signals share their points."""
    return (PartitionSpec(), None) if coords.ndim < targets.ndim else (PartitionSpec(SIGNALS), 0)


def encode(
    learner: MetaLearner,
    theta: Theta,
    gates: GateState | None,
    coords: Float[Array, "..."],
    targets: Float[Array, "B *K N c"],
    *,
    mesh: Mesh,
    chunk_size: int,
    steps: int | None = None,
    refined: int = 0,
) -> Float[Array, "B *code"]:
    """Fits the gated codes of B signals with the gates of test time: what a codec stores. To be jitted.

    Coordinates are [*K, N, d], shared by all signals, or [B, *K, N, d], one set per signal; K as in `MetaLearner.fit`.
    After the inner steps come `refined` steps of `refine`, where all steps see the same points. B must be a multiple of
    devices x chunk_size.
    """
    gates = None if gates is None else gates.at_test_time()

    def fit(shared, signal):
        theta, gates, coords = shared
        points, target = signal if coords is None else (coords, signal)
        code = learner.fit(theta, gates, jax.random.key(0), points, target, steps=steps)[0]
        # Not of a code that is the best as it is: a linear one.
        more = refined and target.ndim == 2 and "inner_lr" in theta
        return refine(learner, theta, code, points, target, steps=refined) if more else code

    shared, each = (None, (coords, targets)) if layout(coords, targets)[1] == 0 else (coords, targets)
    return map_signals(fit, (theta, gates, shared), each, mesh=mesh, chunk_size=chunk_size)


def decode(
    learner: MetaLearner,
    theta: Theta,
    coords: Float[Array, "*B N d"],
    codes: Float[Array, "B *code"],
    *,
    mesh: Mesh,
    chunk_size: int,
) -> Float[Array, "B N c"]:
    """The values of B signals from their gated codes, at shared points or at points of each signal. To be jitted."""

    def render(shared, signal):
        theta, coords = shared
        points, code = signal if coords is None else (coords, signal)
        return learner.render(theta, code, points)

    shared, each = (None, (coords, codes)) if coords.ndim == 3 else (coords, codes)
    return map_signals(render, (theta, shared), each, mesh=mesh, chunk_size=chunk_size)


def map_signals(
    fn: Callable, shared: PyTree, signals: PyTree[Float[Array, "B ..."]], *, mesh: Mesh, chunk_size: int
) -> Float[Array, "B *out"]:
    """`fn(shared, signal)` for each of B signals, divided over the devices of `mesh`, one chunk at a time on each."""

    def on_device(shared, signals):
        each = over_signals(fn, (None, 0))
        results = jax.lax.map(lambda chunk: each(shared, chunk), in_chunks(signals, chunk_size))
        return results.reshape(-1, *results.shape[2:])

    in_specs = (PartitionSpec(), PartitionSpec(SIGNALS))
    return jax.shard_map(on_device, mesh=mesh, in_specs=in_specs, out_specs=PartitionSpec(SIGNALS), check_vma=False)(
        shared, signals
    )
