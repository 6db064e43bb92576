"""Table 1 (and figures 4 to 6): structured sparse modulations against Functa, method x budget x data set.

Each data set has a gin scope of its own, table1/<data set>, and in it each method, table1/<data set>/<method>. A
stand-in is configured as what it stands in for.
"""

import dataclasses
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
from mscn_flax.modalities import IMAGES, VOLUMES, Points, Sampling, Scene
from mscn_flax.outer import OuterOptimizer
from mscn_flax.rendering import RadianceField
from mscn_flax.siren import LatentModulatedSiren, Siren
from mscn_flax.views import ring

NAME = "table1_modulations"

SHOWN = 2
"""Test signals whose values are kept for the figures, of the first seed: the first, or the solids of most surface."""

FRAMES = 24
"""Pictures of a turn around the first test scene."""


@gin.configurable
@dataclasses.dataclass(frozen=True)
class NovelViews:
    """Which views of a test scene are given, and which are asked for.

    Attributes:
      context: given.
      rays: random ones of each of these, afresh for every inner step.
      novel: asked for.
    """

    context: tuple[int, ...] = (0, 31, 63, 127)
    rays: int = 1024
    novel: tuple[int, ...] = (23, 55, 82, 119)


def _functa(siren: Siren, budget: int) -> tuple[nn.Module, BudgetController | None]:
    return LatentModulatedSiren(siren=siren, latent_dim=budget), None


def _mscn(siren: Siren, budget: int) -> tuple[nn.Module, BudgetController | None]:
    return siren, BudgetController(budget=budget)


METHODS: dict[str, Callable[[Siren, int], tuple[nn.Module, BudgetController | None]]] = {
    "functa": _functa,
    "mscn": _mscn,
}
"""`method` column -> field of a base network, and what gates it, with `budget` numbers a signal."""


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
        seen = NovelViews() if isinstance(known.modality, Scene) else None
        with gin.config_scope(method):
            # A scene has a density besides.
            siren = Siren(out_dim=known.channels if seen is None else known.channels + 1)
            field, controller = METHODS[method](siren, budget)
            if seen is not None:
                field = RadianceField(siren=field)
            learner = MetaLearner(field=field, controller=controller)
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
        evaluation=seen,
        asked=asked,
        scopes=(asked, method),
        **common,
    )


def _evaluate(cell: Cell, state: TrainState) -> list[runner.Table]:
    """One row a test signal, and one a modulation kept by the shared mask (none without a shared mask)."""
    arrays = evaluation.test_arrays(cell, cell.training.test_signals)
    fitted = (_scenes if isinstance(cell.modality, Scene) else _on_grid)(cell, state, arrays)
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


def _on_grid(cell: Cell, state: TrainState, arrays: np.ndarray) -> evaluation.Fitted:
    """Signals that are fitted to all points, or to some, and judged at all."""
    whole = cell.modality.whole(arrays, cell.resolution)
    stride = cell.training.encode_stride
    sampling = Sampling(stride, 1 if stride == 1 else cell.learner.inner_steps)
    seen = cell.modality.draw(arrays, cell.resolution, sampling, np.random.default_rng(0))
    return evaluation.fit(cell, state, seen, shown=whole)


def _scenes(cell: Cell, state: TrainState, arrays: dict[str, np.ndarray]) -> evaluation.Fitted:
    """Scenes that are fitted to some views and judged by others."""
    how, count = cell.evaluation, arrays["views"].shape[1]
    if wrong := [view for view in (*how.context, *how.novel) if view >= count]:
        raise ValueError(f"NovelViews has view {wrong[0]}, the scenes of {cell.dataset} have {count}")
    given = {name: value if name == "intrinsics" else value[:, list(how.context)] for name, value in arrays.items()}
    rng = np.random.default_rng(0)
    drawn = [
        cell.modality.draw(given, cell.resolution, Sampling(views=len(how.context), rays=how.rays), rng)
        for _ in range(cell.learner.inner_steps)
    ]
    seen = Points(*(np.stack(part, axis=1) for part in zip(*drawn, strict=True)))
    asked = [cell.modality.view(arrays, cell.resolution, index) for index in how.novel]
    fitted = evaluation.fit(cell, state, seen, shown=asked[0])
    values = [fitted.values] + [evaluation.decode(cell, state, fitted.codes, points.coords)[0] for points in asked[1:]]
    return fitted._replace(targets=np.stack([p.targets for p in asked], axis=1), values=np.stack(values, axis=1))


def _keep(cell: Cell, state: TrainState, fitted: evaluation.Fitted, arrays) -> None:
    """The values of some test signals, for figures 5 and 6 and the views of scenes; of images none are needed."""
    if cell.modality is IMAGES:
        return
    source = cell.signals["test"].source
    folder, name = cell.csv.parent / f"{NAME}_values", f"{cell.dataset}_{source}"
    shown = np.arange(SHOWN)
    if cell.modality is VOLUMES:  # Many are flat tiles.
        inside = fitted.targets.reshape(-1, *[cell.resolution] * 3) > 0.5
        surface = sum(np.count_nonzero(np.diff(inside, axis=axis), axis=(1, 2, 3)) for axis in (1, 2, 3))
        shown = np.argsort(-surface, kind="stable")[:SHOWN]
    kept = {f"{cell.method}_{cell.budget}": fitted.values[shown], "original": fitted.targets[shown]}
    if isinstance(cell.modality, Scene) and cell.method == "mscn":
        kept[f"{cell.method}_{cell.budget}_turntable"] = _turntable(cell, state, fitted.codes[:1], arrays)
    for label, values in kept.items():
        # 16 bits are finer than any difference that a figure shows; of solids what is inside is all there is.
        solid = values.shape[-2] == cell.resolution**3
        stored = np.packbits(values > 0.5, axis=-2) if solid else np.clip(values, -0.5, 1.5).astype(np.float16)
        with records.replaced(folder / f"{name}_{label}.npz", "wb") as out:
            np.savez_compressed(out, values=stored)


def _turntable(cell: Cell, state: TrainState, codes: np.ndarray, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Pictures [FRAMES, N, 3] of a scene from a ring around it, as high and as far away as its cameras on average."""
    places = arrays["poses"][0, :, :3, 3]
    height, distance = places[:, 2].mean(), np.linalg.norm(places, axis=1).mean()
    cameras = {"poses": ring(distance, height, FRAMES), "intrinsics": arrays["intrinsics"][0] / 2}
    rays = cell.modality.rays(cameras, cell.resolution // 2)
    return evaluation.decode(cell, state, np.repeat(codes, FRAMES, axis=0), rays)[0]


def main() -> None:
    """The grid as gin has it, its bindings scoped by `table1`."""
    with gin.config_scope("table1"):
        table1()


if __name__ == "__main__":
    cli.run(main)
