"""The five forms of sparsity of section 3.2, one gate mechanism, at one budget fraction; and gates adapted per signal.

A budget is a fraction of what a form has gates for: parameters, columns, groups, activations. What that leaves of the
network's parameters, what it saves of a forward pass, and how fast the compacted network is, is measured.
"""

import functools
import itertools
import time
from collections.abc import Callable

import gin
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import cli, engine, evaluation, grid
from benchmarks.job import TrainingJob
from benchmarks.run_folder import Result
from mscn_flax import compact, configuration, data
from mscn_flax.budget import BudgetController
from mscn_flax.delta import DeltaSiren
from mscn_flax.learner import MetaLearner
from mscn_flax.outer import OuterOptimizer
from mscn_flax.siren import Siren
from mscn_flax.sparsity import (
    ActivationGates,
    CodeGates,
    Form,
    GradientGates,
    GroupGates,
    StructuredGates,
    UnstructuredGates,
)
from mscn_flax.train import Setup, Training
from mscn_flax.train_state import TrainState

NAME, SCOPE = "sparsity_forms", "forms"

FORMS: dict[str, tuple[Callable[[], Form], bool]] = {
    "unstructured": (UnstructuredGates, False),
    "structured": (StructuredGates, False),
    "group": (GroupGates, False),
    "representational": (ActivationGates, False),
    "gradient": (GradientGates, False),
    # theta0 + z * delta, the gates shared, or adapted to each signal within the inner loop (delta phi, eq. 8).
    "delta": (CodeGates, False),
    "delta_adapted": (CodeGates, True),
}
"""`method` column -> where the gates act, and whether the inner loop adapts them."""

DENSE = "dense"
"""The method without gates, whose budget is 1: all of the network is adapted."""


@gin.configurable("forms")
def jobs(
    datasets: list[str] = gin.REQUIRED,
    standin: str | None = None,
    methods: list[str] = gin.REQUIRED,
    budgets: list[float] = gin.REQUIRED,
    seeds: list[int] = gin.REQUIRED,
    resolution: int | None = None,
) -> list[TrainingJob]:
    """The grid.

    Args:
      datasets: keys of `data.DATA_SETS`.
      standin: data set that takes the place of one that is not here; None to stop instead.
      methods: keys of `FORMS`, or "dense", which has one run per seed.
      budgets: fractions of the gates that stay open.
      seeds: random seeds of the runs.
      resolution: pixels per side; None for the data set's own.
    """
    grid.check("forms", methods=methods, valid=[*FORMS, DENSE], datasets=datasets, standin=standin)
    if not budgets or not all(0 < budget <= 1 for budget in budgets):
        raise ValueError(f"forms.budgets is {budgets}; fractions in (0, 1] are valid")
    cells = [(method, budget) for budget in budgets for method in methods if method != DENSE]
    cells += [(DENSE, 1.0)] if DENSE in methods else []
    return [
        _job(asked, dataset, method, budget, seed, resolution or data.DATA_SETS[dataset].resolution)
        for asked, dataset in grid.available(SCOPE, datasets, standin).items()
        for seed in cli.seeds(seeds)
        for method, budget in cells
    ]


def _job(asked: str, dataset: str, method: str, budget: float, seed: int, resolution: int) -> TrainingJob:
    known = data.DATA_SETS[dataset]
    with configuration.scope(SCOPE, asked, method):
        learner = _learner(method, budget, known.channels)
        setup = Setup(learner, OuterOptimizer(), Training(), known.modality, resolution, seed)
    return TrainingJob(
        benchmark=NAME,
        preset=cli.preset(),
        seed=seed,
        gin=grid.gin_text((SCOPE, asked, method), datasets=[asked], methods=[method], budgets=[budget], seeds=[seed]),
        dataset=dataset,
        method=method,
        budget=budget,
        setup=setup,
        evaluate=_evaluate,
    )


def _learner(method: str, fraction: float, channels: int) -> MetaLearner:
    field = DeltaSiren(Siren(out_dim=channels))
    if method == DENSE:
        return MetaLearner(field=field)
    form, adapt_gates = FORMS[method]
    form = form()
    count = max(1, round(fraction * int(np.prod(form.gate_shape(field)))))
    return MetaLearner(field=field, controller=BudgetController(budget=count), form=form, adapt_gates=adapt_gates)


def _evaluate(job: TrainingJob, state: TrainState) -> Result:
    """One row per test signal, and the run's summary."""
    fitted = evaluation.fit(job.setup, state, evaluation.test_points(job, job.setup.training.test_signals))
    kept_weights, kept_biases = evaluation.kept(job.setup, state, fitted.codes)
    is_weight = job.setup.learner.field.is_weight
    size, weights = is_weight.size, int(is_weight.sum())

    def per_signal(i):
        kept = kept_weights[i] + kept_biases[i]
        return {
            "surviving_fraction": f"{kept / size:.6g}",
            "kept_weights": int(kept_weights[i]),
            "kept_biases": int(kept_biases[i]),
        }

    per_run = {"budget": f"{job.budget:g}", "budget_unit": "fraction", "weights": weights, "biases": size - weights}
    rows = evaluation.rows(job, fitted, per_signal, **per_run)
    mask = np.ones(size, bool) if state.gates is None else np.asarray(state.gates.mask)
    summary = evaluation.common(job) | {
        "budget": f"{job.budget:g}",
        "gates": mask.size,
        "open_gates": job.setup.learner.controller.budget if job.setup.learner.adapt_gates else int(mask.sum()),
        "signals": len(rows),
        "psnr_db": f"{np.mean([float(row['psnr_db']) for row in rows]):.4f}",
        "kept_fraction": f"{np.mean(kept_weights + kept_biases) / size:.6g}",
        "overlap": f"{_overlap(fitted.codes != 0) if job.setup.learner.adapt_gates else 1:.4f}",
        "device": engine.device_name(),
    }
    summary |= _saving(job, state, fitted.codes[0])
    return Result({"": rows, "_summary": [summary]})


def _overlap(patterns: np.ndarray) -> float:
    """Mean over pairs of signals of the gates that both have open, over those that one has; `patterns` [n, P] bool."""
    pairs = itertools.combinations(range(len(patterns)), 2)
    return float(np.mean([np.sum(patterns[a] & patterns[b]) / max(patterns[a].sum(), 1) for a, b in pairs]))


def _saving(job: TrainingJob, state: TrainState, code: np.ndarray) -> dict:
    """What the zeros of one signal's network save of a forward pass: counted, and realised by a compacted network."""
    field = job.setup.learner.field
    siren, coords = field.siren, jnp.asarray(job.setup.coords)
    params = jax.device_get(field.tree(field.flat(state.theta["field"]) + code))
    small = compact.compact(siren, params)
    render = jax.jit(functools.partial(compact.apply, siren))
    values, seconds = {}, {}
    for _ in range(2):  # The first time compiles.
        for name, network in (("dense", params), ("compacted", small)):
            network = jax.device_put(network)
            times = []
            for _ in range(50):
                began = time.perf_counter()
                values[name] = jax.block_until_ready(render(network, coords))
                times.append(time.perf_counter() - began)
            seconds[name] = float(np.median(times))
    return {
        "flops_dense": compact.weight_flops(params),
        "flops_non_zero": compact.weight_flops(params, non_zero=True),
        "flops_compacted": compact.weight_flops(small),
        "dense_s": f"{seconds['dense']:.4g}",
        "compacted_s": f"{seconds['compacted']:.4g}",
        "points": len(coords),
        "largest_difference": f"{float(np.max(np.abs(values['dense'] - values['compacted']))):.2g}",
    }


if __name__ == "__main__":
    cli.main(NAME)
