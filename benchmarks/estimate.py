"""What an outer step would cost: memory, FLOPs and time, without data and without training."""

import dataclasses
import functools
import statistics
import time
from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from mscn_flax import devices, meta, metrics, over_signals
from mscn_flax.delta import DeltaSiren
from mscn_flax.modalities import Points
from mscn_flax.rendering import points_per_coordinate
from mscn_flax.siren import base_siren, with_depth
from mscn_flax.tiles import divisor
from mscn_flax.train import Setup, chunk_of, devices_for, first_state, step_of

_DEPTHS = (5, 6)
"""Depths of the networks that are compiled for the memory of deeper ones."""

_TIMED_FLOPS = 50e9
"""FLOPs of the largest step that is timed whole; of a larger one only some signals and points are."""

_TIMED_POINTS = 256
"""Smallest number of evaluations of the network per signal that is timed, where there are as many."""

_TIMED_S = 5.0
"""After so many seconds no further step is timed."""


class Estimate(NamedTuple):
    """What an outer step costs.

    Attributes:
      step_s: seconds.
      temp_bytes: XLA's temporary memory per device.
    """

    step_s: float
    temp_bytes: float


def example(setup: Setup) -> Points:
    """What an outer step sees, of signals that are all zero."""
    sampling = setup.training.sampling(setup.learner.steps_in_training)
    channels = base_siren(setup.learner.field).out_dim
    arrays = setup.modality.example(setup.training.batch_size, channels, setup.resolution, sampling)
    return setup.modality.draw(arrays, setup.resolution, sampling, np.random.default_rng(0))


def estimate(setup: Setup) -> Estimate:
    """The cost of one outer step, without data."""
    kept = meta.linearises(setup.learner, *chunk_of(setup, devices_for(setup.training.batch_size)))
    # Smaller networks and fewer points are measured in its place: they might have room for what it has not.
    setup = dataclasses.replace(setup, learner=dataclasses.replace(setup.learner, linearise=kept))
    return Estimate(_step_s(setup), _temporary(setup))


def _step_s(setup: Setup) -> float:
    """Seconds of one outer step on this machine, from a few steps on noise.

    Time grows with signals and points (`results/<preset>/growth.csv`): of a step that takes long, some are timed.
    """
    training, mesh = setup.training, devices_for(setup.training.batch_size)
    whole = example(setup)
    points, signals, work = whole.targets.shape[-2], training.batch_size, flops(setup)
    signals = -(-signals // mesh.size) * mesh.size  # The last may count for nothing, and takes as long.
    fewer = min(points, max(-(-_TIMED_POINTS // points_per_coordinate(setup.learner.field)), _timed(points, work)))
    batch = mesh.size * divisor(max(_timed(signals, work * fewer / points) // mesh.size, 1), signals // mesh.size)
    part = dataclasses.replace(setup, training=dataclasses.replace(training, batch_size=batch))
    rng = np.random.default_rng(0)
    own, at = whole.coords.ndim == whole.targets.ndim, np.minimum(np.arange(batch), training.batch_size - 1)
    coords, targets = whole.coords[..., :fewer, :], whole.targets[at][..., :fewer, :]
    if own:
        coords = coords[at]
    noise = rng.random(targets.shape, np.float32)
    shared, each = (NamedSharding(mesh, PartitionSpec(*axis)) for axis in ((), (over_signals.SIGNALS,)))
    arguments = devices.placed(coords, each if own else shared), devices.placed(noise, each), np.int32(setup.seed)
    state = first_state(part, mesh)
    step = jax.jit(step_of(part, mesh), donate_argnums=0).lower(state, *arguments).compile()
    jax.block_until_ready(state)
    state, _ = jax.block_until_ready(step(state, *arguments))  # The first is slower.
    seconds = []
    while len(seconds) < 5 and sum(seconds) < _TIMED_S:
        began = time.perf_counter()
        state, _ = jax.block_until_ready(step(state, *arguments))
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * (signals / batch) * (points / fewer)


def _timed(count: int, work: float) -> int:
    """How many of `count` are timed, at least one, of a step of `work` FLOPs."""
    return max(1, int(count * min(1, _TIMED_FLOPS / work)))


def _temporary(setup: Setup) -> float:
    """Temporary memory of one outer step in bytes, from compilations without data.

    Every layer adds as much memory to it, and time to its compilation: that of a deep network is extended from two of
    few layers (fewer than 5 do not show what a layer adds of scenes).
    """
    field, depth = setup.learner.field, base_siren(setup.learner.field).depth
    if depth <= max(_DEPTHS):
        return _measured(setup, field)
    low, high = (_measured(setup, with_depth(field, few)) for few in _DEPTHS)
    return low + (high - low) * (depth - _DEPTHS[0]) / (_DEPTHS[1] - _DEPTHS[0])


def _measured(setup: Setup, field: nn.Module) -> int:
    """Temporary memory of one outer step with another field, in bytes."""
    setup = dataclasses.replace(setup, learner=dataclasses.replace(setup.learner.for_any_budget(), field=field))
    optimizer = setup.optimizer.build(setup.training.outer_steps)
    step = step_of(setup, devices_for(setup.training.batch_size))
    state = jax.eval_shape(functools.partial(meta.init_state, setup.learner, optimizer, 0), setup.coords)
    # As large as with all of XLA's optimisations (for the paper's scenes 2 MiB of 37,390 less), in much less time.
    fast = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
    compiled = jax.jit(step).lower(state, *example(setup), 0).compile(compiler_options=fast)
    return compiled.memory_analysis().temp_size_in_bytes


def flops(setup: Setup) -> int:
    """FLOPs of the matrix products of one outer step, without recomputation."""
    learner, siren = setup.learner, base_siren(setup.learner.field)
    evaluated = example(setup).targets.shape[-2] * points_per_coordinate(learner.field)
    forward = metrics.siren_flops(evaluated, setup.modality.in_dim, siren.width, siren.depth, siren.out_dim)
    return setup.training.batch_size * metrics.meta_step_flops(
        forward,
        learner.steps_in_training,
        first_order=learner.first_order,
        truncate=learner.truncate,
        products=3 if isinstance(learner.field, DeltaSiren) else 2,
    )
