"""Where a grid's cells run: in this process, one after the other, or as tasks of a Ray cluster.

A task is one training and all cells that it serves, so that no two processes ever write into one folder of
checkpoints. A worker builds the grid by the benchmark's own `main` with the flags of the process that sent the task:
configuration, scopes and run ids are those of a run in one process. Rows go back to the sender, the only one that
writes CSVs. A task whose worker or machine is lost is sent again and takes up its training at the last checkpoint,
where the machines share the folder of the runs.
"""

import contextlib
import functools
import importlib
import io
import os
import re
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import gin
from absl import flags

from benchmarks import cli, launch, records, runner
from benchmarks.cell import Cell
from mscn_flax.meta import TrainState
from mscn_flax.progress import Progress

RETRIES = 20
"""How often a task is sent again; what takes down every worker shall end some time."""

Evaluate = Callable[[Cell, TrainState], list[runner.Table]]

ENVIRONMENT = ("GLIBC_TUNABLES", "JAX_", "MSCN_", "PYTHONPATH", "TFDS_", "TF_", "XDG_CACHE_HOME", "XLA_")
"""Beginnings of the environment variables that workers get from the process that was started."""


class _Program(NamedTuple):
    """What a worker needs to know to build the grid that this process has built.

    Attributes:
      benchmark: its name.
      arguments: the program's name and its flags.
      folder: that relative paths among them start from.
    """

    benchmark: str
    arguments: tuple[str, ...]
    folder: str


class _Grid(NamedTuple):
    """A benchmark's grid in a worker.

    Attributes:
      cells: by run id.
      evaluate: gives a trained cell's tables.
      scope: of gin, in which the grid was built and is to be run.
    """

    cells: dict[str, Cell]
    evaluate: Evaluate
    scope: list[str]


class _ReachedError(Exception):
    """Ends a benchmark's `main` in a worker, once it has built its grid."""

    def __init__(self, grid: _Grid):
        self.grid = grid


_in_worker = False


def run(cells: list[Cell], evaluate: Evaluate) -> None:
    """Runs every cell where the flags say, and records its rows; what this checkout has done before is left out."""
    for cell in cells:
        _ = cell.gin_text  # Kept from here on: a training adds to what gin calls operative.
    if _in_worker:
        raise _ReachedError(_Grid({cell.run_id: cell for cell in cells}, evaluate, gin.current_scope()))
    if cli.on_ray():
        _run_on_ray([cell for cell in cells if not runner.done_before(cell)])
        return
    for cell in cells:
        if not runner.done_before(cell):
            result = runner.compute(cell, evaluate)
            runner.record(cell, result)


def _run_on_ray(cells: list[Cell]) -> None:
    """Sends the cells as tasks and records their rows as they come.

    Raises:
      ValueError: where no machine of the cluster is large enough.
      RuntimeError: in one line, for the first cell that failed, once all others have ended.
    """
    if not cells:
        return
    trainings = {}
    for cell in cells:
        trainings.setdefault(cell.folder, []).append(cell)
    # The longest first: they may decide when all is done.
    queues = sorted(trainings.values(), key=len, reverse=True)
    program = _Program(cells[0].experiment, tuple(sys.argv), os.getcwd())
    count, done, failures = sum(map(len, queues)), 0, []
    with _cluster() as ray, Progress(f"{program.benchmark} on Ray", count, unit="run") as progress:
        needs = _needs(_machines(ray))
        task = ray.remote(max_retries=RETRIES, **_options(needs))(_compute)
        running = {task.remote(program, [cell.run_id for cell in queue]): queue for queue in queues}
        while running:
            ready, _ = ray.wait(list(running), timeout=5)
            for results in ready:
                queue = running[results]
                try:
                    said, result = ray.get(next(results))
                except StopIteration:
                    del running[results]
                except ray.exceptions.RayError as error:
                    del running[results]
                    failures.append((queue[0], error))
                    print(f"{queue[0].run_id}: failed: {_reason(error)}", file=sys.stderr, flush=True)
                else:
                    print(said, end="")
                    cell, done = queue.pop(0), done + 1
                    if result:
                        runner.record(cell, result)
            if running:
                progress.show(done, {"machines": _able(_machines(ray), needs)})
    if failures:
        cell, error = failures[0]
        raise RuntimeError(
            f"{count - done} of {count} runs failed or follow one that did, the others are recorded; "
            f"{cell.run_id}: {_reason(error)}"
        ) from error


@contextlib.contextmanager
def _cluster() -> Iterator:
    """The module `ray`, connected.

    Raises:
      ValueError: where nothing answers at the address asked for.
    """
    address = cli.address() or os.environ.get("RAY_ADDRESS")
    if found := re.fullmatch(r"(.+):(\d+)", address or ""):
        try:  # Ray would try for minutes, and log it.
            socket.create_connection((found[1], int(found[2])), timeout=10).close()
        except OSError as error:
            raise ValueError(f"no Ray cluster answers at {address}: {error}") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Printed where a machine is lost, with the last lines of its log; two lines that say the same follow.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "^Raylet is terminated")
    import ray
    import ray.exceptions

    variables = launch.environment()
    variables["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([str(records.REPOSITORY), variables["PYTHONPATH"]]))
    # As many devices and threads as the task has cores, see `devices.choose`.
    forced = "xla_force_host_platform_device_count"
    if forced not in variables.get("XLA_FLAGS", ""):
        variables["XLA_FLAGS"] = f"{variables.get('XLA_FLAGS', '')} --{forced}={cli.task_cpus()}".strip()
    handed = {name: value for name, value in variables.items() if name.startswith(ENVIRONMENT)}
    with warnings.catch_warnings():
        # JAX warns of forks; Ray's, where it starts a cluster here, become other programs at once.
        warnings.filterwarnings("ignore", r"os\.fork\(\)", RuntimeWarning)
        ray.init(address, runtime_env={"env_vars": handed}, log_to_driver=False, logging_level="ERROR")
    try:
        yield ray
    finally:
        ray.shutdown()


def _machines(ray) -> list[dict[str, float]]:
    """What each machine that is up has: resource, by Ray's names, -> how much."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _needs(machines: list[dict[str, float]]) -> dict[str, float]:
    """What a training takes: CPU cores, and a GPU or all TPU chips of a machine where there are machines with them.

    Raises:
      ValueError: where no machine has as much.
    """
    needs = {"CPU": cli.task_cpus()}
    if any("GPU" in has for has in machines):
        needs["GPU"] = 1
    elif chips := [has["TPU"] for has in machines if "TPU" in has]:
        needs["TPU"] = min(chips)
    if not _able(machines, needs):
        wanted = ", ".join(f"{name} {count:g}" for name, count in needs.items())
        raise ValueError(f"no machine of the cluster has what a run takes: {wanted}; see --task_cpus")
    return needs


def _able(machines: list[dict[str, float]], needs: dict[str, float]) -> int:
    """How many machines have what a training takes."""
    return sum(all(has.get(name, 0) >= count for name, count in needs.items()) for has in machines)


def _options(needs: dict[str, float]) -> dict:
    """The same as `ray.remote` wants it."""
    more = {name: count for name, count in needs.items() if name not in ("CPU", "GPU")}
    return {"num_cpus": needs["CPU"], "num_gpus": needs.get("GPU", 0), "resources": more}


def _reason(error: Exception) -> str:
    """Why a task has failed, in one line."""
    return cli.in_one_line(getattr(error, "cause", error))


def _compute(program: _Program, run_ids: list[str]) -> Iterator[tuple[str, runner.Result | None]]:
    """In a worker: what each run prints, and what it gives; None where it is recorded already.

    The runs share one training and one folder of checkpoints.

    Raises:
      RuntimeError: in one line, where something is wrong; what has been given counts.
    """
    for run_id in run_ids:
        said = io.StringIO()
        try:
            grid = _grid(program)
            if run_id not in grid.cells:
                raise ValueError(f"{socket.gethostname()} has no such run: does it have the same code and data?")
            cell = grid.cells[run_id]
            # The cell's names, too, are right in the grid's scope alone: defaults are among what gin configures.
            with gin.config_scope(grid.scope), contextlib.redirect_stdout(said), _alone(cell):
                result = None if runner.done_before(cell) else runner.compute(cell, grid.evaluate)
        except cli.MISTAKES as error:
            raise RuntimeError(cli.in_one_line(error)) from error
        yield said.getvalue(), result


def _alone(cell: Cell) -> contextlib.AbstractContextManager:
    """Waits until no other worker trains the cell: one whose machine was taken for lost may still be there."""
    return records.locked(cell.folder / "training")


@functools.cache
def _grid(program: _Program) -> _Grid:
    """The grid, built in this worker as in the process that was started."""
    global _in_worker
    os.chdir(program.folder)
    flags.FLAGS(program.arguments)
    cli.configure(worker=True)
    _in_worker = True
    try:
        importlib.import_module(f"benchmarks.{program.benchmark}").main()
    except _ReachedError as reached:
        return reached.grid
    raise RuntimeError(f"{program.benchmark} ended before its grid")
