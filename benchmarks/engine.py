"""Where a grid's cells run: in this process, one after the other, or as tasks of a Ray cluster.

A task is one training and all cells that it serves, so that no two processes ever write into one folder of
checkpoints. It runs the benchmark's own `main` with the flags of the process that sent it, up to the grid, and there
its cells alone: configuration, scopes and run ids are those of a run in one process. Rows go back to the sender, the
only one that writes CSVs. A task whose worker or machine is lost is sent again and takes up its training at the last
checkpoint, where the machines share the folder of the runs.
"""

import importlib
import os
import sys
from collections.abc import Callable

from absl import flags

from benchmarks import cli, launch, runner
from benchmarks.cell import Cell
from mscn_flax.meta import TrainState
from mscn_flax.progress import Progress

RETRIES = 5
"""How often a task is sent again."""

Evaluate = Callable[[Cell, TrainState], list[runner.Table]]


class _ReachedError(Exception):
    """Ends a benchmark's `main` in a worker, once its cells have run."""

    def __init__(self, results: dict[str, runner.Result]):
        self.results = results


_mine: frozenset[str] | None = None
"""Run ids of this worker's task; None where this process is no worker."""


def run(cells: list[Cell], evaluate: Evaluate) -> None:
    """Runs every cell where the flags say, and records its rows; what this checkout has done before is left out."""
    for cell in cells:
        _ = cell.gin_text  # Kept from here on: a training adds to what gin calls operative.
    if _mine is not None:
        raise _ReachedError({cell.run_id: runner.compute(cell, evaluate) for cell in cells if cell.run_id in _mine})
    if cli.engine() == "ray":
        _run_on_ray([cell for cell in cells if not runner.done_before(cell)])
        return
    for cell in cells:
        if not runner.done_before(cell):
            result = runner.compute(cell, evaluate)
            runner.record(cell, result)


def _run_on_ray(cells: list[Cell]) -> None:
    """Sends the cells as tasks and records their rows as they come.

    Raises:
      RuntimeError: in one line, for the first cell that failed, once all others have ended.
    """
    if not cells:
        return
    ray = _connected()
    gpus = 1 if ray.cluster_resources().get("GPU") else 0
    # A process for each: gin's state is a process's, and an accelerator's memory is free again after it.
    work = ray.remote(num_cpus=cli.task_cpus(), num_gpus=gpus, max_retries=RETRIES, max_calls=1)(_work)
    trainings: dict[str, list[Cell]] = {}
    for cell in cells:
        trainings.setdefault(str(cell.folder), []).append(cell)
    sent = {}
    for group in trainings.values():
        ids = frozenset(cell.run_id for cell in group)
        sent[work.remote(sys.argv, f"benchmarks.{cells[0].experiment}", ids)] = group
    failed = []
    with Progress(f"{cells[0].experiment} on Ray", len(cells)) as progress:
        while sent:
            (ended,), _ = ray.wait(list(sent), num_returns=1)
            group = sent.pop(ended)
            try:
                results = ray.get(ended)
            except ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None) or error
                failed.append(f"{group[0].run_id}: {str(cause).strip().splitlines()[0]}")
                continue
            for cell in group:
                runner.record(cell, results[cell.run_id])
            waiting = sum(map(len, sent.values()))
            progress.show(len(cells) - waiting, {"failed": len(failed)})
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(trainings)} trainings failed, the first: {failed[0]}")


def _connected():
    """Ray, connected to the cluster of the flags, or to one of this machine alone.

    Raises:
      ValueError: where Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise ValueError("--engine=ray needs Ray: pip install -r requirements-cluster.txt") from error
    names = ("PYTHONPATH", "TF_CPP_MIN_LOG_LEVEL", "TFDS_DATA_DIR", "JAX_COMPILATION_CACHE_DIR", *launch.ALLOCATOR)
    settings = {name: value for name, value in launch.environment().items() if name in names}
    # As many devices as the task has cores, where it has no accelerator.
    devices = f"--xla_force_host_platform_device_count={cli.task_cpus()}"
    settings["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {devices}".strip()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if not ray.is_initialized():
        ray.init(
            address=cli.address(),
            runtime_env={"env_vars": settings},
            log_to_driver=False,
            logging_level="error",
        )
    return ray


def _work(argv: list[str], module: str, ids: frozenset[str]) -> dict[str, runner.Result]:
    """In a worker: the results of one task's cells, by run id."""
    global _mine
    flags.FLAGS(argv)
    cli.configure()
    _mine = ids
    try:
        importlib.import_module(module).main()
    except _ReachedError as reached:
        return reached.results
    raise RuntimeError(f"{module} ended before its grid")
