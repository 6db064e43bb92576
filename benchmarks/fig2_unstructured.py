"""Figures 2 and 3: unstructured sparse gradients against MetaSparseINR and its baselines, by method and sparsity.

Two regimes of evaluation, told apart by the columns `inner_optimizer` and `inner_steps`: the inner loop that was
trained (sgd or meta_sgd, 2 steps), and Adam (100 steps). What a budget counts is not the same for all methods, because
what they store for a signal is not: see `METHODS`.
"""

import dataclasses
from collections.abc import Callable

import gin
import numpy as np
import PIL.Image

from benchmarks import cli, evaluation, grid, records, runner
from benchmarks.cell import Cell, Training
from mscn_flax import data
from mscn_flax.budget import BudgetController
from mscn_flax.delta import DeltaSiren
from mscn_flax.finetune import AdamFit
from mscn_flax.learner import MetaLearner
from mscn_flax.meta import TrainState
from mscn_flax.modalities.values import targets_to_8_bit
from mscn_flax.outer import OuterOptimizer
from mscn_flax.prune import PruningRounds, narrow, siren_weights, surviving
from mscn_flax.siren import Siren
from mscn_flax.sparsity import GradientGates, UnstructuredGates

NAME = "fig2_unstructured"

SHOWN_SIGNALS = 3
"""Test signals whose reconstructions are kept for figure 3b."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How a cell is evaluated.

    Attributes:
      adam: the second regime.
      adam_signals: test signals evaluated by it; None for all.
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


@dataclasses.dataclass(frozen=True)
class Method:
    """What makes a method.

    Attributes:
      learner: function of (network, pruning round k, outer steps).
      gated: its gates are learned: the budget is of delta's weights and biases together.
      stop: function of (learner, k, outer steps): outer steps after which it is evaluated.
      two_steps: whether it has an inner loop of its own.
      pruned: function of (weights, k): see `Evaluation`.
      shares_training: name under which several budgets or methods share one training; None for each its own.
    """

    learner: Callable[[Siren, int, int], MetaLearner]
    gated: bool = False
    stop: Callable[[MetaLearner, int, int], int] = lambda learner, k, outer_steps: outer_steps
    two_steps: bool = True
    pruned: Callable[[int, int], tuple[int, ...]] = lambda weights, k: ()
    shares_training: str | None = None


def _gated(form, *, meta_sgd: bool) -> Callable[[Siren, int, int], MetaLearner]:
    def learner(siren, k, outer_steps):
        del outer_steps
        budget = BudgetController(budget=surviving(siren_weights(siren), k))
        return MetaLearner(field=DeltaSiren(siren), controller=budget, form=form, meta_sgd=meta_sgd)

    return learner


def _pruned(criterion: str, rounds: int | None = None) -> Callable[[Siren, int, int], MetaLearner]:
    def learner(siren, k, outer_steps):
        del k
        chosen = {} if rounds is None else {"rounds": rounds}
        controller = PruningRounds(criterion=criterion, dense_steps=outer_steps, **chosen)
        return MetaLearner(field=DeltaSiren(siren), controller=controller, form=UnstructuredGates(), meta_sgd=False)

    return learner


def _narrow(siren: Siren, k: int, outer_steps: int) -> MetaLearner:
    del outer_steps
    field = DeltaSiren(narrow(siren, 0.8**k))
    return MetaLearner(field=field, form=UnstructuredGates(), meta_sgd=False)


_dense = _pruned("magnitude", rounds=0)

METHODS = {
    # Budget: non-zeros of delta, weights and biases together, as many as the baselines' weights. theta0 is dense.
    "mscn_meta_sgd": Method(_gated(GradientGates(), meta_sgd=True), gated=True),
    "mscn_fixed_lr": Method(_gated(GradientGates(), meta_sgd=False), gated=True),
    # Budget: non-zeros of theta0 + delta, weights and biases together.
    "mscn_sparse_final": Method(_gated(UnstructuredGates(), meta_sgd=True), gated=True),
    # Budget: weights of theta0 + delta, biases free, as MetaSparseINR's paper counts.
    "meta_sparse_inr": Method(
        _pruned("magnitude"), stop=lambda learner, k, _: learner.controller.stop(k), shares_training="meta_sparse_inr"
    ),
    "random_pruning": Method(
        _pruned("random"), stop=lambda learner, k, _: learner.controller.stop(k), shares_training="random_pruning"
    ),
    "dense_narrow": Method(_narrow),
    "maml_one_shot": Method(
        _dense, two_steps=False, pruned=lambda weights, k: (surviving(weights, k),), shares_training="maml"
    ),
    "maml_imp": Method(
        _dense,
        two_steps=False,
        pruned=lambda weights, k: tuple(surviving(weights, i) for i in range(1, k + 1)),
        shares_training="maml",
    ),
    "scratch": Method(_narrow, stop=lambda *_: 0, two_steps=False),
}
"""`method` column -> the method; gin scope fig2/<method> configures it."""


@gin.configurable("fig2")
def fig2(
    preset: str = "custom",
    datasets: list[str] = gin.REQUIRED,
    standin: str | None = None,
    methods: list[str] = gin.REQUIRED,
    rounds: list[int] = gin.REQUIRED,
    seeds: list[int] = gin.REQUIRED,
    resolution: int | None = None,
    adam_signals: int | None = None,
) -> None:
    """Runs the grid.

    Args:
      preset: name of the gin overlay, and of the folder of the results.
      datasets: keys of `data.DATA_SETS`.
      standin: data set that takes the place of one that is not here; None to stop instead.
      methods: keys of `METHODS`.
      rounds: k of the budgets 0.8^k.
      seeds: of the runs.
      resolution: pixels a side; None for the data set's own.
      adam_signals: test signals that are fitted by Adam too; None for all.
    """
    grid.check("fig2", methods=methods, valid=METHODS, datasets=datasets, standin=standin)
    if not rounds or min(rounds) < 0:
        raise ValueError(f"fig2.rounds is {rounds}; the paper's are 4 to 20, for budgets of 0.8^k")
    cells = [
        _cell(preset, dataset, method, k, seed, resolution or data.DATA_SETS[dataset].resolution, adam_signals)
        for dataset in grid.available(datasets, standin)
        for seed in cli.seeds(seeds)
        for method in methods
        for k in sorted(rounds)
    ]
    grid.run(cells, _evaluate)


def _cell(preset: str, dataset: str, name: str, k: int, seed: int, resolution: int, adam_signals: int | None) -> Cell:
    method, training = METHODS[name], Training()
    with gin.config_scope(name):
        siren = Siren(out_dim=data.DATA_SETS[dataset].channels)
        learner, optimizer = method.learner(siren, k, training.outer_steps), OuterOptimizer()
    weights = siren_weights(siren)
    return Cell(
        experiment=NAME,
        grid="fig2/fig2",
        preset=preset,
        dataset=dataset,
        resolution=resolution,
        method=name,
        budget=0.8**k,
        seed=seed,
        learner=learner,
        optimizer=optimizer,
        training=training,
        stop=method.stop(learner, k, training.outer_steps),
        trained_as=method.shares_training,
        axis=("rounds", [k]),
        evaluation=Evaluation(
            adam=AdamFit(),
            adam_signals=adam_signals,
            two_steps=method.two_steps,
            pruned=method.pruned(weights, k),
            counts_biases=method.gated,
            weights=weights,
            biases=DeltaSiren(siren).code_shape[0] - weights,
        ),
    )


def _evaluate(cell: Cell, state: TrainState) -> list[runner.Table]:
    """Rows of both regimes, and what the mask keeps of every array of the network."""
    how = cell.evaluation
    fits = []
    if how.two_steps:
        fits.append((evaluation.fit(cell, state, evaluation.test_points(cell, cell.training.test_signals)), {}))
    keep = how.adam.schedule(how.pruned) if how.pruned else None
    fitted = evaluation.fit(cell, state, evaluation.test_points(cell, how.adam_signals), how.adam.encode, keep)
    fits.append((fitted, {"inner_optimizer": "adam", "inner_steps": how.adam.steps}))
    rows = [row for fitted, regime in fits for row in _rows(cell, state, fitted, regime)]
    if cell.seed == 0:
        _save_images(cell, fits[0][0])
    return [runner.Table("", rows), runner.Table("_layers", _layers(cell, state), records.LAYER_COLUMNS)]


def _rows(cell: Cell, state: TrainState, fitted: evaluation.Fitted, regime: dict) -> list[dict]:
    how = cell.evaluation
    kept_weights, kept_biases = evaluation.kept(cell, state, fitted.codes)
    surviving_count = kept_weights + kept_biases if how.counts_biases else kept_weights

    def per_signal(i):
        return {
            "surviving_fraction": f"{surviving_count[i] / how.weights:.6g}",
            "kept_weights": int(kept_weights[i]),
            "kept_biases": int(kept_biases[i]),
        }

    per_run = {"budget": f"{cell.budget:.6g}", "budget_unit": "fraction", "weights": how.weights, "biases": how.biases}
    return evaluation.rows(cell, fitted, per_signal, **per_run, **regime)


def _layers(cell: Cell, state: TrainState) -> list[dict]:
    """Entries that the shared mask keeps of each array; none without a mask of the parameters."""
    if state.gates is None or cell.evaluation.pruned:
        return []
    mask = np.asarray(state.gates.mask)
    shared = evaluation.common(cell) | {"budget": f"{cell.budget:.6g}"}
    return [
        shared | {"layer": part.layer, "kind": part.kind, "kept": int(mask[part.entries].sum()), "size": part.size}
        for part in cell.learner.field.parts
    ]


def _save_images(cell: Cell, fitted: evaluation.Fitted) -> None:
    """The first test signals side by side, as reconstructed, and the originals: what figure 3b is drawn from."""
    folder = cell.csv.with_name(f"{NAME}_images")
    name = f"{cell.dataset}_{cell.signals['test'].source}"
    for label, values in ((f"{cell.method}_{cell.budget:.6g}", fitted.values), ("original", fitted.targets)):
        pictures = targets_to_8_bit(values[:SHOWN_SIGNALS])
        pictures = pictures.reshape(-1, cell.resolution, cell.resolution, values.shape[-1])
        strip = np.concatenate(list(pictures), axis=1)
        with records.replaced(folder / f"{name}_{label}.png", "wb") as out:
            PIL.Image.fromarray(strip if strip.shape[-1] == 3 else strip[..., 0]).save(out, format="png")


def main() -> None:
    """The grid as gin has it, its bindings scoped by `fig2`."""
    with gin.config_scope("fig2"):
        fig2()


if __name__ == "__main__":
    cli.run(main)
