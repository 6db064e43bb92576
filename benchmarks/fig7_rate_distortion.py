"""Figure 7: rate and distortion of real bytes, on CIFAR-10 and on Kodak by patches.

A meta-learned network is trained once and coded at several numbers of bits per modulation, as is the linear code `klt`;
`coin` fits every image anew; the file formats of `codecs.py` code the same images. Nothing is fitted to a test image
but its own code.
"""

import gin

from benchmarks import cli, codecs, grid, rates_codecs, rates_coin, rates_networks, records
from benchmarks.job import Job, TrainingJob
from benchmarks.methods import METHODS
from mscn_flax import configuration, data
from mscn_flax.delta import DeltaSiren
from mscn_flax.learner import MetaLearner
from mscn_flax.outer import OuterOptimizer
from mscn_flax.siren import Siren
from mscn_flax.train import Setup, Training

NAME, SCOPE = "fig7_rate_distortion", "fig7"


@gin.configurable("fig7")
def jobs(
    datasets: list[str] = gin.REQUIRED,
    standin: str | None = None,
    recipes: list[str] = gin.REQUIRED,
    equal: dict[str, list[str]] = gin.REQUIRED,
    methods: list[str] = gin.REQUIRED,
    budgets: dict[str, list[int]] = gin.REQUIRED,
    coin_sizes: dict[str, list[tuple[int, int]]] = gin.REQUIRED,
    real_codecs: list[str] = gin.REQUIRED,
    seeds: list[int] = gin.REQUIRED,
) -> list[Job]:
    """The grid of networks and COIN, then linear codes, then the file formats.

    Args:
      datasets: keys of `data.DATA_SETS`.
      standin: data set that takes the place of one that is not here; None to stop instead.
      recipes: of `records.RECIPES`.
      equal: data set -> what methods have as much of as COIN++, of `records.EQUAL`; by default a network of their own.
      methods: keys of `METHODS`, "coin" or "klt".
      budgets: data set -> numbers per patch.
      coin_sizes: data set -> (number of sine layers, width) of COIN's networks.
      real_codecs: keys of `codecs.CODECS`; one whose program is not here is left out, which is said.
      seeds: random seeds of the runs.
    """
    valid = [*METHODS, "coin", rates_networks.KLT]
    grid.check("fig7", methods=methods, valid=valid, datasets=datasets, standin=standin, recipes=recipes)
    if real_codecs:
        grid.check_choices("fig7.real_codecs", real_codecs, codecs.CODECS)
    found = grid.available(SCOPE, datasets, standin)
    grid.check_choices("fig7.datasets", list(found.values()), budgets)
    made = []
    for asked, dataset in found.items():
        resolution = data.DATA_SETS[dataset].resolution
        at_equal = equal.get(asked, records.EQUAL[:1])
        networks = [method for method in methods if method not in ("coin", rates_networks.KLT)]

        def alone(budget, dataset=dataset):
            return {"budgets": {dataset: [budget]}}

        for seed in cli.seeds(seeds):
            made += rates_networks.jobs(
                NAME, SCOPE, asked, dataset, resolution, seed, recipes, networks, budgets[dataset], at_equal, alone
            )
            if "coin" in methods:
                made += [_coin(asked, dataset, seed, *size) for size in coin_sizes.get(dataset, [])]
        if rates_networks.KLT in methods:
            made += rates_networks.linear_jobs(NAME, SCOPE, asked, dataset, resolution, budgets[dataset], alone)
        made += rates_codecs.jobs(NAME, SCOPE, asked, dataset, resolution, real_codecs)
    return made


def _coin(asked: str, dataset: str, seed: int, layers: int, width: int) -> TrainingJob:
    known = data.DATA_SETS[dataset]
    with configuration.scope(SCOPE, asked, "coin"):
        field = DeltaSiren(Siren(depth=layers + 1, width=width))
        learner = MetaLearner(field=field)
        setup = Setup(learner, OuterOptimizer(), Training(), known.modality, known.resolution, seed)
        how = rates_coin.Coin(layers=layers, width=width)
    alone = {"methods": ["coin"], "coin_sizes": {dataset: [(layers, width)]}, "seeds": [seed], "real_codecs": []}
    return TrainingJob(
        benchmark=NAME,
        preset=cli.preset(),
        seed=seed,
        gin=grid.gin_text((SCOPE, asked, "coin"), datasets=[asked], **alone),
        dataset=dataset,
        method="coin",
        budget=sum(part.size for part in field.parts),
        setup=setup,
        evaluate=rates_coin.evaluate,
        evaluation=how,
        stop=0,
    )


if __name__ == "__main__":
    cli.main(NAME)
