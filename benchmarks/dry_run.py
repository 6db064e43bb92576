"""What a run would be: configuration, shapes, memory and FLOPs, without a training step."""

import functools
import math
from collections.abc import Hashable

import gin
import jax
import numpy as np
import rich.table
from rich.console import Console

from benchmarks import runner
from benchmarks.cell import Cell
from mscn_flax import data, meta, metrics
from mscn_flax.delta import DeltaSiren
from mscn_flax.modalities import Points
from mscn_flax.rendering import RadianceField, points_a_coordinate
from mscn_flax.siren import base_siren


def show(cells: list[Cell]) -> None:
    """Prints the operative gin, and for each data set a line for each method and budget of the first seed."""
    console = Console(width=120)
    console.print(gin.operative_config_str(), markup=False, highlight=False)
    temporary = {}
    for dataset in dict.fromkeys(cell.dataset for cell in cells):
        _show(console, [cell for cell in cells if cell.dataset == dataset], temporary)
    print(
        "temp MiB: XLA's temporary memory of one outer step a device, at the largest budget, measured once a data set; "
        "FLOPs of matrix products, recomputation apart"
    )


def _show(console: Console, cells: list[Cell], temporary: dict[Hashable, str]) -> None:
    """The part of one data set; `temporary` has the memory of what was compiled before."""
    first = cells[0]
    training, shown = first.training, [cell for cell in cells if cell.seed == first.seed]
    # One compilation: neither budget nor method change much of the memory.
    measured = max((cell for cell in shown if cell.stop_step > 0), key=lambda cell: cell.budget, default=None)
    table = rich.table.Table(title=f"{len(cells)} runs on {first.dataset}; per run:")
    for column in ("method", "budget", "parameters", "modulations", "code", "points", "GFLOP/step", "temp MiB"):
        table.add_column(column, justify="right")
    if measured is not None:
        same = (measured.learner.field, _example(measured).targets.shape, measured.training)
        if same not in temporary:
            temporary[same] = _temporary(measured)
    for cell in shown:
        table.add_row(*_line(cell), temporary[same] if cell is measured else "")
    try:
        train = first.signals["train"]
        counts = (
            f"{len(train)} training signals of {train.name} ({train.source}), {len(first.signals['test'])} test signals"
        )
        print(f"data set {first.dataset}: {counts}", end="")
    except data.MissingDataError as error:
        print(f"data set {first.dataset}: not here. {error}\nsignals", end="")
    print(
        f" of {first.modality.size(first.resolution)}, "
        f"{training.outer_steps} outer steps of {training.batch_size} signals"
    )
    console.print(table)


def _abstract_state(cell: Cell) -> meta.TrainState:
    """Shapes and dtypes of the train state."""
    optimizer = cell.optimizer.build(cell.training.outer_steps)
    return jax.eval_shape(functools.partial(meta.init_state, cell.learner, optimizer, 0), cell.coords)


def _example(cell: Cell) -> Points:
    """What a step sees, of signals of nothing."""
    sampling = cell.training.sampling(cell.learner.inner_steps)
    channels = data.DATA_SETS[cell.dataset].channels
    arrays = cell.modality.example(cell.training.batch_size, channels, cell.resolution, sampling)
    return cell.modality.draw(arrays, cell.resolution, sampling, np.random.default_rng(0))


def _temporary(cell: Cell) -> str:
    """Temporary memory of one outer step in MiB, from a compilation without data."""
    training = cell.training
    mesh = runner.devices_for(training.batch_size)
    step = functools.partial(
        meta.train_step,
        learner=cell.learner,
        optimizer=cell.optimizer.build(training.outer_steps),
        outer_steps=training.outer_steps,
        mesh=mesh,
        chunk_size=runner.chunk(training.chunk_size, training.batch_size // mesh.size),
    )
    compiled = jax.jit(step).lower(_abstract_state(cell), *_example(cell), 0).compile()
    return f"{compiled.memory_analysis().temp_size_in_bytes / 2**20:.0f}"


def _line(cell: Cell) -> list[str]:
    """One run's sizes but its memory, from abstract values alone."""
    training, learner = cell.training, cell.learner
    state, siren = _abstract_state(cell), base_siren(learner.field)
    points = _example(cell).targets.shape[-2]
    rays = isinstance(learner.field, RadianceField)
    evaluated, dims = points * points_a_coordinate(learner.field), 3 if rays else cell.modality.dims
    forward = metrics.siren_flops(evaluated, dims, siren.width, siren.depth, siren.out_dim)
    flops = training.batch_size * metrics.meta_step_flops(
        forward,
        learner.inner_steps,
        first_order=learner.first_order,
        products=3 if isinstance(learner.field, DeltaSiren) else 2,
    )
    return [
        cell.method,
        f"{cell.budget:g}",
        f"{sum(leaf.size for leaf in jax.tree.leaves(state.theta['field'])):,}",
        f"{math.prod(siren.code_shape):,} {list(siren.code_shape)}",
        str(list(learner.field.code_shape)),
        str(points),
        f"{flops / 1e9:.1f}",
    ]
