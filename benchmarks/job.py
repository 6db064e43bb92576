"""A job: one unit of work of a benchmark, a value that can be sent anywhere; configuration in, rows out."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Hashable

from benchmarks import cli
from benchmarks.ids import digest_of, digests_of_own_code
from benchmarks.looks import Look
from benchmarks.methods import METHODS
from benchmarks.run_folder import Result
from mscn_flax import data
from mscn_flax.train import Setup, train
from mscn_flax.train_state import TrainState


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What all jobs have.

    Attributes:
      benchmark: its name, a key of `records.TABLES`.
      preset: name of the preset, and of the folder of the results.
      seed: random seed of the run.
      recipe: one of `records.RECIPES`, or empty: see there.
      shown: whether it leaves files for figures; of the seeds and recipes of a preset one does.
      gin: a gin file that repeats this job alone.
    """

    benchmark: str
    preset: str
    seed: int = 0
    recipe: str = ""
    shown: bool = dataclasses.field(default=True, compare=False)
    gin: str = dataclasses.field(default="", repr=False, compare=False)

    @property
    def cell(self) -> str:
        """The cell of the benchmark's grid: the run's id without its digest; ends with `-s<seed>`."""
        raise NotImplementedError

    @property
    def decides(self) -> tuple:
        """Everything that decides the rows, besides the cell."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """Names everything that decides the rows."""
        return digest_of(self.decides)

    @functools.cached_property
    def id(self) -> str:
        """Of the run: the cell, then the digest."""
        return f"{self.cell}-{self.digest}"

    @property
    def split(self) -> str | None:
        """Split of its data set that it is judged on; None for a job that compares nothing by it."""
        return None

    @property
    def look(self) -> Look | None:
        """Look of its method in figures, where that comes from outside the repository."""
        return None

    @property
    def data(self) -> str:
        """The signals that it is trained and judged on, for people; empty where nothing is trained."""
        return ""

    @property
    def training(self) -> str:
        """Id of the training that this job shares with others, which must run one after the other; else its own id."""
        return self.id

    @property
    def folder(self) -> pathlib.Path:
        """Of the run, see `run_folder`."""
        return cli.runs_dir() / self.preset / self.benchmark / self.id

    def run(self) -> Result:
        """Does the work."""
        raise NotImplementedError

    def describe(self) -> str:
        """What the job would do, in one line, for `--dry_run`."""
        return f"{self.id}: {self.decides}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingJob(Job):
    """One cell of a figure or table: what is trained on what, and at which point of its training it is evaluated.

    Attributes:
      dataset: a key of `data.DATA_SETS`.
      method: as in the `method` column.
      budget: what is asked for, in the benchmark's unit.
      setup: what is trained, and how.
      scope: gin scope that it was built in.
      evaluate: gives the tables and files of a trained state; a function of a module.
      evaluation: what it needs besides the job; its repr is part of the run's id.
      stop: outer steps after which the state is evaluated: fewer or more than `setup.training.outer_steps`, to which
        the schedules refer; None for just as many.
      trained_as: name that jobs with one training in common share; None for a training of its own, or for that of the
        method's other budgets too (`Method.serves_all`).
      equal: what it has as much of as the method that it is compared with, of `records.EQUAL`, or empty: see there.
    """

    dataset: str
    method: str
    budget: float
    setup: Setup
    scope: tuple[str, ...] = ()
    evaluate: Callable[["TrainingJob", TrainState], Result] = dataclasses.field(repr=False)
    evaluation: Hashable = None
    stop: int | None = None
    trained_as: str | None = None
    equal: str = ""

    def signals(self, split: str) -> data.Signals:
        """The signals of a split."""
        return data.load(self.dataset, split, resolution=self.setup.resolution)

    @property
    def split(self) -> str | None:
        """See `Job.split`."""
        return self.setup.training.evaluate_on

    @property
    def look(self) -> Look | None:
        """See `Job.look`."""
        known = METHODS.get(self.method)
        return known and known.look

    @property
    def unit(self) -> str:
        """What a number of a code is called."""
        return METHODS[self.method].unit

    @property
    def judged(self) -> data.Signals:
        """The signals that the trained state is judged on."""
        return self.signals(self.setup.training.evaluate_on)

    @property
    def limit(self) -> int | None:
        """How many of these, from the first; None for all."""
        return self.setup.training.test_signals

    @property
    def stop_step(self) -> int:
        """Outer steps after which the state is evaluated."""
        return self.setup.training.outer_steps if self.stop is None else self.stop

    @property
    def cell(self) -> str:
        """See `Job.cell`."""
        equal = "" if self.equal == "network" else self.equal
        return self._cell("-".join(filter(None, [f"{self.method}-{self.budget:g}", self.recipe, equal])))

    def _cell(self, name: str) -> str:
        return f"{self.dataset}-{self.signals('train').source}-{name}-s{self.seed}"

    @property
    def own_code(self) -> tuple[str, ...]:
        """See `digests_of_own_code`: of the data set and the method."""
        known = METHODS.get(self.method)
        parts = (data.DATA_SETS[self.dataset].reader, *((known.field, known.learner) if known else ()))
        return digests_of_own_code(*parts)

    @property
    def _trained(self) -> tuple:
        return self.setup.resolution, self.setup.learner, self.setup.optimizer, self.setup.training, *self.own_code

    @property
    def decides(self) -> tuple:
        """See `Job.decides`."""
        return (*self._trained, self.stop_step, self.evaluation)

    @property
    def data(self) -> str:
        """See `Job.data`: an id says where these come from, but not what they are and how many."""
        return f"{told(self.signals('train'))}, {judged_on(self.judged, self.limit)}"

    @property
    def training(self) -> str:
        """See `Job.training`; another evaluation of the same training finds its checkpoints, other signals do not."""
        digest = digest_of((*self._trained, told(self.signals("train"))))
        known = METHODS.get(self.method)
        shared = self.trained_as or (self.method if known and known.serves_all else f"{self.method}-{self.budget:g}")
        return f"{self._cell(shared)}-{digest}"

    def at_budget(self, state: TrainState) -> TrainState:
        """A trained state with the gates of the job's budget, where one training serves several."""
        return state if state.gates is None else state.replace(gates=state.gates.at_budget(self.budget))

    def run(self) -> Result:
        """Trains, from the last checkpoint where there is one, and evaluates."""
        trained = train(
            self.setup,
            self.signals("train"),
            stop=self.stop_step,
            checkpoints=self.folder.parent / self.training / "checkpoints",
            # Rounds of pruning are evaluated one after the other: the state after each stays.
            keep_period=self.setup.learner.controller and self.setup.learner.controller.keep_every,
            label=self.id,
        )
        times = {
            "compile_s": round(trained.compile_s, 2),
            "train_s": round(trained.train_s, 3),
            "resumed_at_step": trained.start,
        }
        result = self.evaluate(self, self.at_budget(trained.state))
        return result._replace(provenance=times | dict(result.provenance))


def told(signals: data.Signals) -> str:
    """What signals are and how many, for people, and their fingerprint."""
    return f"{len(signals):,} signals of {signals.name} ({signals.source}, {signals.fingerprint})"


def judged_on(signals: data.Signals, limit: int | None) -> str:
    """What the first `limit` signals are that something is judged on; all where None."""
    return f"judged on {min(len(signals), limit or len(signals)):,} of {told(signals)}"
