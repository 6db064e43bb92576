"""Figures 2 and 3: unstructured sparse gradients against MetaSparseINR and its baselines, by method and sparsity.

Two regimes of evaluation, told apart by the columns `inner_optimizer` and `inner_steps`: the inner loop that was
trained (sgd or meta_sgd, 2 steps), and Adam (100 steps).

All methods have as many outer steps at a fraction 0.8^k as those that prune have had by then: `Training.outer_steps` of
the dense network and k rounds. The pruning schedule sets the number because it is the rivals' published recipe.
"""

import dataclasses
import io
from collections.abc import Collection

import gin
import numpy as np
import PIL.Image

from benchmarks import cli, evaluation, fig2_methods, grid, records
from benchmarks import methods as methods_of_all
from benchmarks.job import TrainingJob
from benchmarks.run_folder import Result
from mscn_flax import configuration, data
from mscn_flax.delta import DeltaSiren
from mscn_flax.finetune import AdamFit
from mscn_flax.modalities.values import targets_to_8_bit
from mscn_flax.outer import OuterOptimizer
from mscn_flax.prune import PruningRounds, siren_weights
from mscn_flax.siren import Siren
from mscn_flax.train import Setup, Training
from mscn_flax.train_state import TrainState

NAME, SCOPE = "fig2_unstructured", "fig2"

SHOWN_SIGNALS = 3
"""Test signals whose reconstructions are kept for figure 3b."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How a trained state is evaluated.

    Attributes:
      adam: the second regime.
      adam_signals: test signals evaluated by it; None for all, 0 for none.
      two_steps: whether the inner loop that was trained is evaluated too.
      pruned: weights left after each pruning on the way of Adam's steps.
      counts_biases: whether the budget is of weights and biases together, or of weights alone.
      weights: of the full network.
      biases: of the full network.
    """

    adam: AdamFit
    adam_signals: int | None
    two_steps: bool
    pruned: tuple[int, ...]
    counts_biases: bool
    weights: int
    biases: int


@gin.configurable("fig2")
def jobs(
    datasets: list[str] = gin.REQUIRED,
    standin: str | None = None,
    recipes: list[str] = gin.REQUIRED,
    methods: list[str] = gin.REQUIRED,
    rounds: list[int] = gin.REQUIRED,
    seeds: list[int] = gin.REQUIRED,
    resolution: int | None = None,
    adam_signals: int | None = None,
    searched: list[str] | None = None,
    apart: Collection[int] = (),
) -> list[TrainingJob]:
    """The grid.

    Args:
      datasets: keys of `data.DATA_SETS`.
      standin: data set that takes the place of one that is not here; None to stop instead.
      recipes: of `records.RECIPES`.
      methods: keys of `fig2_methods.METHODS`, or methods registered from outside (`methods.register`).
      rounds: k of the budgets 0.8^k.
      seeds: random seeds of the runs.
      resolution: pixels per side; None for the data set's own.
      adam_signals: number of test signals that are fitted by Adam too; None for all, 0 for none.
      searched: of the methods, those that recipe "best" has, as it differs from "published" for them; None for all.
      apart: of the rounds, those that have settings of their own under recipe "best", in a scope that ends with their
        number, `k4`; the others share what was found for one of them.
    """
    valid = [*fig2_methods.METHODS, *methods_of_all.METHODS]
    grid.check("fig2", methods=methods, valid=valid, datasets=datasets, standin=standin, recipes=recipes)
    if searched is not None:
        grid.check_choices("fig2.searched", searched, valid)
    if not rounds or min(rounds) < 0:
        raise ValueError(f"fig2.rounds is {rounds}; the paper's are 4 to 20, for budgets of 0.8^k")
    return [
        _job(
            asked,
            dataset,
            recipe,
            method,
            k,
            seed,
            resolution or data.DATA_SETS[dataset].resolution,
            adam_signals,
            apart=recipe == "best" and k in apart,
            shown=recipe == records.RECIPES[0],  # Figure 3 has all methods.
        )
        for asked, dataset in grid.available(SCOPE, datasets, standin).items()
        for seed in cli.seeds(seeds)
        for recipe in recipes
        for method in methods
        if recipe != "best" or searched is None or method in searched
        for k in sorted(rounds)
    ]


def _job(
    asked: str,
    dataset: str,
    recipe: str,
    name: str,
    k: int,
    seed: int,
    resolution: int,
    adam_signals: int | None,
    *,
    apart: bool,
    shown: bool,
) -> TrainingJob:
    known, method = data.DATA_SETS[dataset], fig2_methods.find(name)
    scope = (SCOPE, recipe, asked, name, *([f"k{k}"] if apart else []))
    axes = {"datasets": [asked], "recipes": [recipe], "methods": [name]}
    with configuration.scope(*scope):
        training, siren = Training(), Siren(out_dim=known.channels)
        learner = method.learner(siren, k, training.outer_steps)
        steps = PruningRounds(dense_steps=training.outer_steps).stop(k)
        if not method.shares_training:
            training = dataclasses.replace(training, outer_steps=steps)
        setup = Setup(learner, OuterOptimizer(), training, known.modality, resolution, seed)
        weights = siren_weights(siren)
        how = Evaluation(
            adam=AdamFit(),
            adam_signals=adam_signals,
            two_steps=method.two_steps,
            pruned=method.pruned(weights, k),
            counts_biases=method.gated,
            weights=weights,
            biases=DeltaSiren(siren).code_shape[0] - weights,
        )
    return TrainingJob(
        benchmark=NAME,
        preset=cli.preset(),
        seed=seed,
        gin=grid.gin_text(scope, **axes, rounds=[k], seeds=[seed]),
        dataset=dataset,
        method=name,
        budget=0.8**k,
        setup=setup,
        scope=scope,
        evaluate=_evaluate,
        evaluation=how,
        recipe=recipe,
        shown=shown and seed == 0,
        stop=steps if method.trained else 0,
        trained_as=method.shares_training,
    )


def _evaluate(job: TrainingJob, state: TrainState) -> Result:
    """Rows of both regimes, and what the mask keeps of every array of the network."""
    how, setup = job.evaluation, job.setup
    fits = []
    if how.two_steps:
        fits.append((evaluation.fit(setup, state, evaluation.test_points(job, setup.training.test_signals)), {}))
    if setup.learner.shares_pattern and how.adam_signals != 0:  # Adam knows of no other pattern.
        keep = how.adam.schedule(how.pruned) if how.pruned else None
        fitted = evaluation.fit(setup, state, evaluation.test_points(job, how.adam_signals), how.adam.encode, keep)
        fits.append((fitted, {"inner_optimizer": "adam", "inner_steps": how.adam.steps}))
    rows = [row for fitted, regime in fits for row in _rows(job, state, fitted, regime)]
    files = _images(job, fits[0][0]) if job.shown else {}
    return Result({"": rows, "_layers": _layers(job, state)}, files)


def _rows(job: TrainingJob, state: TrainState, fitted: evaluation.Fitted, regime: dict) -> list[dict]:
    how = job.evaluation
    kept_weights, kept_biases = evaluation.kept(job.setup, state, fitted.codes)
    surviving_count = kept_weights + kept_biases if how.counts_biases else kept_weights

    def per_signal(i):
        return {
            "surviving_fraction": f"{surviving_count[i] / how.weights:.6g}",
            "kept_weights": int(kept_weights[i]),
            "kept_biases": int(kept_biases[i]),
        }

    per_run = {"budget": f"{job.budget:.6g}", "budget_unit": "fraction", "weights": how.weights, "biases": how.biases}
    return evaluation.rows(job, fitted, per_signal, **per_run, **regime)


def _layers(job: TrainingJob, state: TrainState) -> list[dict]:
    """Entries that the shared mask keeps of each array; none without a mask of the parameters."""
    if state.gates is None or job.evaluation.pruned:
        return []
    mask = np.asarray(state.gates.mask)
    shared = evaluation.common(job) | {"budget": f"{job.budget:.6g}"}
    return [
        shared | {"layer": part.layer, "kind": part.kind, "kept": int(mask[part.entries].sum()), "size": part.size}
        for part in job.setup.learner.field.parts
    ]


def _images(job: TrainingJob, fitted: evaluation.Fitted) -> dict[str, bytes]:
    """The first test signals side by side, as reconstructed, and the originals: what figure 3b is drawn from."""
    side, files = job.setup.resolution, {}
    for label, values in ((f"{job.method}_{job.budget:.6g}", fitted.values), ("original", fitted.targets)):
        pictures = targets_to_8_bit(values[:SHOWN_SIGNALS]).reshape(-1, side, side, values.shape[-1])
        strip = np.concatenate(list(pictures), axis=1)
        picture = io.BytesIO()
        PIL.Image.fromarray(strip if strip.shape[-1] == 3 else strip[..., 0]).save(picture, format="png")
        files[f"images/{evaluation.judged_dataset(job)}_{job.judged.source}_{label}.png"] = picture.getvalue()
    return files


if __name__ == "__main__":
    cli.main(NAME)
