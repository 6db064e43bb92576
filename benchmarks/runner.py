"""One cell's run: train, resume, record."""

import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Hashable
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks import records
from benchmarks.cell import Cell
from mscn_flax import data, devices, memory, meta
from mscn_flax.checkpoint import Checkpoints
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import Points
from mscn_flax.progress import Progress
from mscn_flax.tiles import divisor

SHOWN = ("mse", "psnr", "open_gates")
"""What the progress bar shows of the logged values."""


def devices_for(batch_size: int) -> Mesh:
    """A mesh over as many devices as divide the batch; of several processes all devices must.

    Raises:
      ValueError: where they do not.
    """
    found = jax.devices()
    count = max(n for n in range(1, len(found) + 1) if batch_size % n == 0)
    if jax.process_count() > 1 and count < len(found):
        raise ValueError(
            f"a batch of {batch_size} signals cannot be divided over the {len(found)} devices of "
            f"{jax.process_count()} processes; set Training.batch_size to a multiple of {len(found)}"
        )
    return Mesh(np.array(found[:count]), (meta.SIGNALS,))


class Table(NamedTuple):
    """Rows of one of a benchmark's files.

    Attributes:
      suffix: of `<experiment><suffix>.csv`; empty for the rows of the signals.
      rows: of one run.
      columns: of the file.
    """

    suffix: str
    rows: list[dict]
    columns: tuple[str, ...] = records.COLUMNS


class Trained(NamedTuple):
    """What training gives.

    Attributes:
      state: trained.
      start: outer step at which this process took it up.
      compile_s: seconds of compilation.
      train_s: seconds of the steps, checkpoints within.
    """

    state: meta.TrainState
    start: int
    compile_s: float
    train_s: float


class Result(NamedTuple):
    """What a cell's run gives.

    Attributes:
      tables: its rows, those of the signals first.
      provenance: what is needed to judge or repeat it.
    """

    tables: list[Table]
    provenance: dict


def done_before(cell: Cell) -> bool:
    """Whether this checkout has run the cell and its rows are there, which is said."""
    done = bool(devices.agreed(_marker(cell).exists() and records.has(cell.csv, cell.run_id)))
    if done:
        print(f"{cell.run_id}: done before")
    return done


def compute(cell: Cell, evaluate: Callable[[Cell, meta.TrainState], list[Table]]) -> Result:
    """Trains and evaluates a cell."""
    began, commit = time.perf_counter(), records.commit()
    trained = train(cell)
    tables = evaluate(cell, trained.state)
    provenance = records.provenance(
        cell.run_id,
        seed=cell.seed,
        device=device_name(),
        gin_text=cell.gin_text,
        wall_s=time.perf_counter() - began,
        compile_s=trained.compile_s,
        commit=commit,
    )
    return Result(tables, provenance | {"resumed_at_step": trained.start, "train_s": round(trained.train_s, 3)})


def record(cell: Cell, result: Result) -> None:
    """Writes a cell's rows and provenance, and that it is done; of several processes the first does."""
    if not devices.is_first():
        return
    for table in result.tables:
        if table.rows:
            records.append(cell.csv.with_name(f"{cell.experiment}{table.suffix}.csv"), table.rows, table.columns)
    records.append_provenance(cell.csv.with_suffix(".provenance.jsonl"), result.provenance)
    _marker(cell).parent.mkdir(parents=True, exist_ok=True)
    _marker(cell).touch()
    rows = result.tables[0].rows
    psnr = np.mean([float(row["psnr_db"]) for row in rows])
    print(f"{cell.run_id}: {psnr:.2f} dB over {len(rows)} rows, {result.provenance['wall_s']:.0f} s", flush=True)


def _marker(cell: Cell) -> pathlib.Path:
    """A file that is there once a cell's rows have been written."""
    return cell.folder / f"{cell.run_id}.done"


def device_name() -> str:
    """Number and kind of the devices in use."""
    device = jax.devices()[0]
    kind = device.device_kind
    if device.platform == "cpu":
        cpuinfo = pathlib.Path("/proc/cpuinfo")  # Linux alone has it.
        lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
        kind = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), kind)
    return f"{jax.device_count()} x {device.platform} ({kind})"


def train(cell: Cell) -> Trained:
    """Trains a cell, from where its last checkpoint is.

    Raises:
      FloatingPointError: where loss or gradient are not finite; the last good checkpoint stays.
    """
    training, stop = cell.training, cell.stop_step
    mesh = devices_for(training.batch_size)
    cell.folder.mkdir(parents=True, exist_ok=True)
    gin_file = cell.folder / "operative.gin"
    with records.replaced(gin_file) as out:
        out.write(cell.gin_text)

    state = first_state(cell, mesh)
    if stop == 0:
        return Trained(state, 0, 0.0, 0.0)
    statics = ("train", for_any_budget(cell.learner), cell.optimizer, training)
    program = functools.partial(compiled, step_of(cell, mesh), statics, donate_argnums=0)
    batches = data.batches(cell.signals["train"], training.batch_size, cell.seed)
    # Rounds of pruning are evaluated one after the other: the state after each stays.
    keep_period = getattr(cell.learner.controller, "round_steps", None)
    with Checkpoints(cell.folder / "checkpoints", keep_period=keep_period) as checkpoints:
        start = devices.agreed(checkpoints.latest_step_by(stop) or 0)
        if start:
            state = checkpoints.restore(start, state)
        seed, began = np.int32(cell.seed), time.perf_counter()
        for first in {start, max(start, training.coarse_steps)} & set(range(start, stop)):
            program(state, *batch(cell, batches, first, mesh), seed)
        compile_s, began = time.perf_counter() - began, time.perf_counter()
        unchecked = []
        with Progress(cell.run_id, stop, start) as progress:
            for step in range(start, stop):
                arguments = (state, *batch(cell, batches, step, mesh), seed)
                state, logged = program(*arguments)(*arguments)
                unchecked.append((step, logged))
                save = (step + 1) % training.checkpoint_every == 0 or step + 1 == stop
                # Reading a value waits for its step, so values are read a few steps at a time.
                if save or len(unchecked) == 20:
                    values = _check(unchecked, gin_file, checkpoints.latest_step())
                    progress.show(step + 1, {name: values[name] for name in SHOWN if name in values})
                    unchecked = []
                if save:
                    checkpoints.save(step + 1, state)
        train_s = time.perf_counter() - began
    return Trained(state, start, compile_s, train_s)


def first_state(cell: Cell, mesh: Mesh) -> meta.TrainState:
    """`meta.init_state` of the cell, on every device."""
    optimizer = cell.optimizer.build(cell.training.outer_steps)
    init = functools.partial(meta.init_state, cell.learner, optimizer, cell.seed)
    # Jitted, so that no two leaves share a buffer: the step takes them over.
    return jax.jit(init, out_shardings=NamedSharding(mesh, PartitionSpec()))(cell.coords)


def step_of(cell: Cell, mesh: Mesh) -> Callable:
    """`meta.train_step` as the cell has it: of state, coordinates, targets and seed."""
    training = cell.training
    signals = memory.signals_at_a_time(training.chunk_size, cell.learner.field, cell.points)
    return functools.partial(
        meta.train_step,
        learner=cell.learner,
        optimizer=cell.optimizer.build(training.outer_steps),
        outer_steps=training.outer_steps,
        mesh=mesh,
        chunk_size=divisor(signals, training.batch_size // mesh.size),
    )


def for_any_budget(learner: MetaLearner) -> MetaLearner:
    """The learner as a compilation sees it, to which the budget is data."""
    if not learner.learns_gates:
        return learner
    return dataclasses.replace(learner, controller=dataclasses.replace(learner.controller, budget=1))


_COMPILED = {}


def compiled(fn: Callable, statics: Hashable, *arguments, **options) -> Callable:
    """`fn` compiled for arguments like these, from memory where another cell has compiled it before.

    Args:
      fn: to compile.
      statics: all that decides the computation besides the shapes of `arguments`.
      *arguments: examples.
      **options: for `jax.jit`.
    """
    leaves, structure = jax.tree.flatten(arguments)
    key = (statics, structure, tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves))
    if key not in _COMPILED:
        _COMPILED[key] = jax.jit(fn, **options).lower(*arguments).compile()
    return _COMPILED[key]


def batch(cell: Cell, batches, step: int, mesh: Mesh) -> Points:
    """Coordinates and targets of an outer step, a function of seed and step alone, laid out as the step wants them."""
    rng = np.random.default_rng([cell.seed, step])
    points = cell.modality.draw(
        batches[step], cell.resolution, cell.training.sampling(cell.learner.inner_steps, step), rng
    )
    each = NamedSharding(mesh, PartitionSpec(meta.SIGNALS))
    shared = NamedSharding(mesh, PartitionSpec())
    own_points = points.coords.ndim == points.targets.ndim
    return Points(devices.placed(points.coords, each if own_points else shared), devices.placed(points.targets, each))


def _check(unchecked: list, gin_file: pathlib.Path, good: int | None) -> dict[str, float]:
    """The last step's values, once all are seen to be finite."""
    for step, logged in unchecked:
        values = {name: float(value) for name, value in logged.items()}
        if not (np.isfinite(values["mse"]) and np.isfinite(values["gradient_norm"])):
            last = "none" if good is None else f"step {good}"
            raise FloatingPointError(
                f"loss {values['mse']} with gradient norm {values['gradient_norm']} at outer step {step}; "
                f"reproduce with --gin_file={gin_file}; last good checkpoint: {last}"
            )
    return values
