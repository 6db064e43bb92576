"""What one GPU is to show, in order of value and within a fixed time: `python -m benchmarks.gpu --out FOLDER`.

Every part is a process of its own, or several at once, with a time limit, so that one that fails loses no other: speed;
what the precision of products costs in PSNR; which outer rate suits the paper's network; that network on CIFAR-10
(Table 1) and on Kodak (figure 7), for as many steps as the time that is left has room for. After each part all rows and
logs are packed into one file. Needs no TensorFlow where the data sets are exported (`python -m mscn_flax.data export`).
Imports no JAX.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import time
from typing import NamedTuple

import pandas as pd

from benchmarks import launch, records

PRECISIONS = ("float32", "tf32", "bfloat16")

METHODS = {"table1_modulations": ("functa", "mscn"), "fig7_rate_distortion": ("mscn", "coin_pp")}
"""Benchmark -> methods that are trained with the paper's network."""

GRIDS = {"table1_modulations": "table1", "fig7_rate_distortion": "fig7"}
"""Benchmark -> name of its grid in gin."""

PARTS = ("speed", "precision", "trials", *METHODS)

NO_TRIALS = pd.DataFrame(columns=["benchmark", "method", "outer_rate", "psnr_db", "step_s"])

AROUND_TRAINING_S = {"table1_modulations": 75, "fig7_rate_distortion": 110}
"""Benchmark -> seconds for start, compilation and evaluation around the training of the paper's network."""

_SHARING = 1.15
"""What two trainings at once on a device may cost over one after the other."""

_LAST_S = 10
"""Left at the end, for packing."""

SMOKE = {
    "speed": ["speed.sizes=[(8, 3, 2, 8), (16, 3, 2, 8)]", "speed.compared=[(8, 3, 2)]", "speed.repeats=3"],
    "table1_modulations": ["table1/Siren.depth=3", "table1/Siren.width=32", "table1/Training.test_signals=16"],
    "fig7_rate_distortion": [
        *("fig7/Siren.depth=3", "fig7/Siren.width=32", "fig7/Training.test_signals=2"),
        *("fig7/Coding.bits=(5,)", "fig7/Coding.fit_signals=64"),
    ],
    "trials": ["trials.rates=[1e-4]", "trials.steps=8"],
}
"""Benchmark -> bindings that make it small."""

SMOKE_STEPS = 40


class Command(NamedTuple):
    """One process.

    Attributes:
      name: of its log.
      arguments: of `python -m`.
    """

    name: str
    arguments: list[str]


class Session:
    """The parts that have run, and where their results are."""

    def __init__(self, out: pathlib.Path, work: pathlib.Path, seconds: float, smoke: bool):
        """`out`: gets one packed file; `work`: where results and runs lie; `seconds`: until everything has ended."""
        self.out, self.work, self.smoke = out, work, smoke
        self._began, self._seconds = time.monotonic(), seconds
        for folder in ("logs", "gpu"):
            (work / "results" / folder).mkdir(parents=True, exist_ok=True)
        out.mkdir(parents=True, exist_ok=True)

    @property
    def left_s(self) -> float:
        """Seconds until everything has to have ended."""
        return self._seconds - _LAST_S - (time.monotonic() - self._began)

    def run(self, part: str, limit_s: float, commands: list[Command]) -> None:
        """Runs commands at once, stops those that take longer, says how they ended, and packs all results."""
        began, limit_s = time.monotonic(), self.left_s if self.smoke else min(limit_s, self.left_s)
        if limit_s <= 5:
            print(f"{part}: no time left", flush=True)
            return
        logs = [self.work / "results" / "logs" / f"{command.name}.log" for command in commands]
        started = [self._start(command, log) for command, log in zip(commands, logs, strict=True)]
        ends = []
        for process in started:
            try:
                ends.append(process.wait(max(0, limit_s - (time.monotonic() - began))))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # And what it has started.
                process.wait()
                ends.append("stopped")
        print(f"{part}: {time.monotonic() - began:.0f} s, {', '.join(map(_ended, ends))}", flush=True)
        for command, log, end in zip(commands, logs, ends, strict=True):
            if end or self.smoke:
                last = log.read_text().strip().splitlines()[-4:]
                print("\n".join(f"  {command.name}: {line[:300]}" for line in last), flush=True)
        self._pack()

    def _start(self, command: Command, log: pathlib.Path) -> subprocess.Popen:
        environment = launch.environment() | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "PYTHONUNBUFFERED": "1"}
        with log.open("w") as opened:
            return subprocess.Popen(
                [sys.executable, "-m", *command.arguments],
                cwd=records.REPOSITORY,
                env=environment,
                stdout=opened,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def _pack(self) -> None:
        """Everything so far, in the place of what was packed before."""
        with (
            records.replaced(self.out / "results.tar.gz", "wb") as opened,
            tarfile.open(fileobj=opened, mode="w:gz") as tar,
        ):
            tar.add(self.work / "results", "results", filter=lambda file: None if file.name.endswith(".lock") else file)

    def folders(self, results: str = "results") -> list[str]:
        """Flags of a benchmark."""
        return [f"--results_dir={self.work / results}", f"--runs_dir={self.work / 'runs' / results}"]

    def bindings(self, benchmark: str) -> list[str]:
        """Those that make it small, where it is to be."""
        return [f"--gin_param={binding}" for binding in SMOKE[benchmark]] if self.smoke else []


def _ended(end: int | str) -> str:
    return {0: "done"}.get(end, end if isinstance(end, str) else f"failed with status {end}")


def _gin(*files: str) -> list[str]:
    return [f"--gin_file=gin/{file}.gin" for file in files]


def speed(session: Session) -> None:
    """Every size in every precision."""
    arguments = ["benchmarks.speed", *_gin("speed", "presets/gpu"), *session.bindings("speed"), *session.folders()]
    session.run("speed", 130, [Command("speed", arguments)])


def precision(session: Session) -> None:
    """Table 1's cell of preset quick in every precision; rows with the precision go to one file."""
    steps = [f"--gin_param=table1/Training.outer_steps={SMOKE_STEPS}"] if session.smoke else []
    commands = [
        Command(
            f"precision_{products}_{method}",
            [
                "benchmarks.table1_modulations",
                *_gin("table1_modulations", "presets/quick"),
                *session.bindings("table1_modulations"),
                *steps,
                *_bindings("table1", datasets=["cifar10"], methods=[method], budgets=[64], seeds=[0], preset="gpu"),
                f"--gin_param=table1/Siren.products='{products}'",
                "--gin_param=table1/Training.chunk_size=None",
                *session.folders(f"precision/{products}"),
            ],
        )
        for products in PRECISIONS
        for method in METHODS["table1_modulations"]
    ]
    session.run("precision", 120, commands)
    found = []
    for products in PRECISIONS:
        path = session.work / "precision" / products / "gpu" / "table1_modulations.csv"
        if path.exists():
            found.append(pd.read_csv(path).assign(precision=products))
            provenance = path.with_suffix(".provenance.jsonl").read_text()
            with (session.work / "results" / "gpu" / "table1_precision.provenance.jsonl").open("a") as out:
                out.write(provenance)
    if found:
        pd.concat(found).to_csv(session.work / "results" / "gpu" / "table1_precision.csv", index=False)


def _bindings(grid: str, **values) -> list[str]:
    return [f"--gin_param={grid}.{name}={value!r}" for name, value in values.items()]


def trials(session: Session) -> pd.DataFrame:
    """Short trainings of the paper's network at several outer rates; no rows where they could not be made."""
    file = session.work / "results" / "gpu" / "trials.json"
    files = _gin("table1_modulations", "fig7_rate_distortion", "presets/gpu", "gpu_trials")
    small = [binding for benchmark in METHODS for binding in session.bindings(benchmark)] + session.bindings("trials")
    command = ["benchmarks.gpu_trials", *files, *small, *session.folders(), f"--trials_file={file}"]
    session.run("trials", 110, [Command("trials", command)])
    return pd.read_json(file) if file.exists() else NO_TRIALS


def paper_network(session: Session, benchmark: str, tried: pd.DataFrame, training_s: float) -> None:
    """Both methods of a benchmark at once, each at its best rate, for as many steps as fit into so many seconds.

    They share the device, on which a step of both should take little longer than one of each after the other.
    """
    tried = tried[tried["benchmark"] == benchmark].dropna().sort_values("psnr_db").groupby("method").last()
    grid, bindings = GRIDS[benchmark], {}
    if session.smoke:
        bindings = {"Training.outer_steps": SMOKE_STEPS}
    elif set(tried.index) == set(METHODS[benchmark]):
        count = max(100, int(training_s / (_SHARING * tried["step_s"].sum())) // 100 * 100)
        bindings = {"Training.outer_steps": count}
    print(f"{benchmark}: {bindings}\n{tried.to_string()}", flush=True)
    commands = []
    for method in METHODS[benchmark]:
        rate = (
            {}
            if method not in tried.index
            else {"OuterOptimizer.learning_rate": float(tried.loc[method, "outer_rate"])}
        )
        arguments = [
            f"benchmarks.{benchmark}",
            *_gin(benchmark, "presets/gpu"),
            *session.bindings(benchmark),
            *_bindings(grid, methods=[method]),
            *(f"--gin_param={grid}/{name}={value!r}" for name, value in (bindings | rate).items()),
            *session.folders(),
        ]
        commands.append(Command(f"{benchmark}_{method}", arguments))
    session.run(benchmark, training_s + AROUND_TRAINING_S[benchmark], commands)


def main(arguments: list[str] | None = None) -> None:
    """Runs the parts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for results.tar.gz")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/tmp/mscn_gpu"), help="results and runs")
    parser.add_argument("--seconds", type=float, default=540, help="until everything has ended (default 540)")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes of everything, to see that it runs")
    parser.add_argument("--only", action="append", choices=PARTS, help="repeatable (default: every part)")
    options = parser.parse_args(arguments)
    session = Session(options.out, options.work, options.seconds, options.smoke)
    only = options.only or PARTS
    if "speed" in only:
        speed(session)
    if "precision" in only:
        precision(session)
    tried = trials(session) if "trials" in only else NO_TRIALS
    trained = [benchmark for benchmark in METHODS if benchmark in only]
    for index, benchmark in enumerate(trained):
        rest = sum(AROUND_TRAINING_S[other] for other in trained[index:])
        training_s = (session.left_s - rest) / (len(trained) - index)
        paper_network(session, benchmark, tried, training_s)


if __name__ == "__main__":
    main()
