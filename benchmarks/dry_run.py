"""What a run would be: configuration, shapes, memory, FLOPs and time, without training."""

import dataclasses
import functools
import math
import statistics
import time
from collections.abc import Hashable
from typing import NamedTuple

import flax.linen as nn
import gin
import jax
import numpy as np
import rich.table
from jax.sharding import NamedSharding, PartitionSpec
from rich.console import Console

from benchmarks import runner
from benchmarks.cell import Cell
from mscn_flax import data, devices, meta, metrics
from mscn_flax.delta import DeltaSiren
from mscn_flax.modalities import Points
from mscn_flax.rendering import points_a_coordinate
from mscn_flax.siren import base_siren, with_depth
from mscn_flax.tiles import divisor

_DEPTHS = (5, 6)
"""Of the networks that are compiled for the memory of deeper ones."""

_TIMED_FLOPS = 50e9
"""Of a step that is timed whole; of a larger one only some signals and points are."""

_TIMED_POINTS = 256
"""Evaluations of the network for a signal that are timed at least, where there are as many."""

_TIMED_S = 5.0
"""After so many seconds no further step is timed."""


class Estimate(NamedTuple):
    """What an outer step costs.

    Attributes:
      step_s: seconds.
      temp_bytes: XLA's temporary memory a device.
    """

    step_s: float
    temp_bytes: float


def show(cells: list[Cell]) -> None:
    """Prints the operative gin, and for each data set a line for each method and budget of the first seed."""
    console = Console(width=120)
    console.print(gin.operative_config_str(), markup=False, highlight=False)
    estimates = {}
    for dataset in dict.fromkeys(cell.dataset for cell in cells):
        _show(console, [cell for cell in cells if cell.dataset == dataset], estimates)
    print(
        "temp MiB: XLA's temporary memory of one outer step a device, at the largest budget, measured once a data set, "
        "of deep networks at two small depths and extended; s/step: measured here, of large steps on some signals and "
        "points and extended; hours of training alone, all of it at the last stride; FLOPs of matrix products, "
        "recomputation apart"
    )


def _show(console: Console, cells: list[Cell], estimates: dict[Hashable, Estimate]) -> None:
    """The part of one data set; `estimates` has those made before."""
    first = cells[0]
    training, shown = first.training, [cell for cell in cells if cell.seed == first.seed]
    # One compilation: neither budget nor method change much of the memory.
    measured = max((cell for cell in shown if cell.stop_step > 0), key=lambda cell: cell.budget, default=None)
    table = rich.table.Table(title=f"{len(cells)} runs on {first.dataset}; per run:")
    for column in (
        "method",
        "budget",
        "parameters",
        "modulations",
        "code",
        "points",
        "GFLOP/step",
        "temp MiB",
        "s/step",
        "hours",
    ):
        table.add_column(column, justify="right")
    if measured is not None:
        same = (runner.for_any_budget(measured.learner), example(measured).targets.shape, measured.training)
        if same not in estimates:
            estimates[same] = estimate(measured)
    for cell in shown:
        table.add_row(*_line(cell), *(_estimated(cell, estimates[same]) if cell is measured else ("", "", "")))
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


def example(cell: Cell) -> Points:
    """What a step sees, of signals of zeros."""
    sampling = cell.training.sampling(cell.learner.inner_steps)
    channels = data.DATA_SETS[cell.dataset].channels
    arrays = cell.modality.example(cell.training.batch_size, channels, cell.resolution, sampling)
    return cell.modality.draw(arrays, cell.resolution, sampling, np.random.default_rng(0))


def _estimated(cell: Cell, estimated: Estimate) -> tuple[str, str, str]:
    """Columns of memory and time."""
    step_s = estimated.step_s
    return f"{estimated.temp_bytes / 2**20:.0f}", f"{step_s:.3g}", f"{cell.stop_step * step_s / 3600:.3g}"


def estimate(cell: Cell) -> Estimate:
    """The cost of one outer step of a cell, without data."""
    return Estimate(_step_s(cell), _temporary(cell))


def _step_s(cell: Cell) -> float:
    """Seconds of one outer step on this machine, from a few steps on noise.

    Time grows with signals and points (`results/<preset>/growth.csv`): of a step that takes long, some are timed.
    """
    training, mesh = cell.training, runner.devices_for(cell.training.batch_size)
    whole = example(cell)
    points, signals, work = whole.targets.shape[-2], training.batch_size, flops(cell)
    fewer = min(points, max(-(-_TIMED_POINTS // points_a_coordinate(cell.learner.field)), _timed(points, work)))
    batch = mesh.size * divisor(max(_timed(signals, work * fewer / points) // mesh.size, 1), signals // mesh.size)
    part = dataclasses.replace(cell, training=dataclasses.replace(training, batch_size=batch))
    rng = np.random.default_rng(0)
    coords, targets = whole.coords[..., :fewer, :], whole.targets[:batch, ..., :fewer, :]
    if own := coords.ndim == targets.ndim:
        coords = coords[:batch]
    noise = rng.random(targets.shape, np.float32)
    shared, each = (NamedSharding(mesh, PartitionSpec(*axis)) for axis in ((), (meta.SIGNALS,)))
    arguments = devices.placed(coords, each if own else shared), devices.placed(noise, each), np.int32(cell.seed)
    state = runner.first_state(part, mesh)
    step = jax.jit(runner.step_of(part, mesh), donate_argnums=0).lower(state, *arguments).compile()
    jax.block_until_ready(state)
    state, _ = jax.block_until_ready(step(state, *arguments))  # The first is slower.
    seconds = []
    while len(seconds) < 5 and sum(seconds) < _TIMED_S:
        began = time.perf_counter()
        state, _ = jax.block_until_ready(step(state, *arguments))
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * (signals / batch) * (points / fewer)


def _timed(count: int, work: float) -> int:
    """As many of `count` as are timed, at least one, of a step of `work` FLOPs."""
    return max(1, int(count * min(1, _TIMED_FLOPS / work)))


def _temporary(cell: Cell) -> float:
    """Temporary memory of one outer step in bytes, from compilations without data.

    Every layer adds as much memory to it, and time to its compilation: that of a deep network is extended from two of
    few layers (fewer than 5 do not show what a layer adds of scenes).
    """
    field, depth = cell.learner.field, base_siren(cell.learner.field).depth
    if depth <= max(_DEPTHS):
        return _measured(cell, field)
    low, high = (_measured(cell, with_depth(field, few)) for few in _DEPTHS)
    return low + (high - low) * (depth - _DEPTHS[0]) / (_DEPTHS[1] - _DEPTHS[0])


def _measured(cell: Cell, field: nn.Module) -> int:
    """Of one outer step with another field, in bytes."""
    cell = dataclasses.replace(cell, learner=dataclasses.replace(runner.for_any_budget(cell.learner), field=field))
    optimizer = cell.optimizer.build(cell.training.outer_steps)
    step = runner.step_of(cell, runner.devices_for(cell.training.batch_size))
    state = jax.eval_shape(functools.partial(meta.init_state, cell.learner, optimizer, 0), cell.coords)
    # As large as with all of XLA's optimisations (for the paper's scenes 2 MiB of 37,390 less), in much less time.
    fast = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
    compiled = jax.jit(step).lower(state, *example(cell), 0).compile(compiler_options=fast)
    return compiled.memory_analysis().temp_size_in_bytes


def flops(cell: Cell) -> int:
    """Of the matrix products of one outer step, recomputation apart."""
    learner, siren = cell.learner, base_siren(cell.learner.field)
    evaluated = example(cell).targets.shape[-2] * points_a_coordinate(learner.field)
    forward = metrics.siren_flops(evaluated, cell.modality.in_dim, siren.width, siren.depth, siren.out_dim)
    return cell.training.batch_size * metrics.meta_step_flops(
        forward,
        learner.inner_steps,
        first_order=learner.first_order,
        truncate=learner.truncate,
        products=3 if isinstance(learner.field, DeltaSiren) else 2,
    )


def _line(cell: Cell) -> list[str]:
    """One run's sizes but its memory, from abstract values alone."""
    learner = cell.learner
    theta, siren = jax.eval_shape(learner.init, jax.random.key(0), cell.coords), base_siren(learner.field)
    return [
        cell.method,
        f"{cell.budget:g}",
        f"{sum(leaf.size for leaf in jax.tree.leaves(theta['field'])):,}",
        f"{math.prod(siren.code_shape):,} {list(siren.code_shape)}",
        str(list(learner.field.code_shape)),
        str(example(cell).targets.shape[-2]),
        f"{flops(cell) / 1e9:.1f}",
    ]
