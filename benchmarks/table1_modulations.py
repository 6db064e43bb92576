"""Table 1 (and figures 4 to 6): structured sparse modulations against Functa, method x budget x data set.

Each data set has a gin scope of its own, table1/<data set>, and in it each method, table1/<data set>/<method>. A
stand-in is configured as what it stands in for.
"""

from collections.abc import Callable

import flax.linen as nn
import gin
import numpy as np

from benchmarks import cli, evaluation, grid, records, runner
from benchmarks.cell import Cell, Training
from mscn_flax import data
from mscn_flax.budget import BudgetController
from mscn_flax.learner import MetaLearner
from mscn_flax.meta import TrainState
from mscn_flax.modalities import Signal
from mscn_flax.outer import OuterOptimizer
from mscn_flax.siren import LatentModulatedSiren, Siren

NAME = "table1_modulations"

SHOWN = 2
"""Test signals whose values are kept for the figures, of the first seed; which, the modality says."""

FRAMES = 24
"""Pictures of a turn around the first test scene."""


def _functa(siren: Siren, budget: int) -> tuple[nn.Module, BudgetController | None]:
    return LatentModulatedSiren(siren=siren, latent_dim=budget), None


def _mscn(siren: Siren, budget: int) -> tuple[nn.Module, BudgetController | None]:
    return siren, BudgetController(budget=budget)


METHODS: dict[str, Callable[[Siren, int], tuple[nn.Module, BudgetController | None]]] = {
    "functa": _functa,
    "mscn": _mscn,
}
"""`method` column -> what it makes of a base network, and what gates it, with `budget` numbers per signal."""


@gin.configurable("table1")
def table1(
    preset: str = "custom",
    datasets: list[str] = gin.REQUIRED,
    standins: dict[str, list[str]] = gin.REQUIRED,
    resolutions: dict[str, int] = gin.REQUIRED,
    methods: list[str] = gin.REQUIRED,
    budgets: list[int] = gin.REQUIRED,
    seeds: list[int] = gin.REQUIRED,
) -> None:
    """Runs the grid.

    Args:
      preset: name of the gin overlay, and of the folder of the results.
      datasets: keys of `data.DATA_SETS`.
      standins: data set -> what takes its place where it is not here, in order; those without stop the run instead.
      resolutions: data set -> pixels a side, latitudes or voxels a side; those without have their own.
      methods: keys of `METHODS`.
      budgets: non-zeros a signal.
      seeds: of the runs.
    """
    grid.check("table1", methods=methods, valid=METHODS, datasets=datasets, standin=None)
    for standin in (name for names in standins.values() for name in names):
        grid.check_choices("table1.standins", [standin], data.DATA_SETS)
    if not budgets:
        raise ValueError("table1.budgets is empty; the paper's are 64, 128, 256, 512, 1024")
    cells = []
    for asked in datasets:
        dataset = grid.find(asked, standins.get(asked, []), resolutions.get(asked))
        resolution = resolutions.get(asked, data.DATA_SETS[dataset].resolution)
        for seed in cli.seeds(seeds):
            cells += [
                cell(preset, asked, dataset, resolution, method, budget, seed)
                for budget in budgets
                for method in methods
            ]
    grid.run(cells, _evaluate)


def cell(preset: str, asked: str, dataset: str, resolution: int, method: str, budget: int, seed: int) -> Cell:
    """One cell, as gin has it in the scopes `asked` and `method`; arguments as `Cell` has them."""
    known = data.DATA_SETS[dataset]
    with gin.config_scope(asked):
        common = {"optimizer": OuterOptimizer(), "training": Training()}
        common["evaluation"] = known.modality.evaluation()
        with gin.config_scope(method):
            siren = Siren(out_dim=known.channels + known.modality.extra_channels)
            network, controller = METHODS[method](siren, budget)
            learner = MetaLearner(field=known.modality.field(network), controller=controller)
    return Cell(
        experiment=NAME,
        grid="table1/table1",
        preset=preset,
        dataset=dataset,
        resolution=resolution,
        method=method,
        budget=budget,
        seed=seed,
        learner=learner,
        asked=asked,
        scopes=(asked, method),
        **common,
    )


def _evaluate(cell: Cell, state: TrainState) -> list[runner.Table]:
    """One row a test signal, and one a modulation kept by the shared mask (none without a shared mask)."""
    arrays = evaluation.test_arrays(cell, cell.training.test_signals)
    seen = cell.modality.observed(
        arrays, cell.resolution, cell.learner.inner_steps, cell.training.encode_stride, cell.evaluation
    )
    shown = cell.modality.whole(arrays, cell.resolution, cell.evaluation)
    fitted = evaluation.fit(cell, state, seen, shown=shown)
    codes = fitted.codes.reshape(len(fitted.codes), -1)
    kept = np.count_nonzero(codes, axis=1)
    if (kept != cell.budget).any():
        print(f"{cell.run_id}: {np.sum(kept != cell.budget)} of {len(kept)} codes do not have {cell.budget} non-zeros")
    if cell.seed == 0:
        _keep(cell, state, fitted, arrays)
    train = cell.signals["train"]

    def per_signal(i):
        measured = cell.modality.measured(fitted.values[i], fitted.targets[i], cell.resolution)
        own = {name: f"{value:.6g}" for name, value in measured.items()}
        return {"budget": int(kept[i]), "surviving_fraction": f"{kept[i] / codes.shape[1]:.6g}"} | own

    empty = dict.fromkeys(records.MODULATION_COLUMNS, "")
    of_run = {"budget_unit": "modulations", "trained_on": f"{train.name} ({train.source})"}
    rows = [empty | row for row in evaluation.rows(cell, fitted, per_signal, **of_run)]
    masks = []
    if state.gates is not None and not cell.learner.adapt_gates:
        common = evaluation.common(cell) | {"budget": cell.budget}
        masks = [common | {"layer": int(a), "unit": int(b)} for a, b in np.argwhere(np.asarray(state.gates.mask))]
    return [
        runner.Table("", rows, records.MODULATION_COLUMNS),
        runner.Table("_masks", masks, records.MASK_COLUMNS),
    ]


def _keep(cell: Cell, state: TrainState, fitted: evaluation.Fitted, arrays: Signal) -> None:
    """The values of the test signals that figures show, and a turn around the first where there is such a thing."""
    shown = cell.modality.shown(fitted.targets, cell.resolution, SHOWN)
    if not len(shown):
        return
    name = f"{cell.method}_{cell.budget}"
    kept = {name: fitted.values[shown], "original": fitted.targets[shown]}
    film = cell.modality.film(arrays, cell.resolution, FRAMES) if cell.method == "mscn" else None
    if film is not None:
        codes = np.repeat(fitted.codes[:1], FRAMES, axis=0)
        kept[f"{name}_turntable"] = evaluation.decode(cell, state, codes, film)[0]
    folder = cell.csv.parent / f"{NAME}_values"
    for label, values in kept.items():
        path = folder / f"{cell.dataset}_{cell.signals['test'].source}_{label}.npz"
        with records.replaced(path, "wb") as out:
            np.savez_compressed(out, values=cell.modality.compact(values))


def main() -> None:
    """The grid as gin has it, its bindings scoped by `table1`."""
    with gin.config_scope("table1"):
        table1()


if __name__ == "__main__":
    cli.run(main)
