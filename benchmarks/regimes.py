"""When do sparse modulations beat latents: a map of outer steps, depth and numbers per signal, and an ablation table.

The map has the variant `base`, which is recipe best as it is. A lever is a variant (`variant.py`) of one cell, the one
whose depth and steps gin has; `base` of that cell is what it is compared with. Judged on the validation split.
"""

import dataclasses
import itertools

import gin

from benchmarks import cli, evaluation, grid
from benchmarks.methods import METHODS
from benchmarks.run_folder import Result
from benchmarks.variant import VariantJob, distinct, inherited, row
from mscn_flax.siren import Siren, base_siren
from mscn_flax.train_state import TrainState

NAME, SCOPE, RECIPE = "regimes", "regimes", "best"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegimeJob(VariantJob):
    """One cell of the map, or of the ablation table."""

    @property
    def network(self) -> Siren:
        """The base network."""
        return base_siren(self.setup.learner.field)

    @property
    def cell(self) -> str:
        """See `Job.cell`."""
        sizes = f"{self.network.depth}x{self.network.width}-{self.setup.training.outer_steps}"
        return self._cell(f"{self.variant}-{self.method}-{self.budget}-{sizes}")

    def run(self) -> Result:
        """Trains and evaluates; of a training that was resumed the seconds are not known."""
        result = super().run()
        said = result.provenance
        seconds = "" if said["resumed_at_step"] else f"{said['train_s']:.2f}"
        return result._replace(tables={"": [each | {"train_s": seconds} for each in result.tables[""]]})


@gin.configurable("regimes")
def jobs(
    datasets: list[str] = gin.REQUIRED,
    standins: dict[str, list[str]] = gin.REQUIRED,
    steps: list[int] = gin.REQUIRED,
    depths: list[int] = gin.REQUIRED,
    budgets: list[int] = gin.REQUIRED,
    methods: list[str] = gin.REQUIRED,
    levers: dict[str, list[str]] = gin.REQUIRED,
    lever_budget: int = gin.REQUIRED,
    seeds: list[int] = gin.REQUIRED,
) -> list[RegimeJob]:
    """The map, then the levers; without steps, depths or budgets there is no map.

    Args:
      datasets: keys of `data.DATA_SETS`.
      standins: data set -> what takes its place where it is not here, in order; those without stop the run instead.
      steps: numbers of outer steps of the map.
      depths: of the base network, of the map.
      budgets: numbers per signal, of the map.
      methods: of the map, keys of `METHODS`.
      levers: names of gin scopes -> methods that each is for; `base` changes nothing.
      lever_budget: numbers per signal of the levers.
      seeds: random seeds of the runs.

    Raises:
      ValueError: where a lever changes nothing, or runs would be judged on test signals.
    """
    known = [*methods, *itertools.chain.from_iterable(levers.values())]
    grid.check("regimes", methods=known, valid=METHODS, datasets=datasets, standin=None)
    made = []
    for asked, seed in itertools.product(datasets, cli.seeds(seeds)):
        found = grid.find(SCOPE, asked, standins.get(asked, []))
        for budget, depth, count, method in itertools.product(budgets, depths, steps, methods):
            alone = {"steps": [count], "depths": [depth], "budgets": [budget], "methods": [method], "levers": {}}
            made.append(_job(asked, found, method, "base", budget, seed, alone, count, depth=depth))
        for variant, method in ((variant, method) for variant, its in levers.items() for method in its):
            alone = {"steps": [], "levers": {variant: [method]}}
            made.append(_job(asked, found, method, variant, lever_budget, seed, alone))
    return distinct("regimes.levers", made)


def _job(
    asked: str,
    dataset: str,
    method: str,
    variant: str,
    budget: int,
    seed: int,
    alone: dict,
    steps: int | None = None,
    **network: int,
) -> RegimeJob:
    """One run; of as many outer steps and with a base network as gin has them where they are not given."""
    alone |= {"datasets": [asked], "seeds": [seed]}
    parts = inherited(NAME, (SCOPE, RECIPE, asked), dataset, method, variant, budget, seed, alone, RECIPE, **network)
    setup = parts["setup"]
    if (split := setup.training.evaluate_on) != "validation":
        raise ValueError(f"Training.evaluate_on is {split!r}; regimes chooses how to train, valid: 'validation'")
    if steps is not None:
        setup = dataclasses.replace(setup, training=dataclasses.replace(setup.training, outer_steps=steps))
    return RegimeJob(**parts | {"setup": setup, "evaluate": _evaluate})


def _evaluate(job: RegimeJob, state: TrainState) -> Result:
    """One row; `RegimeJob.run` knows the seconds."""
    signals = evaluation.test_arrays(job, job.setup.training.test_signals)
    fitted = evaluation.fit_signals(job.setup, state, signals, job.evaluation)
    sizes = {"depth": job.network.depth, "width": job.network.width, "train_s": ""}
    sizes |= evaluation.cost(job.setup.learner, job.setup.modality, job.setup.resolution)
    return Result({"": [row(job, fitted) | sizes]})


if __name__ == "__main__":
    cli.main(NAME)
