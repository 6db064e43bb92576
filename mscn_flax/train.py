"""The training loop (eq. 8): batches drawn from signals, outer steps, checkpoints; the same for everything that trains.

Benchmarks, the codec's own models and notebooks call `train`. Batch and points of an outer step are functions of the
random seed and the step alone, so that a run that was stopped goes on from its last checkpoint to the same numbers.
"""

import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import gin
import grain
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float

from mscn_flax import devices, memory, meta, over_signals
from mscn_flax.checkpoint import Checkpoints
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import Modality, Points, Sampling
from mscn_flax.outer import OuterOptimizer
from mscn_flax.progress import Progress
from mscn_flax.tiles import divisor
from mscn_flax.train_state import TrainState

_SHOWN = ("mse", "psnr", "open_gates")
"""The logged values that the progress display shows."""

_LOOKED_AT = 20
"""Outer steps between two looks at the logged values: reading a value waits for its step."""


@gin.configurable
@dataclasses.dataclass(frozen=True)
class Training:
    """Length and size of a training run; the same for every method of a comparison.

    Attributes:
      outer_steps: number of steps of the outer loop.
      batch_size: B, signals per outer step.
      stride: one random point is drawn in every cell of `stride` points per side of the grid, afresh for every outer
        step and used by inner and outer loss alike; 1 trains on all points. Evaluation is on all points.
      chunk_size: signals that a device works on at a time, on a CPU at most (`memory`); trades memory for speed, no
        effect on the result but rounding. None: as many as the memory of the device holds.
      test_signals: number of test signals that are evaluated; None for all.
      checkpoint_every: outer steps between two checkpoints.
      fresh_points: draw points or rays afresh for every inner step and for the outer loss too.
      encode_stride: a test signal is fitted to one point in every cell of `encode_stride` points per side, drawn afresh
        for every inner step; 1 fits it to all points.
      views: views of a scene that are drawn at random for every outer step.
      rays: rays that are drawn at random from each of these views.
      coarse_until: fraction of the outer steps that use `coarse_stride` in place of `stride`; not for scenes.
      coarse_stride: larger than `stride` where `coarse_until` is not 0.
      evaluate_on: split that the trained state is judged on: "test", or "validation" for tuning.

    Raises:
      ValueError: for a number that is not whole, or out of range.
    """

    outer_steps: int = 500_000
    batch_size: int = 16
    stride: int = 1
    chunk_size: int | None = 16
    test_signals: int | None = None
    checkpoint_every: int = 1000
    fresh_points: bool = False
    encode_stride: int = 1
    views: int = 8
    rays: int = 1024
    coarse_until: float = 0.0
    coarse_stride: int = 1
    evaluate_on: str = "test"

    def __post_init__(self):
        if self.evaluate_on not in ("test", "validation"):
            raise ValueError(f"Training.evaluate_on must be test or validation, got {self.evaluate_on!r}")
        if not 0 <= self.coarse_until <= 1:
            raise ValueError(f"Training.coarse_until must be in [0, 1], got {self.coarse_until!r}")
        if self.coarse_until and self.coarse_stride <= self.stride:
            raise ValueError(f"Training.coarse_stride must be above stride {self.stride}, got {self.coarse_stride!r}")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            whole = field.type is int or (field.name in ("test_signals", "chunk_size") and value is not None)
            if whole and not (isinstance(value, int) and value >= 1):
                raise ValueError(f"Training.{field.name} must be at least 1 and whole, got {value!r}")

    @property
    def coarse_steps(self) -> int:
        """Number of outer steps that use `coarse_stride`."""
        return round(self.coarse_until * self.outer_steps)

    def sampling(self, inner_steps: int, step: int | None = None) -> Sampling:
        """Which points outer step `step` sees when each signal has `inner_steps` inner steps; None: the last step."""
        stride = self.coarse_stride if step is not None and step < self.coarse_steps else self.stride
        rounds = inner_steps + 1 if self.fresh_points else 1
        return Sampling(stride, rounds, self.views, self.rays)


@dataclasses.dataclass(frozen=True)
class Setup:
    """All that decides a training run besides its signals.

    Attributes:
      learner: field, gates and inner loop.
      optimizer: of the outer loop.
      training: length and size of the run.
      modality: kind of the signals.
      resolution: pixels, latitudes or voxels per side of a signal.
      seed: random seed of initialisation, batches and gates.
    """

    learner: MetaLearner
    optimizer: OuterOptimizer
    training: Training
    modality: Modality
    resolution: int
    seed: int = 0

    @functools.cached_property
    def coords(self) -> Float[np.ndarray, "N d"]:
        """All coordinates of a signal."""
        return self.modality.all_coordinates(self.resolution)


class Trained(NamedTuple):
    """What training gives.

    Attributes:
      state: the trained state.
      start: outer step at which this process took the run up; 0 without a checkpoint.
      compile_s: seconds of compilation.
      train_s: seconds of the outer steps, checkpoints included.
    """

    state: TrainState
    start: int
    compile_s: float
    train_s: float


def train(
    setup: Setup,
    signals: Sequence | np.ndarray,
    *,
    stop: int | None = None,
    checkpoints: pathlib.Path | None = None,
    keep_period: int | None = None,
    label: str = "training",
    callback: Callable[[int, dict[str, float]], None] | None = None,
) -> Trained:
    """Meta-learns on signals, from the last checkpoint where there is one.

    Args:
      setup: what is trained, and how.
      signals: `signals[i]` is one training signal as the modality has it, `len(signals)` their number.
      stop: outer steps after which to stop, where these are not `setup.training.outer_steps`, to which schedules refer.
      checkpoints: folder of the run's checkpoints; None to keep none.
      keep_period: checkpoints whose step it divides all stay, besides the latest.
      label: name of the run for the progress display.
      callback: called with the number of completed outer steps and their logged values, every few steps.

    Raises:
      FloatingPointError: where loss or gradient are not finite; the last good checkpoint stays.
      ValueError: where there are fewer signals than a batch has.
    """
    training = setup.training
    stop = training.outer_steps if stop is None else stop
    mesh = devices_for(training.batch_size)
    state = first_state(setup, mesh)
    if stop == 0:
        return Trained(state, 0, 0.0, 0.0)
    source = batches(signals, training.batch_size, setup.seed)
    statics = ("train", setup.learner.for_any_budget(), setup.optimizer, training)
    program = functools.partial(compiled, step_of(setup, mesh), statics, donate_argnums=0)
    with Checkpoints(checkpoints, keep_period=keep_period) as kept:
        start, state = kept.restore_latest(stop, state, devices.agreed)
        seed, began = np.int32(setup.seed), time.perf_counter()
        for first in {start, max(start, training.coarse_steps)} & set(range(start, stop)):
            program(state, *batch(setup, source, first, mesh), seed)
        compile_s, began = time.perf_counter() - began, time.perf_counter()
        unchecked = []
        with Progress(label, stop, start) as progress:
            for step in range(start, stop):
                arguments = (state, *batch(setup, source, step, mesh), seed)
                state, logged = program(*arguments)(*arguments)
                unchecked.append((step, logged))
                save = (step + 1) % training.checkpoint_every == 0 or step + 1 == stop
                if save or len(unchecked) == _LOOKED_AT:
                    values = _checked(unchecked, label, kept.latest_step())
                    progress.show(step + 1, {name: values[name] for name in _SHOWN if name in values})
                    if callback is not None:
                        callback(step + 1, values)
                    unchecked = []
                if save:
                    kept.save(step + 1, state)
        train_s = time.perf_counter() - began
    return Trained(state, start, compile_s, train_s)


def batches(signals: Sequence | np.ndarray, batch_size: int, seed: int) -> grain.MapDataset:
    """Shuffled batches without end: `batches(...)[step]` is B signals stacked, a function of seed and step alone.

    Every epoch has its own order.

    Raises:
      ValueError: where a batch is larger than the data set.
    """
    if batch_size > len(signals):
        name = getattr(signals, "name", "the training set")
        raise ValueError(f"batch_size {batch_size} is larger than the {len(signals)} training signals of {name}")
    return grain.MapDataset.source(signals).seed(seed).shuffle().repeat().batch(batch_size)


def devices_for(batch_size: int) -> Mesh:
    """A mesh over as few devices as finish a batch no later than all would; over all where several processes train.

    Of 3 signals two devices have 2 places each; what fills the fourth does not count, see `meta.meta_gradient`.
    """
    found = jax.devices()
    count = -(-batch_size // -(-batch_size // len(found))) if jax.process_count() == 1 else len(found)
    return Mesh(np.array(found[:count]), (over_signals.SIGNALS,))


def first_state(setup: Setup, mesh: Mesh) -> TrainState:
    """`meta.init_state` of a setup, on every device."""
    optimizer = setup.optimizer.build(setup.training.outer_steps)
    init = functools.partial(meta.init_state, setup.learner, optimizer, setup.seed)
    # Jitted, so that no two leaves share a buffer: the step takes them over.
    return jax.jit(init, out_shardings=NamedSharding(mesh, PartitionSpec()))(setup.coords)


def chunk_of(setup: Setup, mesh: Mesh) -> tuple[int, int]:
    """Points per signal that an outer step sees, and signals that a device works on at a time."""
    training = setup.training
    points = setup.modality.drawn(setup.resolution, training.sampling(setup.learner.steps_in_training))
    at_a_time = memory.signals_at_a_time(training.chunk_size, setup.learner.field, points)
    return points, divisor(at_a_time, -(-training.batch_size // mesh.size))


def step_of(setup: Setup, mesh: Mesh) -> Callable:
    """`meta.train_step` of a setup: a function of state, coordinates, targets and seed."""
    training = setup.training
    return functools.partial(
        meta.train_step,
        learner=setup.learner,
        optimizer=setup.optimizer.build(training.outer_steps),
        outer_steps=training.outer_steps,
        mesh=mesh,
        chunk_size=chunk_of(setup, mesh)[1],
    )


def batch(setup: Setup, source: grain.MapDataset, step: int, mesh: Mesh) -> Points:
    """Coordinates and targets of an outer step, laid out over the devices as the step wants them."""
    rng = np.random.default_rng([setup.seed, step])
    sampling = setup.training.sampling(setup.learner.steps_in_training, step)
    points = setup.modality.draw(source[step], setup.resolution, sampling, rng)
    # The step divides what does not divide evenly.
    axes = () if len(points.targets) % mesh.size else (over_signals.SIGNALS,)
    each, shared = NamedSharding(mesh, PartitionSpec(*axes)), NamedSharding(mesh, PartitionSpec())
    own_points = points.coords.ndim == points.targets.ndim
    return Points(devices.placed(points.coords, each if own_points else shared), devices.placed(points.targets, each))


_COMPILED = {}


def compiled(fn: Callable, statics: Hashable, *arguments, **options) -> Callable:
    """`fn` compiled for arguments like these, from memory where this process has compiled it before.

    Args:
      fn: to compile.
      statics: all that decides the computation besides the shapes of `arguments`.
      *arguments: examples.
      **options: for `jax.jit`.
    """
    leaves, structure = jax.tree.flatten(arguments)
    key = (statics, structure, tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves))
    if key not in _COMPILED:
        _COMPILED[key] = jax.jit(fn, **options).lower(*arguments).compile()
    return _COMPILED[key]


def _checked(unchecked: list, label: str, good: int | None) -> dict[str, float]:
    """The logged values of the last step, once those of all steps are seen to be finite."""
    for step, logged in unchecked:
        values = {name: float(value) for name, value in logged.items()}
        if not (np.isfinite(values["mse"]) and np.isfinite(values["gradient_norm"])):
            last = "none" if good is None else f"step {good}"
            raise FloatingPointError(
                f"{label}: loss {values['mse']} with gradient norm {values['gradient_norm']} at outer step {step}; "
                f"lower OuterOptimizer.learning_rate, or set clip_norm; last good checkpoint: {last}"
            )
    return values
