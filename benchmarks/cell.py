"""One cell of a benchmark's grid: what is trained on what, its names and its files."""

import dataclasses
import functools
import hashlib
import math
import pathlib
import re
from collections.abc import Hashable

import flax.linen as nn
import gin
import numpy as np

from benchmarks import cli
from mscn_flax import data
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import Grid, Sampling, Scene
from mscn_flax.outer import OuterOptimizer


@gin.configurable
@dataclasses.dataclass(frozen=True)
class Training:
    """Length and size of a run; the same for every method of a comparison.

    Attributes:
      outer_steps: steps of the outer loop.
      batch_size: B, signals a step.
      stride: one random point is drawn of every cell of `stride` points a side of the grid, afresh every step, for
        inner and outer loss alike; 1 trains on all points. Evaluation is on all points.
      fresh_points: draw them afresh for every inner step and for the outer loss too.
      coarse_until: share of the outer steps that have `coarse_stride` in place of `stride`: resolution that grows. Not
        of scenes, which have rays.
      coarse_stride: larger than `stride` where `coarse_until` is not 0.
      encode_stride: likewise a test signal is fitted to one point of every cell of so many points a side, drawn afresh
        for every inner step; 1 fits it to all points.
      views: of a scene, drawn at random for every step.
      rays: of each of these views, likewise.
      chunk_size: signals that a device works on at a time: memory against parallelism, no effect on the result. None
        for as many as the device's memory holds.
      test_signals: signals of the test split that are evaluated; None for all.
      checkpoint_every: steps between checkpoints.
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

    def __post_init__(self):
        if not 0 <= self.coarse_until <= 1:
            raise ValueError(f"Training.coarse_until must be in [0, 1], got {self.coarse_until!r}")
        if self.coarse_until and self.coarse_stride <= self.stride:
            raise ValueError(f"Training.coarse_stride must be above stride {self.stride}, got {self.coarse_stride!r}")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if (value is None and field.name in ("test_signals", "chunk_size")) or field.name in (
                "fresh_points",
                "coarse_until",
            ):
                continue
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"Training.{field.name} must be at least 1 and whole, got {value!r}")

    @property
    def coarse_steps(self) -> int:
        """Outer steps with `coarse_stride`."""
        return round(self.coarse_until * self.outer_steps)

    def sampling(self, inner_steps: int, step: int | None = None) -> Sampling:
        """Which points outer step `step` sees, of so many inner steps; the last one where None."""
        stride = self.coarse_stride if step is not None and step < self.coarse_steps else self.stride
        rounds = inner_steps + 1 if self.fresh_points and stride > 1 else 1
        return Sampling(stride, rounds, self.views, self.rays)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One line of a figure or table: what is trained on what, and at which point of its training it counts.

    Attributes:
      experiment: the benchmark's name.
      grid: gin selector of the function whose datasets, methods, budgets and seeds span the grid.
      preset: name of the gin overlay.
      dataset: a key of `data.DATA_SETS`.
      resolution: pixels a side, latitudes or voxels a side.
      method: as in the `method` column.
      budget: what is asked for, in the benchmark's unit.
      seed: of initialisation, batches and gates.
      learner: field, gates and inner loop.
      optimizer: of the outer loop.
      training: length and size.
      stop: outer steps after which the cell is evaluated: fewer or more than `training.outer_steps`, to which the
        schedules refer; None for just as many.
      trained_as: name that cells with one training in common share; None for a training of its own.
      axis: name of the grid's parameter that `budget` follows from, and its value for this cell alone; None for
        `budgets` and a list of it.
      evaluation: whatever else decides the rows; its repr is part of the run's id.
      asked: data set that the grid has, where another stands in for it; None for `dataset` itself.
      scopes: of gin, below the grid's, that configure the cell; None for the method alone.
    """

    experiment: str
    grid: str
    preset: str
    dataset: str
    resolution: int
    method: str
    budget: float
    seed: int
    learner: MetaLearner
    optimizer: OuterOptimizer
    training: Training
    stop: int | None = None
    trained_as: str | None = None
    axis: tuple[str, list | dict] | None = None
    evaluation: Hashable = None
    asked: str | None = None
    scopes: tuple[str, ...] | None = None

    @property
    def modality(self) -> Grid | Scene:
        """What kind of signals it is trained on."""
        return data.DATA_SETS[self.dataset].modality

    @functools.cached_property
    def signals(self) -> dict[str, data.Signals]:
        """Split -> signals."""
        return {
            split: data.load(self.dataset, split, resolution=self.resolution, data_dir=cli.data_dir())
            for split in ("train", "test")
        }

    @functools.cached_property
    def coords(self) -> np.ndarray:
        """All coordinates of a signal."""
        return self.modality.all_coordinates(self.resolution)

    @property
    def stop_step(self) -> int:
        """Outer steps after which the cell is evaluated."""
        return self.training.outer_steps if self.stop is None else self.stop

    @property
    def points(self) -> int:
        """Points of a signal that an outer step sees, the larger number where resolution grows."""
        sampling = self.training.sampling(self.learner.inner_steps)
        if isinstance(self.modality, Scene):
            return sampling.views * sampling.rays
        return math.prod(-(-extent // sampling.stride) for extent in self.modality.shape(self.resolution))

    def _id(self, name: str, *more) -> str:
        """Cell of the grid, then a digest of everything that decides the numbers."""
        source = self.signals["train"].source
        decides = (self.resolution, self.learner, self.optimizer, self.training, *more)
        digest = hashlib.sha256(choices(decides).encode()).hexdigest()[:8]
        return f"{self.dataset}-{source}-{name}-s{self.seed}-{digest}"

    @property
    def run_id(self) -> str:
        """Of the cell's rows."""
        return self._id(f"{self.method}-{self.budget:g}", self.stop_step, self.evaluation)

    @functools.cached_property
    def gin_text(self) -> str:
        """The operative configuration, with the grid narrowed to this cell: a gin file that repeats this run alone.

        Without the sections of the grid's other cells, which a run of this one alone does not have.
        """
        name, value = self.axis or ("budgets", [self.budget])
        only = {"datasets": [self.asked or self.dataset], "methods": [self.method], name: value, "seeds": [self.seed]}
        lines = [f"{self.grid}.{name} = {value!r}" for name, value in only.items()]
        scope, own = self.grid.split("/")[0], set(self.scopes or [self.method])
        sections = sections_of(gin.operative_config_str(), scope, own)
        return "\n".join([sections, "", f"# Run {self.run_id} alone:", *lines, ""])

    @property
    def folder(self) -> pathlib.Path:
        """Of checkpoints and logs: the training's, whichever of its cells."""
        name = self._id(self.trained_as or f"{self.method}-{self.budget:g}")
        return cli.runs_dir() / self.preset / self.experiment / name

    @property
    def csv(self) -> pathlib.Path:
        """Of the rows."""
        return cli.results_dir() / self.preset / f"{self.experiment}.csv"


def sections_of(gin_text: str, scope: str, own: set[str]) -> str:
    """A gin text without the sections of scopes below `scope` that have others than `own` in them."""
    sections = [
        section
        for section in re.split(r"(?m)^(?=# Parameters for )", gin_text)
        if not (found := re.match(rf"# Parameters for {scope}/([\w/]+)/", section)) or own >= set(found[1].split("/"))
    ]
    return "".join(sections).rstrip()


def choices(value) -> str:
    """A configuration as text, without what stands at its default: a new option leaves it as it is."""
    if isinstance(value, tuple):
        return f"({', '.join(map(choices, value))})"
    if not dataclasses.is_dataclass(value):
        return repr(value)
    chosen = {}
    for field in dataclasses.fields(value):
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        now = getattr(value, field.name)
        if now != default and not (isinstance(value, nn.Module) and field.name in ("name", "parent")):
            chosen[field.name] = choices(now)
    return f"{type(value).__name__}({', '.join(f'{name}={text}' for name, text in chosen.items())})"
