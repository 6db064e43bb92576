"""Where jobs run: in this process one after the other, or on a Ray cluster (`ray_engine`); what they give is stored."""

import contextlib
import importlib.metadata
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import filelock
import jax
import numpy as np

from benchmarks import cli, collect, dry_run, run_folder
from benchmarks.job import Job
from benchmarks.records import REPOSITORY
from benchmarks.run_folder import Result
from mscn_flax import devices
from mscn_flax.atomic import replaced

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "grain", "gin-config")


def run(benchmark: str, jobs: list[Job]) -> None:
    """Runs the jobs that are not done where the flags say, stores what they give, and collects the results.

    Raises:
      ValueError: where jobs are judged on a split that the preset is not for.
    """
    _check_splits(jobs)
    if cli.dry_run():
        dry_run.show(jobs)
        return
    index, count = cli.shard()
    due = [job for job in part(jobs, index, count) if not done(job)]
    try:
        if cli.on_ray():
            from benchmarks import ray_engine

            ray_engine.run(benchmark, due)
        else:
            for job in due:
                with alone(job) as waited:
                    if not (devices.agreed(waited) and done(job)):
                        store(job, compute(job))
    finally:
        if count == 1 and devices.is_first():
            collect.collect(benchmark, cli.preset(), cli.runs_dir(), cli.results_dir())
    devices.together()  # The first may write for longer than JAX waits at the end.
    if count > 1:
        folders = f"--runs_dir={cli.runs_dir()} --results_dir={cli.results_dir()}"
        collect_all = f"python -m benchmarks collect --preset={cli.preset()} {folders}"
        print(f"part {index} of {count} is done; once all are: {collect_all}")


def part(jobs: Sequence[Job], index: int, count: int) -> list[Job]:
    """Part `index` of `count` parts of the jobs; those that share a training are in one part."""
    trainings = list(dict.fromkeys(job.training for job in jobs))
    chosen = set(trainings[index::count])
    return [job for job in jobs if job.training in chosen]


def _check_splits(jobs: Sequence[Job]) -> None:
    """Keeps results of the test split and of the validation split in folders of their own; preset custom has either.

    Raises:
      ValueError: for rows of the validation split in another preset's folder than tuning, or the other way round.
    """
    wanted = {"tuning": "validation", "custom": None}.get(cli.preset(), "test")
    for job in jobs:
        if wanted and job.split not in (None, wanted):
            raise ValueError(
                f"Training.evaluate_on is {job.split!r}, results of preset {cli.preset()!r} are of the {wanted} split; "
                f"{'leave that to the preset' if wanted == 'validation' else 'tune with --preset=tuning, or with none'}"
            )


def done(job: Job) -> bool:
    """Whether the job has been done, which is said, on the signals that there are now.

    Where its run folder is damaged, or the signals are others, that is said, and it is not done.
    """
    try:
        run = run_folder.load(job.folder)
        found, wrong = run is not None, run and _other_signals(job, run.provenance.get("data"))
    except ValueError as error:
        found, wrong = False, str(error)
    if wrong:
        print(f"{wrong}; the run is done again", file=sys.stderr)
        found = False
    found = bool(devices.agreed(found))
    if found:
        print(f"{job.id}: done before")
        if devices.is_first():
            run_folder.ask_again(job.folder)
    return found


def _other_signals(job: Job, before: str | None) -> str:
    """Says that a job was done on other signals than there are now; empty where it was not, or nobody knows."""
    if before is None:
        return ""
    try:
        now = job.data
    except (ValueError, OSError):  # They are not here any more.
        return ""
    return "" if now == before else f"{job.id} was trained on {before}; now there are {now}"


@contextlib.contextmanager
def alone(job: Job) -> Iterator[bool]:
    """Keeps other programs from the training of a job, whose checkpoints they would share; whether it had to wait."""
    if not devices.is_first():
        yield False
        return
    folder = job.folder.parent / job.training
    folder.mkdir(parents=True, exist_ok=True)
    lock, waited = filelock.FileLock(folder / "training.lock"), False
    try:
        held = lock.acquire(timeout=0)
    except filelock.Timeout:
        print(f"{job.id}: another program trains it; waiting for that", file=sys.stderr, flush=True)
        held, waited = lock.acquire(), True
    with held:
        yield waited


def compute(job: Job) -> Result:
    """Does a job; the result has the provenance that is needed to judge or repeat it."""
    began, at, gin_file = time.perf_counter(), commit(), job.folder / "job.gin"
    if devices.is_first():
        with replaced(gin_file) as out:
            out.write(job.gin)
    try:
        result = job.run()
    except FloatingPointError as error:
        raise FloatingPointError(f"{error}; reproduce with --gin_file={gin_file}") from error
    said = {
        "run_id": job.id,
        "seed": job.seed,
        "wall_s": round(time.perf_counter() - began, 2),
        "compile_s": 0.0,
        "device": device_name(),
        "commit": at,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES if _installed(name)},
        "gin": job.gin,
    }
    said |= {"data": job.data} if job.data else {}
    return result._replace(files=dict(result.files), provenance=said | dict(result.provenance))


def store(job: Job, result: Result) -> None:
    """Writes the run folder of a job; of several processes the first does."""
    if not devices.is_first():
        return
    said = {"finished": run_folder.now()}
    if job.look is not None:
        said["look"] = {"method": job.method} | job.look._asdict()
    run_folder.store(job.folder, job.benchmark, result, dict(result.provenance) | said)
    rows = result.tables[""]
    psnr = [float(row["psnr_db"]) for row in rows if row.get("psnr_db")]
    quality = f"{np.mean(psnr):.2f} dB over " if psnr else ""
    print(f"{job.id}: {quality}{len(rows)} rows, {result.provenance['wall_s']:.0f} s", flush=True)


def _installed(name: str) -> bool:
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False


def commit() -> str:
    """The checked-out commit, marked where code or configuration differ from it; to be asked when a run starts.

    Where there is no checkout, but a copy of the files, what $MSCN_COMMIT says.
    """

    def git(*arguments):
        try:
            done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        except OSError:  # There is no git.
            return ""
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "mscn_flax", "benchmarks", "gin")
    return (git("rev-parse", "HEAD") or os.environ.get("MSCN_COMMIT", "unknown")) + (" with changes" if changed else "")


def device_name() -> str:
    """Number and kind of the devices in use."""
    device = jax.devices()[0]
    kind = device.device_kind
    if device.platform == "cpu":
        cpuinfo = pathlib.Path("/proc/cpuinfo")  # Linux alone has it.
        lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
        kind = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), kind)
    return f"{jax.device_count()} x {device.platform} ({kind})"
