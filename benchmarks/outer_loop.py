"""What makes meta-learning faster: PSNR of held-out signals against seconds of training, not steps.

A variant changes one thing of Table 1's training, in the gin scope of its name, and has as many outer steps as take
about the same time. Judged on the validation split, never on test signals.
"""

import dataclasses
import shutil

import gin
import numpy as np

from benchmarks import cli, engine, evaluation, grid, table1_modulations
from benchmarks.job import TrainingJob, choices
from benchmarks.methods import METHODS
from benchmarks.run_folder import Result
from mscn_flax import data, metrics
from mscn_flax.train import train

NAME, SCOPE = "outer_loop", "outer_loop"


@dataclasses.dataclass(frozen=True, kw_only=True)
class VariantJob(TrainingJob):
    """A variant of the outer loop, judged several times on the way.

    Attributes:
      variant: its name.
      judged_at: shares of the outer steps, rising to 1.
      signals_judged: number of validation signals.
      inner_steps: K of the judging, whatever the variant trains with.
    """

    variant: str
    judged_at: tuple[float, ...]
    signals_judged: int
    inner_steps: int

    @property
    def cell(self) -> str:
        """See `Job.cell`."""
        return f"{NAME}-{self._cell(f'{self.variant}-{self.method}')}"

    @property
    def split(self) -> str | None:
        """None: always the validation split, as no test signal must choose how to train."""
        return None

    @property
    def decides(self) -> tuple:
        """See `Job.decides`."""
        judged = (self.judged_at, self.signals_judged, self.inner_steps)
        return self.setup.learner, self.setup.optimizer, self.setup.training, judged

    def run(self) -> Result:
        """Trains from the start, as seconds of a run that was stopped are lost, and judges on the way."""
        setup, rows, train_s, compile_s = self.setup, [], 0.0, 0.0
        held_out = evaluation.stacked(self.signals("validation"), self.signals_judged)
        seen = setup.modality.observed(held_out, setup.resolution, self.inner_steps)
        shown = setup.modality.whole(held_out, setup.resolution)
        judge = dataclasses.replace(setup, learner=dataclasses.replace(setup.learner, inner_steps=self.inner_steps))
        checkpoints = self.folder / "checkpoints"
        shutil.rmtree(checkpoints, ignore_errors=True)
        for share in self.judged_at:
            stop = round(share * setup.training.outer_steps)
            trained = train(setup, self.signals("train"), stop=stop, checkpoints=checkpoints, label=self.id)
            train_s, compile_s = train_s + trained.train_s, compile_s + trained.compile_s
            fitted = evaluation.fit(judge, trained.state, seen, shown=shown)
            psnr = np.mean(np.asarray(metrics.psnr(metrics.mse(fitted.values, fitted.targets))))
            rows.append(
                evaluation.common(self)
                | {
                    "variant": self.variant,
                    "budget": self.budget,
                    "outer_steps": setup.training.outer_steps,
                    "step": stop,
                    "train_s": f"{train_s:.2f}",
                    "psnr_db": f"{psnr:.4f}",
                    "signals": len(fitted.targets),
                    "device": engine.device_name(),
                }
            )
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
) -> list[VariantJob]:
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
    known, made = {}, []
    for seed in cli.seeds(seeds):
        for variant in variants:
            for method in methods:
                job = _job(dataset, found, variant, method, budget, seed, tuple(judged_at), signals, inner_steps)
                decides = choices((seed, method, job.setup.learner, job.setup.optimizer, job.setup.training))
                if other := known.get(decides):
                    message = f"has {variant!r}, which changes nothing of {other!r} as gin has them"
                    raise ValueError(f"outer_loop.variants {message}")
                known[decides] = variant
                made.append(job)
    return made


def _job(asked, dataset, variant, method, budget, seed, judged_at, signals, inner_steps) -> VariantJob:
    resolution = data.DATA_SETS[dataset].resolution
    alone = {"variants": [variant], "methods": [method], "seeds": [seed]}
    job = table1_modulations.job(
        NAME, (SCOPE, asked, method, variant), dataset, resolution, method, budget, seed, alone
    )
    inherited = {field.name: getattr(job, field.name) for field in dataclasses.fields(TrainingJob)}
    return VariantJob(
        **inherited, variant=variant, judged_at=judged_at, signals_judged=signals, inner_steps=inner_steps
    )


if __name__ == "__main__":
    cli.main(NAME)
