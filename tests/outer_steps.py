"""Training by hand, one outer step after the other, and codes of what it leads to."""

import functools
from collections.abc import Iterator

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mscn_flax import meta, over_signals
from mscn_flax.learner import MetaLearner
from mscn_flax.outer import OuterOptimizer


def mesh(devices: int = 1) -> Mesh:
    return Mesh(np.array(jax.devices()[:devices]), (over_signals.SIGNALS,))


@functools.cache
def _compiled(learner: MetaLearner, optimizer: OuterOptimizer, planned: int, devices: int, chunk_size: int):
    transformation = optimizer.build(planned)
    options = {"outer_steps": planned, "mesh": mesh(devices), "chunk_size": chunk_size}
    step = functools.partial(meta.train_step, learner=learner, optimizer=transformation, **options)
    return transformation, jax.jit(step)


def outer_steps(
    learner: MetaLearner,
    optimizer: OuterOptimizer,
    coords,
    targets,
    *,
    planned: int,
    count: int | None = None,
    devices: int = 2,
    chunk_size: int = 2,
) -> Iterator:
    """The state after each of `count` steps (None: as many as planned), and what the step logged.

    One program is compiled for all budgets, whether gates are frozen or not.
    """
    transformation, step = _compiled(learner.for_any_budget(), optimizer, planned, devices, chunk_size)
    everywhere = NamedSharding(mesh(devices), PartitionSpec())
    state = jax.device_put(meta.init_state(learner, transformation, 0, coords), everywhere)
    for _ in range(planned if count is None else count):
        state, logged = step(state, coords, targets, 0)
        yield state, logged
    assert step._cache_size() == 1


def encode(learner: MetaLearner, theta, gates, coords, targets, *, devices: int = 2, chunk_size: int = 2):
    """`over_signals.encode`, compiled whole as everywhere else."""
    options = {"mesh": mesh(devices), "chunk_size": chunk_size}
    return jax.jit(functools.partial(over_signals.encode, learner, **options))(theta, gates, coords, targets)
