"""What a run would be: configuration, shapes, memory and FLOPs, without a training step."""

import functools
import math

import gin
import jax
import jax.numpy as jnp
import rich.table
from rich.console import Console

from benchmarks import runner
from benchmarks.cell import Cell
from mscn_flax import data, meta, metrics
from mscn_flax.delta import DeltaSiren
from mscn_flax.siren import base_siren


def show(cells: list[Cell]) -> None:
    """Prints the operative gin and a line for each method and budget of the first data set and seed."""
    table = rich.table.Table(title=f"{len(cells)} runs; per run:")
    for column in ("method", "budget", "parameters", "modulations", "code", "points", "GFLOP/step", "temp MiB"):
        table.add_column(column, justify="right")
    first = cells[0]
    shown = [cell for cell in cells if (cell.dataset, cell.seed) == (first.dataset, first.seed)]
    largest = {cell.method: cell.budget for cell in sorted(shown, key=lambda cell: cell.budget)}
    temporary = {}
    for cell in shown:
        # One compilation a field: budget and gates hardly change the memory.
        field, measured = cell.learner.field, cell.budget == largest[cell.method] and cell.stop_step > 0
        if measured and field not in temporary:
            temporary[field] = _temporary(cell)
        table.add_row(*_line(cell), temporary[field] if measured else "")
    console = Console(width=120)
    console.print(gin.operative_config_str(), markup=False, highlight=False)
    training = first.training
    try:
        counts = f"{len(first.images['train'])} training and {len(first.images['test'])} test images"
        print(f"data set {first.dataset} ({first.images['train'].source}): {counts}", end="")
    except data.MissingDataError as error:
        print(f"data set {first.dataset}: not here. {error}\nimages", end="")
    side = f"{first.resolution}x{first.resolution}"
    print(f" of {side}, {training.outer_steps} outer steps of {training.batch_size} signals")
    console.print(table)
    print(
        "temp MiB: XLA's temporary memory of one outer step a device, at the largest budget, measured once a network; "
        "FLOPs of matrix products, recomputation apart"
    )


def _abstract_state(cell: Cell) -> meta.TrainState:
    """Shapes and dtypes of the train state."""
    optimizer = cell.optimizer.build(cell.training.outer_steps)
    return jax.eval_shape(functools.partial(meta.init_state, cell.learner, optimizer, 0), cell.coords)


def _points(cell: Cell) -> int:
    return len(cell.coords) // cell.training.stride**2


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
    coords = jax.ShapeDtypeStruct((_points(cell), cell.coords.shape[1]), jnp.float32)
    targets = jax.ShapeDtypeStruct(
        (training.batch_size, _points(cell), base_siren(cell.learner.field).out_dim), jnp.float32
    )
    compiled = jax.jit(step).lower(_abstract_state(cell), coords, targets, 0).compile()
    return f"{compiled.memory_analysis().temp_size_in_bytes / 2**20:.0f}"


def _line(cell: Cell) -> list[str]:
    """One run's sizes but its memory, from abstract values alone."""
    training, learner = cell.training, cell.learner
    state, points = _abstract_state(cell), _points(cell)
    siren = base_siren(cell.learner.field)
    forward = metrics.siren_flops(points, cell.coords.shape[1], siren.width, siren.depth, siren.out_dim)
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
