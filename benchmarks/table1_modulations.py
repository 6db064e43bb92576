"""Table 1 (and figures 4 to 6): structured sparse modulations against Functa, method x budget x data set.

A stand-in is configured as the data set that it stands in for.
"""

import io
import itertools
from collections.abc import Sequence

import gin
import numpy as np

from benchmarks import cli, evaluation, grid, linear, networks, records
from benchmarks.job import TrainingJob
from benchmarks.methods import METHODS
from benchmarks.run_folder import Result
from mscn_flax import configuration, data
from mscn_flax.modalities import Signal
from mscn_flax.outer import OuterOptimizer
from mscn_flax.train import Setup, Training
from mscn_flax.train_state import TrainState

NAME, SCOPE = "table1_modulations", "table1"

REFERENCE = "functa"
"""The method whose latent map and base network the others are compared with, see `records.EQUAL`."""

PCA = "pca"
"""The method without a network: the first principal components of the training signals."""

SHOWN = 2
"""Number of test signals whose values are kept for figures; which, the modality says."""

FRAMES = 24
"""Pictures of a turn around the first test scene."""


@gin.configurable("table1")
def jobs(
    datasets: list[str] = gin.REQUIRED,
    standins: dict[str, list[str]] = gin.REQUIRED,
    resolutions: dict[str, int] = gin.REQUIRED,
    recipes: list[str] = gin.REQUIRED,
    equal: dict[str, list[str]] = gin.REQUIRED,
    methods: list[str] = gin.REQUIRED,
    budgets: list[int] = gin.REQUIRED,
    seeds: list[int] = gin.REQUIRED,
) -> list[TrainingJob]:
    """The grid.

    Args:
      datasets: keys of `data.DATA_SETS`.
      standins: data set -> what takes its place where it is not here, in order; those without stop the run instead.
      resolutions: data set -> pixels, latitudes or voxels per side; those without have their own.
      recipes: of `records.RECIPES`.
      equal: data set -> what methods have as much of as Functa, of `records.EQUAL`; by default one network.
      methods: keys of `METHODS`, or "pca".
      budgets: non-zeros per signal.
      seeds: random seeds of the runs.
    """
    grid.check("table1", methods=methods, valid=[*METHODS, PCA], datasets=datasets, standin=None, recipes=recipes)
    for standin in (name for names in standins.values() for name in names):
        grid.check_choices("table1.standins", [standin], data.DATA_SETS)
    for axis, by_dataset in (("standins", standins), ("resolutions", resolutions), ("equal", equal)):
        if unknown := sorted(set(by_dataset) - set(data.DATA_SETS)):
            raise ValueError(f"table1.{axis} has {unknown[0]!r}; valid: {', '.join(data.DATA_SETS)}")
    if not budgets or min(budgets) < 1:
        raise ValueError(f"table1.budgets is {budgets}; the paper's are 64, 128, 256, 512, 1024")
    made = []
    for asked in datasets:
        dataset = grid.find(SCOPE, asked, standins.get(asked, []), resolutions.get(asked))
        resolution = resolutions.get(asked, data.DATA_SETS[dataset].resolution)
        trained = [method for method in methods if method != PCA]
        axes = itertools.product(equal.get(asked, records.EQUAL[:1]), cli.seeds(seeds), budgets, recipes, trained)
        for at_equal, seed, budget, recipe, method in axes:
            grid.check_choices("table1.equal", [at_equal], records.EQUAL)
            if at_equal != "network" and (method == REFERENCE or recipe != recipes[-1]):
                continue  # The reference is as at an equal network, and one recipe says enough.
            alone = {"datasets": [asked], "recipes": [recipe], "methods": [method], "budgets": [budget]}
            alone |= {"seeds": [seed], "equal": {asked: [at_equal]}}
            shown = recipe == recipes[-1] and at_equal == "network"
            scope = (SCOPE, recipe, asked, method)
            made.append(job(NAME, scope, dataset, resolution, method, budget, seed, alone, recipe, at_equal, shown))
        if PCA in methods:
            made += linear.jobs(
                NAME, SCOPE, asked, dataset, resolution, PCA, budgets, lambda budget: {"budgets": [budget]}, _evaluate
            )
    return made


def job(
    benchmark: str,
    scope: Sequence[str],
    dataset: str,
    resolution: int,
    method: str,
    budget: int,
    seed: int,
    alone: dict,
    recipe: str = "",
    equal: str = "network",
    shown: bool = True,
    **network: int,
) -> TrainingJob:
    """One cell as gin has it in a scope; `alone` as `grid.gin_text` takes it, the rest as `TrainingJob` has it.

    Sizes in `network`, attributes of `Siren`, replace those that gin has of the base network.
    """
    known = data.DATA_SETS[dataset]
    scope, others, network = networks.as_large(equal, scope, REFERENCE, known, resolution, method, budget, **network)
    with configuration.scope(*scope):
        seen, learner = known.modality.evaluation(), networks.learner(known, method, budget, **network)
        setup = Setup(learner, OuterOptimizer(), Training(), known.modality, resolution, seed)
    return TrainingJob(
        benchmark=benchmark,
        preset=cli.preset(),
        seed=seed,
        gin=grid.gin_text(scope, *others, **alone),
        dataset=dataset,
        method=method,
        budget=budget,
        setup=setup,
        scope=scope,
        evaluate=_evaluate,
        evaluation=seen,
        recipe=recipe,
        equal=equal,
        shown=shown and seed == 0,
    )


def _evaluate(job: TrainingJob, state: TrainState) -> Result:
    """One row per test signal, and one per modulation kept by the shared mask (none without a shared mask)."""
    setup = job.setup
    arrays = evaluation.test_arrays(job, setup.training.test_signals)
    fitted = evaluation.fit_signals(setup, state, arrays, job.evaluation)
    codes = fitted.codes.reshape(len(fitted.codes), -1)
    kept = np.count_nonzero(codes, axis=1)
    if (kept != job.budget).any():
        print(f"{job.id}: {np.sum(kept != job.budget)} of {len(kept)} codes do not have {job.budget} non-zeros")
    train = job.signals("train")

    def per_signal(i):
        measured = setup.modality.measured(fitted.values[i], fitted.targets[i], setup.resolution)
        own = {name: f"{value:.6g}" for name, value in measured.items()}
        return {"budget": int(kept[i]), "surviving_fraction": f"{kept[i] / codes.shape[1]:.6g}"} | own

    empty = dict.fromkeys(records.MODULATION_COLUMNS, "")
    # Latents count as modulations, as in the paper's table.
    unit = "modulations" if job.method in METHODS else job.unit
    of_run = {"budget_unit": unit, "trained_on": f"{train.name} ({train.source})"}
    of_run["equal"] = job.equal  # A linear code has no network.
    rows = [empty | row for row in evaluation.rows(job, fitted, per_signal, **of_run)]
    masks = []
    if state.gates is not None and setup.learner.shares_pattern:
        common = evaluation.common(job) | {"budget": job.budget}
        masks = [common | {"layer": int(a), "unit": int(b)} for a, b in np.argwhere(np.asarray(state.gates.mask))]
    return Result({"": rows, "_masks": masks}, _shown(job, state, fitted, arrays) if job.shown else {})


def _shown(job: TrainingJob, state: TrainState, fitted: evaluation.Fitted, arrays: Signal) -> dict[str, bytes]:
    """Files with the values that figures show, and a turn around the first signal where there is such a thing."""
    setup, name = job.setup, f"{job.method}_{job.budget}"
    shown = setup.modality.shown(fitted.targets, setup.resolution, SHOWN)
    if not len(shown):
        return {}
    kept = {name: fitted.values[shown], "original": fitted.targets[shown]}
    film = setup.modality.film(arrays, setup.resolution, FRAMES) if job.method == "mscn" else None
    if film is not None:
        codes = np.repeat(fitted.codes[:1], FRAMES, axis=0)
        kept[f"{name}_turntable"] = evaluation.decode(setup, state, codes, film)[0]
    files = {}
    for label, values in kept.items():
        label = label if label == "original" else records.kept_as(label, job.recipe)
        content = io.BytesIO()
        np.savez_compressed(content, values=setup.modality.compact(values))
        files[f"values/{evaluation.judged_dataset(job)}_{job.judged.source}_{label}.npz"] = content.getvalue()
    return files


if __name__ == "__main__":
    cli.main(NAME)
