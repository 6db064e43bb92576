"""What the jobs of a benchmark would be: configuration, shapes, memory, FLOPs and time; nothing is trained."""

import math
from collections.abc import Hashable, Sequence

import gin
import jax
import rich.table
from rich.console import Console

from benchmarks.estimate import Estimate, estimate, example, flops
from benchmarks.job import Job, TrainingJob
from benchmarks.linear import LinearJob
from mscn_flax import data
from mscn_flax.siren import base_siren

_COLUMNS = "method budget parameters modulations code points GFLOP/step temp_MiB s/step hours"


def show(jobs: Sequence[Job]) -> None:
    """Prints the operative gin; per data set one line per method and budget of the first seed; other jobs by name."""
    console = Console(width=120)
    console.print(gin.operative_config_str(), markup=False, highlight=False)
    trainings, estimates = [job for job in jobs if isinstance(job, TrainingJob) and not isinstance(job, LinearJob)], {}
    for dataset in dict.fromkeys(job.dataset for job in trainings):
        _show(console, [job for job in trainings if job.dataset == dataset], estimates)
    if trainings:
        print(
            "temp MiB: XLA's temporary memory of one outer step per device, at the largest budget, measured once per "
            "data set, of deep networks at two small depths and extended; s/step: measured here, of large steps on "
            "some signals and points and extended; hours of training alone, all of it at the last stride; FLOPs of "
            "matrix products, without recomputation"
        )
    for job in jobs:
        if job not in trainings:
            print(job.describe())


def _show(console: Console, jobs: list[TrainingJob], estimates: dict[Hashable, Estimate]) -> None:
    """The part of one data set; `estimates` has those made before."""
    first = jobs[0]
    training, shown = first.setup.training, [job for job in jobs if job.seed == first.seed]
    # One compilation: neither budget nor method change much of the memory.
    measured = max((job for job in shown if job.stop_step > 0), key=lambda job: job.budget, default=None)
    table = rich.table.Table(title=f"{len(jobs)} runs on {first.dataset}; per run:")
    for column in _COLUMNS.split():
        table.add_column(column.replace("_", " "), justify="right")
    if measured is not None:
        setup = measured.setup
        same = (setup.learner.for_any_budget(), example(setup).targets.shape, setup.training)
        if same not in estimates:
            estimates[same] = estimate(setup)
    for job in shown:
        cost = ("", "", "")
        if job is measured:
            step_s, temp_bytes = estimates[same]
            cost = (f"{temp_bytes / 2**20:.0f}", f"{step_s:.3g}", f"{job.stop_step * step_s / 3600:.3g}")
        table.add_row(*_line(job), *cost)
    try:
        train = first.signals("train")
        counts = f"{len(train)} training signals of {train.name} ({train.source}), {len(first.judged)}"
        print(f"data set {first.dataset}: {counts} {training.evaluate_on} signals", end="")
    except data.MissingDataError as error:
        print(f"data set {first.dataset}: not here. {error}\nsignals", end="")
    size = first.setup.modality.size(first.setup.resolution)
    print(f" of {size}, {training.outer_steps} outer steps of {training.batch_size} signals")
    console.print(table)


def _line(job: TrainingJob) -> list[str]:
    """The sizes of one run but its memory, from abstract values alone."""
    setup = job.setup
    learner, siren = setup.learner, base_siren(setup.learner.field)
    theta = jax.eval_shape(learner.init, jax.random.key(0), setup.coords)
    return [
        job.method,
        f"{job.budget:g}",
        f"{sum(leaf.size for leaf in jax.tree.leaves(theta['field'])):,}",
        f"{math.prod(siren.code_shape):,} {list(siren.code_shape)}",
        str(list(learner.field.code_shape)),
        str(example(setup).targets.shape[-2]),
        f"{flops(setup) / 1e9:.1f}",
    ]
