"""Table 1 (and the masks of figure 4): structured sparse modulations against Functa, method x budget x data set."""

from collections.abc import Callable

import gin
import numpy as np

from benchmarks import cli, evaluation, grid, records, runner
from benchmarks.cell import Cell, Training
from mscn_flax import data
from mscn_flax.budget import BudgetController
from mscn_flax.learner import MetaLearner
from mscn_flax.meta import TrainState
from mscn_flax.outer import OuterOptimizer
from mscn_flax.siren import LatentModulatedSiren, Siren

NAME = "table1_modulations"


def _functa(budget: int) -> MetaLearner:
    return MetaLearner(field=LatentModulatedSiren(siren=Siren(), latent_dim=budget))


def _mscn(budget: int) -> MetaLearner:
    return MetaLearner(field=Siren(), controller=BudgetController(budget=budget))


METHODS: dict[str, Callable[[int], MetaLearner]] = {"functa": _functa, "mscn": _mscn}
"""`method` column -> the learner with `budget` numbers a signal; gin scope table1/<method> configures it."""


@gin.configurable("table1")
def table1(
    preset: str = "custom",
    datasets: list[str] = gin.REQUIRED,
    standin: str | None = None,
    methods: list[str] = gin.REQUIRED,
    budgets: list[int] = gin.REQUIRED,
    seeds: list[int] = gin.REQUIRED,
) -> None:
    """Runs the grid.

    Args:
      preset: name of the gin overlay, and of the folder of the results.
      datasets: keys of `data.DATA_SETS`.
      standin: data set that takes the place of one that is not here; None to stop instead.
      methods: keys of `METHODS`.
      budgets: non-zeros a signal.
      seeds: of the runs.
    """
    grid.check("table1", methods=methods, valid=METHODS, datasets=datasets, standin=standin)
    if not budgets:
        raise ValueError("table1.budgets is empty; the paper's are 64, 128, 256, 512, 1024")
    cells = [
        Cell(
            experiment=NAME,
            grid="table1/table1",
            preset=preset,
            dataset=dataset,
            resolution=data.DATA_SETS[dataset].resolution,
            method=method,
            budget=budget,
            seed=seed,
            learner=_learner(method, budget),
            optimizer=OuterOptimizer(),
            training=Training(),
        )
        for dataset in grid.available(datasets, standin)
        for seed in cli.seeds(seeds)
        for budget in budgets
        for method in methods
    ]
    grid.run(cells, _evaluate)


def _learner(method: str, budget: int) -> MetaLearner:
    with gin.config_scope(method):
        return METHODS[method](budget)


def _evaluate(cell: Cell, state: TrainState) -> list[runner.Table]:
    """One row a test signal, and one a modulation kept by the shared mask (none without a shared mask)."""
    fitted = evaluation.fit(cell, state, evaluation.test_targets(cell, cell.training.test_signals))
    codes = fitted.codes.reshape(len(fitted.codes), -1)
    kept = np.count_nonzero(codes, axis=1)
    if (kept != cell.budget).any():
        print(f"{cell.run_id}: {np.sum(kept != cell.budget)} of {len(kept)} codes do not have {cell.budget} non-zeros")

    def per_signal(i):
        return {"budget": int(kept[i]), "surviving_fraction": f"{kept[i] / codes.shape[1]:.6g}"}

    masks = []
    if state.gates is not None and not cell.learner.adapt_gates:
        common = evaluation.common(cell) | {"budget": cell.budget}
        masks = [common | {"layer": int(a), "unit": int(b)} for a, b in np.argwhere(np.asarray(state.gates.mask))]
    return [
        runner.Table("", evaluation.rows(cell, fitted, per_signal, budget_unit="modulations")),
        runner.Table("_masks", masks, records.MASK_COLUMNS),
    ]


def main() -> None:
    """The grid as gin has it, its bindings scoped by `table1`."""
    with gin.config_scope("table1"):
        table1()


if __name__ == "__main__":
    cli.run(main)
