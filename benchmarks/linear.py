"""Jobs of linear codes: principal components of the training signals, a floor for networks of as many numbers.

In Table 1 (`pca`) a test signal's code is its coefficients as they are; in rate and distortion (`klt`) they are
quantised and coded as those of networks are.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Hashable

import jax.numpy as jnp
import numpy as np

from benchmarks import cli, evaluation, grid
from benchmarks.job import TrainingJob
from benchmarks.run_folder import Result
from mscn_flax import configuration, data
from mscn_flax.linear import LinearField, LinearLearner, most_components, principal_components
from mscn_flax.modalities.grids import Grid
from mscn_flax.outer import OuterOptimizer
from mscn_flax.train import Setup, Training
from mscn_flax.train_state import TrainState

_CHUNK = 16
"""Signals that a device works on at a time."""

_NUMBERS = 1 << 30
"""Points of all training signals that are held at a time: 8 GiB per channel."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearJob(TrainingJob):
    """A linear code, which is fitted in place of a training; it has one random seed.

    Attributes:
      fitted: number of components that are fitted at once, for codes of fewer numbers too.
    """

    unit = "coefficients"
    stop: int = 0
    fitted: int

    @property
    def decides(self) -> tuple:
        """See `Job.decides`."""
        setup, signals = self.setup, self.setup.training.test_signals
        return setup.resolution, setup.learner, signals, self.split, self.evaluation, *self.own_code

    @property
    def training(self) -> str:
        """See `Job.training`."""
        return self.id

    def run(self) -> Result:
        """Fits the components to all training signals, and evaluates."""
        began = time.perf_counter()
        mean, components = _components(self.dataset, self.setup.resolution, self.fitted)
        fitted_s = time.perf_counter() - began
        theta = {"field": LinearField.params(mean, components[: self.budget])}
        state = TrainState(step=jnp.zeros((), jnp.int32), theta=theta, gates=None, opt_state=())
        result = self.evaluate(self, state)
        return result._replace(provenance={"train_s": round(fitted_s, 3)} | dict(result.provenance))

    def describe(self) -> str:
        """See `Job.describe`."""
        return f"{self.method} with {self.budget} components on {self.dataset}"


@functools.lru_cache(maxsize=1)
def _components(dataset: str, resolution: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and principal components of a data set's training signals: those of few are the first of those of many.

    Of more signals than memory holds, those at even distances.
    """
    train, modality = data.load(dataset, "train", resolution=resolution), data.DATA_SETS[dataset].modality
    fitted = min(len(train), max(count + 1, _NUMBERS // math.prod(modality.shape(resolution))))
    signals = [train[i] for i in np.linspace(0, len(train) - 1, fitted).astype(int)]
    targets = modality.whole(evaluation.stacked(signals, None), resolution).targets
    return principal_components(targets.reshape(len(targets), -1), count)


def jobs(
    benchmark: str,
    scope: str,
    asked: str,
    dataset: str,
    resolution: int,
    method: str,
    budgets: list[int],
    alone: Callable[[int], dict],
    evaluate: Callable[[TrainingJob, TrainState], Result],
    how: Callable[[], Hashable | None] = lambda: None,
) -> list[LinearJob]:
    """The linear codes of one data set whose signals lie on a grid; none of scenes, whose field is not observed.

    Args:
      benchmark: its name.
      scope: its gin scope.
      asked: data set that was asked for, whose scope configures it.
      dataset: data set that is here.
      resolution: pixels, latitudes or voxels per side.
      method: as in the `method` column.
      budgets: numbers of components; what the training signals do not have is left out, which is said.
      alone: budget -> axes of the grid that have it alone, as `grid.gin_text` takes them.
      evaluate: see `TrainingJob`.
      how: makes `TrainingJob.evaluation` in the job's scope.
    """
    known = data.DATA_SETS[dataset]
    if not isinstance(known.modality, Grid):
        return []
    points, made = math.prod(known.modality.shape(resolution)), []
    if not cli.dry_run():  # Which needs no data.
        signals = len(data.load(dataset, "train", resolution=resolution))
        most = most_components(signals, points * known.channels)
        if many := [budget for budget in budgets if budget > most]:
            print(f"left out: {method} of {dataset} at {many}, as {signals} training signals have {most} components")
        budgets = [budget for budget in budgets if budget <= most]
    for budget in budgets:
        with configuration.scope(scope, asked, method):
            # Projected are all points of a signal, whatever a network is fitted to.
            training = dataclasses.replace(Training(), encode_stride=1, chunk_size=_CHUNK)
            learner = LinearLearner(field=LinearField(latent_dim=budget, points=points, out_dim=known.channels))
            setup = Setup(learner, OuterOptimizer(), training, known.modality, resolution)
            chosen = how()
        axes = {"datasets": [asked], "methods": [method], "seeds": [0]} | alone(budget)
        made.append(
            LinearJob(
                benchmark=benchmark,
                preset=cli.preset(),
                gin=grid.gin_text((scope, asked, method), **axes),
                dataset=dataset,
                method=method,
                budget=budget,
                fitted=max(budgets),
                setup=setup,
                evaluate=evaluate,
                evaluation=chosen,
            )
        )
    return made
