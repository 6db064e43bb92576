"""A trained job on the signals it is judged on: their codes, values, and one row each."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks import records
from benchmarks.job import TrainingJob
from mscn_flax import memory, metrics, over_signals
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import Modality, Points, Signal
from mscn_flax.rendering import points_per_coordinate
from mscn_flax.train import Setup, compiled
from mscn_flax.train_state import TrainState

_EVALUATIONS = 1 << 19
"""Largest number of points that a device renders at a time."""


class Fitted(NamedTuple):
    """Some test signals and what was fitted to them.

    Attributes:
      targets: [n, *views, N, c].
      codes: [n, *code].
      values: as the targets, decoded from the codes.
      encode_s: seconds per signal, within a batch, without compilation.
      decode_s: likewise.
    """

    targets: np.ndarray
    codes: np.ndarray
    values: np.ndarray
    encode_s: float
    decode_s: float


def test_arrays(job: TrainingJob, limit: int | None) -> Signal:
    """The first `limit` signals that the job is judged on, stacked; all where None."""
    return stacked(job.judged, limit)


def stacked(signals: Sequence, limit: int | None) -> Signal:
    """The first `limit` signals, stacked; all where None."""
    taken = [signals[i] for i in range(min(len(signals), limit or len(signals)))]
    return jax.tree.map(lambda *each: np.stack(each), *taken)


def test_points(job: TrainingJob, limit: int | None) -> Points:
    """All points of the first `limit` signals that the job is judged on; of all signals where None."""
    return job.setup.modality.whole(test_arrays(job, limit), job.setup.resolution)


def fit(
    setup: Setup,
    state: TrainState,
    points: Points,
    encode: Callable = over_signals.encode,
    *arguments,
    shown: Points | None = None,
) -> Fitted:
    """Fits every signal to some points, and decodes it there, or at other points.

    Args:
      setup: what was trained.
      state: its trained state.
      points: that the signals are fitted to.
      encode: as `over_signals.encode`, with `arguments` behind its own; equal ones are compiled once.
      *arguments: arrays, or None.
      shown: where the signals are decoded and judged; `points` where None.
    """
    setup, state = _settled(setup, state)
    coords = _PerSignal(points.coords) if points.coords.ndim == points.targets.ndim else points.coords
    shared = (state.theta, state.gates)
    chunk_size = _chunk_size(setup, points.targets.shape[-2], len(points.targets), "encode")
    codes, encode_s = _on_devices(setup, encode, chunk_size, *shared, coords, _PerSignal(points.targets), *arguments)
    shown = points if shown is None else shown
    values, decode_s = decode(setup, state, codes, shown.coords)
    return Fitted(shown.targets, codes, values, encode_s, decode_s)


def fit_signals(setup: Setup, state: TrainState, signals: Signal, evaluation: Hashable | None = None) -> Fitted:
    """Fits stacked signals to what is observed of them, and decodes what they are judged by.

    Args:
      setup: what was trained.
      state: its trained state.
      signals: of its modality.
      evaluation: see `Modality.evaluation`.
    """
    steps, stride = setup.learner.inner_steps, setup.training.encode_stride
    seen = setup.modality.observed(signals, setup.resolution, steps, stride, evaluation)
    return fit(setup, state, seen, shown=setup.modality.whole(signals, setup.resolution, evaluation))


def decode(setup: Setup, state: TrainState, codes: np.ndarray, coords: np.ndarray) -> tuple[np.ndarray, float]:
    """The values [n, *V, N, c] of codes, and the seconds per signal.

    Args:
      setup: what was trained.
      state: its trained state.
      codes: of the signals.
      coords: [N, d] of all signals, [n, N, d] of each, or [n, V, N, d] of V views of each, one after another.
    """
    setup, state = _settled(setup, state)
    if coords.ndim == 4:
        seen = [decode(setup, state, codes, view) for view in np.moveaxis(coords, 1, 0)]
        return np.stack([values for values, _ in seen], axis=1), float(np.mean([seconds for _, seconds in seen]))
    evaluations = coords.shape[-2] * points_per_coordinate(setup.learner.field)
    chunk_size = max(1, min(_chunk_size(setup, coords.shape[-2], len(codes), "decode"), _EVALUATIONS // evaluations))
    coords = _PerSignal(coords) if coords.ndim == 3 else coords
    return _on_devices(setup, over_signals.decode, chunk_size, state.theta, coords, _PerSignal(codes))


def _settled(setup: Setup, state: TrainState) -> tuple[Setup, TrainState]:
    """See `MetaLearner.settled`."""
    learner, theta, gates = setup.learner.settled(state.theta, state.gates)
    return dataclasses.replace(setup, learner=learner), state.replace(theta=theta, gates=gates)


def _chunk_size(setup: Setup, points: int, count: int, task: str) -> int:
    """How many of `count` signals with so many points a device works on at a time."""
    asked = setup.training.chunk_size
    most = memory.signals_at_a_time(asked, setup.learner.field, points, task)
    return most if asked is not None else min(most, -(-count // jax.local_device_count()))


class _PerSignal(NamedTuple):
    """An array with an axis of signals."""

    array: np.ndarray


def _on_devices(setup: Setup, fn: Callable, chunk_size: int, *arguments) -> tuple[np.ndarray, float]:
    """`fn(learner, *arguments)` of some signals, and the seconds of one, compilation apart.

    Where there are fewer signals than places on the devices, the last one is done again.
    """
    # Of several processes each evaluates by itself, and the first one's rows count.
    mesh = Mesh(np.array(jax.local_devices()), (over_signals.SIGNALS,))
    count = next(len(argument.array) for argument in arguments if isinstance(argument, _PerSignal))
    short = -count % (mesh.size * chunk_size)

    def placed(argument):
        if isinstance(argument, _PerSignal):
            return np.concatenate([argument.array, np.repeat(argument.array[-1:], short, axis=0)])
        return jax.device_put(jax.device_get(argument), NamedSharding(mesh, PartitionSpec()))

    arguments = tuple(map(placed, arguments))
    key = (fn, setup.learner.for_any_budget(), chunk_size)
    program = compiled(functools.partial(fn, setup.learner, mesh=mesh, chunk_size=chunk_size), key, *arguments)
    began = time.perf_counter()
    result = jax.block_until_ready(program(*arguments))
    return np.asarray(result)[:count], (time.perf_counter() - began) / (count + short)


def kept(setup: Setup, state: TrainState, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Non-zero weights [n] and biases [n] of what the budget counts of codes [n, P] (`sparsity.Form.counted`)."""
    learner, params = setup.learner, state.theta["field"]
    counted = jax.vmap(lambda code: learner.form.counted(learner.field, params, code))(jnp.asarray(codes))
    is_weight = learner.field.is_weight
    return tuple(np.count_nonzero(np.asarray(counted)[:, part], axis=1) for part in (is_weight, ~is_weight))


def judged_dataset(job: TrainingJob) -> str:
    """Name of the data set whose signals the job is judged on: Kodak's validation split is of other photographs."""
    # A variant names no split of its own (`variant.VariantJob`): its training says it.
    split = job.split or job.setup.training.evaluate_on
    return job.judged.name if split == "validation" else job.dataset


def common(job: TrainingJob) -> dict:
    """What every row of a run has, whatever the file."""
    return {
        "experiment": job.benchmark,
        "preset": job.preset,
        "dataset": judged_dataset(job),
        "source": job.judged.source,
        "method": job.method,
        "recipe": job.recipe,
        "seed": job.seed,
        "run_id": job.id,
    }


def distortion(values: np.ndarray, targets: np.ndarray) -> dict:
    """A signal's columns of quality, from its values [*views, N, c] and targets: PSNRs are means over its views."""
    values, targets = jnp.asarray(values), jnp.asarray(targets)
    error = metrics.mse(values, targets)
    error8 = metrics.mse(metrics.to_8_bit(values), targets)
    return {
        "mse": f"{jnp.mean(error):.7g}",
        "psnr_db": f"{jnp.mean(metrics.psnr(error)):.4f}",
        "psnr8_db": f"{jnp.mean(metrics.psnr(error8)):.4f}",
    }


@functools.lru_cache(maxsize=1024)
def cost(learner: MetaLearner, modality: Modality, resolution: int) -> dict[str, int]:
    """What decoding a signal of a resolution takes, from shapes alone, as columns.

    Remembered, because it traces the network, and all seeds of a grid ask for the same one.
    """
    coords = modality.all_coordinates(resolution)
    params = jax.eval_shape(learner.init, jax.random.key(0), coords)["field"]
    points = math.prod(modality.shape(resolution))
    return {
        "shared_parameters": metrics.shared_parameters(params) if learner.form.shares_network else 0,
        "decode_flops": metrics.decode_flops(learner.field, params, modality.in_dim, points),
    }


def rows(job: TrainingJob, fitted: Fitted, per_signal: Callable[[int], dict], **per_run) -> list[dict]:
    """One row per signal.

    Args:
      job: what was trained.
      fitted: its signals.
      per_signal: index of a signal -> columns of its own.
      **per_run: columns with one value.
    """
    of_run = common(job) | cost(job.setup.learner, job.setup.modality, job.setup.resolution)
    return [
        dict.fromkeys(records.COLUMNS, "")
        | of_run
        | {
            "inner_steps": job.setup.learner.inner_steps,
            "inner_optimizer": "meta_sgd" if job.setup.learner.meta_sgd else "sgd",
            "outer_steps": job.stop_step,
            "encode_s": f"{fitted.encode_s:.3g}",
            "decode_s": f"{fitted.decode_s:.3g}",
        }
        | per_run
        | {"signal_id": i}
        | distortion(fitted.values[i], fitted.targets[i])
        | per_signal(i)
        for i in range(len(fitted.targets))
    ]
