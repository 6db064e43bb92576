"""What a run would be: configuration, shapes, memory and FLOPs, without a training step."""

import functools
import math

import gin
import jax
import jax.numpy as jnp
import rich.table
from rich.console import Console

from benchmarks import runner
from mscn_flax import data, meta, metrics


def show(cells: list[runner.Cell]) -> None:
    """Prints the operative gin and a line for each method and budget of the first data set and seed."""
    table = rich.table.Table(title=f"{len(cells)} runs; per run:")
    for column in ("method", "budget", "parameters", "modulations", "code", "points", "GFLOP/step", "temp MiB"):
        table.add_column(column, justify="right")
    first = cells[0]
    for cell in cells:
        if (cell.dataset, cell.seed) == (first.dataset, first.seed):
            table.add_row(*_line(cell))
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
    print("temp MiB: XLA's temporary memory of one outer step a device; FLOPs of matrix products, recomputation apart")


def _line(cell: runner.Cell) -> list[str]:
    """One run's sizes, from abstract values and a compilation alone."""
    training, learner = cell.training, cell.learner
    optimizer = cell.optimizer.build(training.outer_steps)
    mesh = runner.devices_for(training.batch_size)
    state = jax.eval_shape(functools.partial(meta.init_state, learner, optimizer, 0), cell.coords)
    points = len(cell.coords) // training.stride**2
    channels = 3
    step = functools.partial(
        meta.train_step,
        learner=learner,
        optimizer=optimizer,
        seed=0,
        outer_steps=training.outer_steps,
        mesh=mesh,
        chunk_size=runner.chunk(training.chunk_size, training.batch_size // mesh.size),
    )
    coords = jax.ShapeDtypeStruct((points, cell.coords.shape[1]), jnp.float32)
    targets = jax.ShapeDtypeStruct((training.batch_size, points, channels), jnp.float32)
    temporary = jax.jit(step).lower(state, coords, targets).compile().memory_analysis().temp_size_in_bytes
    siren = getattr(learner.field, "siren", learner.field)
    forward = metrics.siren_flops(points, coords.shape[1], siren.width, siren.depth, channels)
    flops = training.batch_size * metrics.meta_step_flops(forward, learner.inner_steps, first_order=learner.first_order)
    return [
        cell.method,
        str(cell.budget),
        f"{sum(leaf.size for leaf in jax.tree.leaves(state.theta['field'])):,}",
        f"{math.prod(siren.code_shape):,} {list(siren.code_shape)}",
        str(list(learner.field.code_shape)),
        str(points),
        f"{flops / 1e9:.1f}",
        f"{temporary / 2**20:.0f}",
    ]
