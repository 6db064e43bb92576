"""What makes meta-learning faster: PSNR of held-out signals against seconds of training, not steps.

A variant (`variant.py`) has as many outer steps as take about the same time.
"""

import dataclasses
import itertools
import shutil

import gin

from benchmarks import cli, evaluation, grid
from benchmarks.methods import METHODS
from benchmarks.run_folder import Result
from benchmarks.variant import VariantJob, distinct, inherited, row
from mscn_flax import data
from mscn_flax.train import train

NAME, SCOPE = "outer_loop", "outer_loop"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CurveJob(VariantJob):
    """A variant of the outer loop, judged several times on the way.

    Attributes:
      judged_at: shares of the outer steps, rising to 1.
      signals_judged: number of validation signals.
      inner_steps: K of the judging, whatever the variant trains with.
    """

    judged_at: tuple[float, ...]
    signals_judged: int
    inner_steps: int

    @property
    def cell(self) -> str:
        """See `Job.cell`."""
        return f"{NAME}-{self._cell(f'{self.variant}-{self.method}')}"

    @property
    def decides(self) -> tuple:
        """See `Job.decides`."""
        judged = (self.judged_at, self.signals_judged, self.inner_steps)
        return self.setup.learner, self.setup.optimizer, self.setup.training, judged, *self.own_code

    @property
    def judged(self) -> data.Signals:
        """See `TrainingJob.judged`; whatever gin says, as `VariantJob.split` has it."""
        return self.signals("validation")

    @property
    def limit(self) -> int:
        """See `TrainingJob.limit`."""
        return self.signals_judged

    def run(self) -> Result:
        """Trains from the start, as seconds of a run that was stopped are lost, and judges on the way."""
        setup, rows, train_s, compile_s = self.setup, [], 0.0, 0.0
        held_out = evaluation.stacked(self.judged, self.limit)
        judge = dataclasses.replace(setup, learner=dataclasses.replace(setup.learner, inner_steps=self.inner_steps))
        checkpoints = self.folder / "checkpoints"
        shutil.rmtree(checkpoints, ignore_errors=True)
        for share in self.judged_at:
            stop = round(share * setup.training.outer_steps)
            trained = train(setup, self.signals("train"), stop=stop, checkpoints=checkpoints, label=self.id)
            train_s, compile_s = train_s + trained.train_s, compile_s + trained.compile_s
            fitted = evaluation.fit_signals(judge, self.at_budget(trained.state), held_out)
            rows.append(row(self, fitted) | {"step": stop, "train_s": f"{train_s:.2f}"})
        return Result({"": rows}, provenance={"train_s": round(train_s, 2), "compile_s": round(compile_s, 2)})


@gin.configurable("outer_loop")
def jobs(
    dataset: str = gin.REQUIRED,
    standins: list[str] = gin.REQUIRED,
    variants: list[str] = gin.REQUIRED,
    methods: list[str] = gin.REQUIRED,
    budget: int = gin.REQUIRED,
    inner_steps: int = gin.REQUIRED,
    seeds: list[int] = gin.REQUIRED,
    judged_at: list[float] = gin.REQUIRED,
    signals: int = gin.REQUIRED,
) -> list[CurveJob]:
    """The variants.

    Args:
      dataset: a key of `data.DATA_SETS`.
      standins: what takes its place where it is not here, in order.
      variants: names of gin scopes; `base` is compared with.
      methods: keys of `METHODS`.
      budget: non-zeros per signal.
      inner_steps: K of the judging, whatever a variant trains with.
      seeds: random seeds of the runs.
      judged_at: shares of the outer steps, rising to 1.
      signals: number of signals of the validation split.

    Raises:
      ValueError: where a variant changes nothing, or the last judging is not at the end.
    """
    grid.check("outer_loop", methods=methods, valid=METHODS, datasets=[dataset], standin=None)
    if list(judged_at) != sorted(set(judged_at)) or not judged_at or judged_at[0] <= 0 or judged_at[-1] != 1:
        raise ValueError(f"outer_loop.judged_at must rise to 1, got {judged_at}")
    found = grid.find(SCOPE, dataset, standins)
    how, made = {"judged_at": tuple(judged_at), "signals_judged": signals, "inner_steps": inner_steps}, []
    for seed, variant, method in itertools.product(cli.seeds(seeds), variants, methods):
        alone = {"variants": [variant], "methods": [method], "seeds": [seed]}
        made.append(CurveJob(**inherited(NAME, (SCOPE, dataset), found, method, variant, budget, seed, alone), **how))
    return distinct("outer_loop.variants", made)


if __name__ == "__main__":
    cli.main(NAME)
