"""Figure 7: rate and distortion of real bytes, on CIFAR-10 and on Kodak by patches.

A meta-learned cell is trained once and coded at several bits a modulation; `coin` fits every image anew; the real
codecs of `codecs.py` code the same images. Nothing is fitted to a test image but its own code.
"""

import dataclasses

import gin

from benchmarks import cli, codecs, grid, rates_codecs, rates_coin, rates_networks, records, runner
from benchmarks.cell import Cell, Training
from mscn_flax import data, devices, meta
from mscn_flax.delta import DeltaSiren
from mscn_flax.learner import MetaLearner
from mscn_flax.outer import OuterOptimizer
from mscn_flax.siren import Siren

NAME, GRID = "fig7_rate_distortion", "fig7/fig7"


@gin.configurable("fig7")
def fig7(
    preset: str = "custom",
    datasets: list[str] = gin.REQUIRED,
    standin: str | None = None,
    methods: list[str] = gin.REQUIRED,
    budgets: dict[str, list[int]] = gin.REQUIRED,
    coin_sizes: dict[str, list[tuple[int, int]]] = gin.REQUIRED,
    real_codecs: list[str] = gin.REQUIRED,
    seeds: list[int] = gin.REQUIRED,
) -> None:
    """Runs the grid, then the real codecs.

    Args:
      preset: name of the gin overlay, and of the folder of the results.
      datasets: keys of `data.DATA_SETS`.
      standin: data set that takes the place of one that is not here; None to stop instead.
      methods: keys of `rates_networks.METHODS`, or "coin".
      budgets: data set -> modulations or latents a patch.
      coin_sizes: data set -> (sine layers, width) of COIN's networks.
      real_codecs: keys of `codecs.CODECS`; one whose program is not here is left out, which is said.
      seeds: of the runs.
    """
    grid.check("fig7", methods=methods, valid=[*rates_networks.METHODS, "coin"], datasets=datasets, standin=standin)
    if real_codecs:
        grid.check_choices("fig7.real_codecs", real_codecs, codecs.CODECS)
    found = grid.available(datasets, standin)
    grid.check_choices("fig7.datasets", found, budgets)
    cells = [
        cell
        for dataset in found
        for seed in cli.seeds(seeds)
        for cell in _cells(preset, dataset, seed, methods, budgets, coin_sizes)
    ]
    grid.run(cells, _evaluate)
    if devices.is_first() and not cli.dry_run():
        for cell in {cell.dataset: cell for cell in cells}.values():
            rates_codecs.run(cell, real_codecs)


def _cells(preset, dataset, seed, methods, budgets, coin_sizes) -> list[Cell]:
    """Those of one data set and seed."""
    resolution = data.DATA_SETS[dataset].resolution
    learned = [method for method in methods if method in rates_networks.METHODS]
    cells = [
        dataclasses.replace(cell, axis=("budgets", {dataset: [cell.budget]}))  # A list for each data set.
        for cell in rates_networks.cells(NAME, GRID, preset, dataset, resolution, seed, learned, budgets[dataset])
    ]
    for layers, width in coin_sizes.get(dataset, []) if "coin" in methods else []:
        with gin.config_scope("coin"):
            field = DeltaSiren(Siren(depth=layers + 1, width=width))
            cells.append(
                Cell(
                    experiment=NAME,
                    grid=GRID,
                    preset=preset,
                    dataset=dataset,
                    resolution=resolution,
                    method="coin",
                    budget=sum(part.size for part in field.parts),
                    seed=seed,
                    learner=MetaLearner(field=field),
                    optimizer=OuterOptimizer(),
                    training=Training(),
                    axis=("coin_sizes", {dataset: [(layers, width)]}),
                    evaluation=rates_coin.Coin(layers=layers, width=width),
                    stop=0,
                )
            )
    return cells


def _evaluate(cell: Cell, state: meta.TrainState) -> list[runner.Table]:
    rows = (rates_coin if cell.method == "coin" else rates_networks).rows(cell, state)
    return [runner.Table("", rows, records.RATE_COLUMNS)]


def main() -> None:
    """The grid as gin has it, its bindings scoped by `fig7`."""
    with gin.config_scope("fig7"):
        fig7()


if __name__ == "__main__":
    cli.run(main)
