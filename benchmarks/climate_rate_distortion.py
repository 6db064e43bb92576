"""Rate and distortion of maps of the globe: COIN++'s comparison on ERA5 at 46 x 90. The paper's figure 7 has images.

Each test map has a file of its own. JPEG 2000 and JPEG XL code it with 16 bits per value, in the same range.
"""

import gin

from benchmarks import cli, codecs, grid, rates_codecs, rates_networks, records
from benchmarks.job import Job
from benchmarks.methods import METHODS

NAME, SCOPE = "climate_rate_distortion", "climate"


@gin.configurable("climate")
def jobs(
    datasets: list[str] = gin.REQUIRED,
    standin: str | None = None,
    resolution: int = gin.REQUIRED,
    recipes: list[str] = gin.REQUIRED,
    equal: dict[str, list[str]] = gin.REQUIRED,
    methods: list[str] = gin.REQUIRED,
    budgets: list[int] = gin.REQUIRED,
    real_codecs: list[str] = gin.REQUIRED,
    seeds: list[int] = gin.REQUIRED,
) -> list[Job]:
    """The grid of networks, then linear codes, then the file formats.

    Args:
      datasets: keys of `data.DATA_SETS`, of maps.
      standin: data set that takes the place of one that is not here; None to stop instead.
      resolution: number of latitudes.
      recipes: of `records.RECIPES`.
      equal: data set -> what methods have as much of as COIN++, of `records.EQUAL`; by default a network of their own.
      methods: keys of `METHODS`, or "klt".
      budgets: numbers per map.
      real_codecs: keys of `codecs.CODECS` with `grey16`.
      seeds: random seeds of the runs.
    """
    valid = [*METHODS, rates_networks.KLT]
    grid.check("climate", methods=methods, valid=valid, datasets=datasets, standin=standin, recipes=recipes)
    if real_codecs:
        able = [name for name, codec in codecs.CODECS.items() if codec.grey16]
        grid.check_choices("climate.real_codecs", real_codecs, able)
    made, networks = [], [method for method in methods if method != rates_networks.KLT]

    def alone(budget):
        return {"budgets": [budget]}

    for asked, dataset in grid.available(SCOPE, datasets, standin).items():
        at_equal = equal.get(asked, records.EQUAL[:1])
        for seed in cli.seeds(seeds):
            made += rates_networks.jobs(
                NAME, SCOPE, asked, dataset, resolution, seed, recipes, networks, budgets, at_equal, alone
            )
        if rates_networks.KLT in methods:
            made += rates_networks.linear_jobs(NAME, SCOPE, asked, dataset, resolution, budgets, alone)
        made += rates_codecs.jobs(NAME, SCOPE, asked, dataset, resolution, real_codecs)
    return made


if __name__ == "__main__":
    cli.main(NAME)
