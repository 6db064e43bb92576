"""What a run would be: configuration, shapes, memory and FLOPs, without a training step."""

import dataclasses
import functools
import math
from collections.abc import Hashable

import flax.linen as nn
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
from mscn_flax.siren import base_siren, with_depth

_DEPTHS = (5, 6)
"""Of the networks that are compiled for the memory of deeper ones."""


def show(cells: list[Cell]) -> None:
    """Prints the operative gin, and for each data set a line for each method and budget of the first seed."""
    console = Console(width=120)
    console.print(gin.operative_config_str(), markup=False, highlight=False)
    temporary = {}
    for dataset in dict.fromkeys(cell.dataset for cell in cells):
        _show(console, [cell for cell in cells if cell.dataset == dataset], temporary)
    print(
        "temp MiB: XLA's temporary memory of one outer step a device, at the largest budget, measured once a data set, "
        "of deep networks at two small depths and extended; FLOPs of matrix products, recomputation apart"
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


def _example(cell: Cell) -> Points:
    """What a step sees, of signals of nothing."""
    sampling = cell.training.sampling(cell.learner.inner_steps)
    channels = data.DATA_SETS[cell.dataset].channels
    arrays = cell.modality.example(cell.training.batch_size, channels, cell.resolution, sampling)
    return cell.modality.draw(arrays, cell.resolution, sampling, np.random.default_rng(0))


def _temporary(cell: Cell) -> str:
    """Temporary memory of one outer step in MiB, from compilations without data.

    Every layer adds as much memory to it, and time to its compilation: that of a deep network is extended from two of
    few layers (fewer than 5 do not show what a layer adds of scenes).
    """
    field, depth = cell.learner.field, base_siren(cell.learner.field).depth
    if depth <= max(_DEPTHS):
        mib = _measured(cell, field)
    else:
        low, high = (_measured(cell, with_depth(field, few)) for few in _DEPTHS)
        mib = low + (high - low) * (depth - _DEPTHS[0]) / (_DEPTHS[1] - _DEPTHS[0])
    return f"{mib:.0f}"


def _measured(cell: Cell, field: nn.Module) -> float:
    """Of one outer step with another field, in MiB."""
    training = cell.training
    learner = dataclasses.replace(runner.for_any_budget(cell.learner), field=field)
    mesh = runner.devices_for(training.batch_size)
    optimizer = cell.optimizer.build(training.outer_steps)
    step = functools.partial(
        meta.train_step,
        learner=learner,
        optimizer=optimizer,
        outer_steps=training.outer_steps,
        mesh=mesh,
        chunk_size=runner.chunk(training.chunk_size, training.batch_size // mesh.size),
    )
    state = jax.eval_shape(functools.partial(meta.init_state, learner, optimizer, 0), cell.coords)
    # As large as with all of XLA's optimisations (for the paper's scenes 2 MiB of 37,390 less), in much less time.
    fast = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
    compiled = jax.jit(step).lower(state, *_example(cell), 0).compile(compiler_options=fast)
    return compiled.memory_analysis().temp_size_in_bytes / 2**20


def _line(cell: Cell) -> list[str]:
    """One run's sizes but its memory, from abstract values alone."""
    training, learner = cell.training, cell.learner
    theta, siren = jax.eval_shape(learner.init, jax.random.key(0), cell.coords), base_siren(learner.field)
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
        f"{sum(leaf.size for leaf in jax.tree.leaves(theta['field'])):,}",
        f"{math.prod(siren.code_shape):,} {list(siren.code_shape)}",
        str(list(learner.field.code_shape)),
        str(points),
        f"{flops / 1e9:.1f}",
    ]
