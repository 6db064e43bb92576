"""Rate and distortion of maps of the globe: COIN++'s comparison on ERA5 at 46 x 90. The paper's figure 7 has images.

Each test map has a file of its own. JPEG 2000 and JPEG XL code it with 16 bits a value, in the same range.
"""

import gin

from benchmarks import cli, codecs, grid, rates_codecs, rates_networks, records, runner
from benchmarks.cell import Cell
from mscn_flax import devices, meta

NAME, GRID = "climate_rate_distortion", "climate/climate"


@gin.configurable("climate")
def climate(
    preset: str = "custom",
    datasets: list[str] = gin.REQUIRED,
    standin: str | None = None,
    resolution: int = gin.REQUIRED,
    methods: list[str] = gin.REQUIRED,
    budgets: list[int] = gin.REQUIRED,
    real_codecs: list[str] = gin.REQUIRED,
    seeds: list[int] = gin.REQUIRED,
) -> None:
    """Runs the grid, then the real codecs.

    Args:
      preset: name of the gin overlay, and of the folder of the results.
      datasets: keys of `data.DATA_SETS`, of maps.
      standin: data set that takes the place of one that is not here; None to stop instead.
      resolution: latitudes.
      methods: keys of `rates_networks.METHODS`.
      budgets: modulations or latents a map.
      real_codecs: keys of `codecs.CODECS` with `grey16`.
      seeds: of the runs.
    """
    grid.check("climate", methods=methods, valid=rates_networks.METHODS, datasets=datasets, standin=standin)
    if real_codecs:
        able = [name for name, codec in codecs.CODECS.items() if codec.grey16]
        grid.check_choices("climate.real_codecs", real_codecs, able)
    cells = [
        cell
        for dataset in grid.available(datasets, standin)
        for seed in cli.seeds(seeds)
        for cell in rates_networks.cells(NAME, GRID, preset, dataset, resolution, seed, methods, budgets)
    ]
    grid.run(cells, _evaluate)
    if devices.is_first() and not cli.dry_run():
        for cell in {cell.dataset: cell for cell in cells}.values():
            rates_codecs.run(cell, real_codecs)


def _evaluate(cell: Cell, state: meta.TrainState) -> list[runner.Table]:
    return [runner.Table("", rates_networks.rows(cell, state), records.RATE_COLUMNS)]


def main() -> None:
    """The grid as gin has it, its bindings scoped by `climate`."""
    with gin.config_scope("climate"):
        climate()


if __name__ == "__main__":
    cli.run(main)
