"""Jobs as tasks of a Ray cluster.

A task is one training and all jobs that it serves, so that no two processes ever write into one folder of
checkpoints. A worker gets the jobs themselves, as values. What they give goes back to the sender, the only one that
stores it. A task whose worker or machine is lost is sent again and takes up its training at the last checkpoint, where
the machines share the folder of the runs.
"""

import contextlib
import importlib
import io
import os
import re
import socket
import sys
import warnings
from collections.abc import Iterator

from benchmarks import cli, collect, engine, launch
from benchmarks.job import Job
from benchmarks.records import REPOSITORY
from benchmarks.run_folder import Result
from mscn_flax import configuration, devices
from mscn_flax.progress import Progress
from mscn_flax.text import first_line

RETRIES = 20
"""How often a task is sent again; a task that takes down every worker shall end some time."""

ENVIRONMENT = ("GLIBC_TUNABLES", "JAX_", "MSCN_", "PYTHONPATH", "TFDS_", "TF_", "XDG_CACHE_HOME", "XLA_")
"""Beginnings of the environment variables that workers get from the process that was started."""


def run(benchmark: str, jobs: list[Job]) -> None:
    """Sends the jobs as tasks and stores what they give as it comes.

    Raises:
      ValueError: where no machine of the cluster is large enough.
      RuntimeError: in one line, for the first job that failed, once all others have ended.
    """
    if not jobs:
        return
    trainings = {}
    for job in jobs:
        trainings.setdefault(job.training, []).append(job)
    # The longest first: they may decide when all is done.
    queues = sorted(trainings.values(), key=len, reverse=True)
    count, done, failures = len(jobs), 0, []
    with _cluster() as ray, Progress(f"{benchmark} on Ray", count, unit="run") as progress:
        needs = _needs(_machines(ray))
        task = ray.remote(max_retries=RETRIES, **_options(needs))(_compute)
        common = (str(cli.runs_dir().resolve()), configuration.imported())
        running = {task.remote(queue, *common): queue for queue in queues}
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
                    print(f"{queue[0].id}: failed: {_reason(error)}", file=sys.stderr, flush=True)
                else:
                    print(said, end="")
                    job, done = queue.pop(0), done + 1
                    engine.store(job, result)
            if running:
                progress.show(done, {"machines": _able(_machines(ray), needs)})
    if failures:
        job, error = failures[0]
        raise RuntimeError(
            f"{count - done} of {count} runs failed or follow one that did, the others are stored; "
            f"{job.id}: {_reason(error)}"
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
    # Jobs may hold functions of modules that lie beside a gin file.
    known = [str(REPOSITORY), variables["PYTHONPATH"], *sys.path]
    variables["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, known)))
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
    return first_line(getattr(error, "cause", error))


def _compute(jobs: list[Job], runs_dir: str, modules: list[str]) -> Iterator[tuple[str, Result]]:
    """In a worker: what each job prints, and what it gives.

    Raises:
      RuntimeError: in one line, where something is wrong; what has been given counts.
    """
    for module in modules:  # They may register data sets and file codecs.
        importlib.import_module(module)
    devices.choose()
    cli.set_runs_dir(runs_dir)
    for job in jobs:
        said = io.StringIO()
        try:
            if job.cell != collect.cell_of(job.id):
                raise ValueError(f"{socket.gethostname()} has no such run: does it have the same data?")
            # Another worker whose machine was taken for lost may still be training this.
            with contextlib.redirect_stdout(said), engine.alone(job):
                result = engine.compute(job)
        except cli.MISTAKES as error:
            raise RuntimeError(first_line(error)) from error
        yield said.getvalue(), result
