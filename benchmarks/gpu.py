"""What one GPU is to show, in order of value and within a fixed time: `python -m benchmarks.gpu --out FOLDER`.

Every part is a process of its own, or several at once, with a time limit, so that one that fails loses no other: speed;
what the precision of products costs in PSNR; which outer rate suits the paper's network; that network on CIFAR-10
(Table 1) and on Kodak (figure 7), for as many steps as the time that is left has room for. After each part all rows and
logs are packed into one file. Needs no TensorFlow where the data sets are exported (`python -m mscn_flax.data export`).
Imports no JAX.
"""

import argparse
import functools
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

LIMITS_S = {"speed": 130, "precision": 110, "trials": 110}
"""Part -> seconds at most."""

AROUND_TRAINING_S = {"table1_modulations": 75, "fig7_rate_distortion": 110}
"""Benchmark -> seconds for start, compilation and evaluation around the training of the paper's network."""

_SHARING = 1.15
"""What two trainings at once on a device may cost over one after the other."""

_LAST_S = 10
"""Left at the end, for packing."""

SMOKE = {
    "speed": ["speed.sizes=[(8, 3, 2, 8), (16, 3, 2, 8)]", "speed.compared=[(8, 3, 2)]", "speed.repeats=3"],
    "table1_modulations": [
        *("table1/Siren.depth=3", "table1/Siren.width=32", "table1/Training.test_signals=16"),
        "table1/Training.outer_steps=40",
    ],
    "fig7_rate_distortion": [
        *("fig7/Siren.depth=3", "fig7/Siren.width=32", "fig7/Training.test_signals=2"),
        *("fig7/Coding.bits=(5,)", "fig7/Coding.fit_signals=64", "fig7/Training.outer_steps=40"),
    ],
    "trials": ["trials.rates=[1e-4]", "trials.steps=8"],
}
"""Benchmark -> bindings that make it small."""


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
        began, limit_s = time.monotonic(), min(limit_s, self.left_s)
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
                last = log.read_text().strip().splitlines()[-2 if self.smoke else -6 :]
                print("\n".join(f"  {command.name}: {line[:300]}" for line in last), flush=True)
        self.pack()

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

    @property
    def trials_file(self) -> pathlib.Path:
        """What `gpu_trials` writes."""
        return self.work / "results" / "gpu" / "trials.json"

    def tried(self, benchmark: str) -> pd.DataFrame:
        """The best trial of each method, which is the index; none where they were not made."""
        if not self.trials_file.exists():
            return pd.DataFrame()
        rows = pd.read_json(self.trials_file).dropna()
        return rows[rows["benchmark"] == benchmark].sort_values("psnr_db").groupby("method").last()

    def pack(self) -> None:
        """Everything so far, in the place of what was packed before."""
        gather_precisions(self)
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


def speed(session: Session) -> list[Command]:
    """Every size in every precision."""
    arguments = ["benchmarks.speed", *_gin("speed", "presets/gpu"), *session.bindings("speed"), *session.folders()]
    return [Command("speed", arguments)]


def precision(session: Session) -> list[Command]:
    """Table 1's cell of preset quick in every precision, with 64 numbers."""
    common = [
        "benchmarks.table1_modulations",
        *_gin("table1_modulations", "presets/quick"),
        *session.bindings("table1_modulations"),
        *_bindings("table1", datasets=["cifar10"], budgets=[64], seeds=[0], preset="gpu"),
        "--gin_param=table1/Training.chunk_size=None",
    ]
    return [
        Command(
            f"precision_{products}_{method}",
            [
                *common,
                *_bindings("table1", methods=[method]),
                f"--gin_param=table1/Siren.products='{products}'",
                *session.folders(f"precision/{products}"),
            ],
        )
        for products in PRECISIONS
        for method in METHODS["table1_modulations"]
    ]


def gather_precisions(session: Session) -> None:
    """Rows of all precisions, which they name, in one file, and their provenance."""
    target = session.work / "results" / "gpu" / "table1_precision.csv"
    paths = [session.work / "precision" / products / "gpu" / "table1_modulations.csv" for products in PRECISIONS]
    found = {products: path for products, path in zip(PRECISIONS, paths, strict=True) if path.exists()}
    if not found:
        return
    rows = [pd.read_csv(path).assign(precision=products) for products, path in found.items()]
    pd.concat(rows).to_csv(target, index=False)
    provenance = [path.with_suffix(".provenance.jsonl").read_text() for path in found.values()]
    target.with_suffix(".provenance.jsonl").write_text("".join(provenance))


def trials(session: Session) -> list[Command]:
    """Short trainings of the paper's network at several outer rates."""
    files = _gin("table1_modulations", "fig7_rate_distortion", "presets/gpu", "gpu_trials")
    small = [binding for benchmark in ("trials", *METHODS) for binding in session.bindings(benchmark)]
    file = f"--trials_file={session.trials_file}"
    return [Command("trials", ["benchmarks.gpu_trials", *files, *small, *session.folders(), file])]


def paper_network(session: Session, benchmark: str, training_s: float = 0.0) -> list[Command]:
    """Both methods of a benchmark, each at its best rate, for as many steps as fit into so many seconds.

    They share the device, on which a step of both should take little longer than one of each after the other. Without
    trials the preset's rate and steps stand.
    """
    tried, bindings = session.tried(benchmark), {}
    if set(tried.index) == set(METHODS[benchmark]) and training_s:
        count = max(100, int(training_s / (_SHARING * tried["step_s"].sum())) // 100 * 100)
        bindings = {"Training.outer_steps": count}
        print(f"{benchmark}: {count} steps\n{tried.to_string()}", flush=True)
    commands = []
    for method in METHODS[benchmark]:
        rate = {}
        if method in tried.index:
            rate = {"OuterOptimizer.learning_rate": float(tried.loc[method, "outer_rate"])}
        arguments = [
            f"benchmarks.{benchmark}",
            *_gin(benchmark, "presets/gpu"),
            *_bindings(GRIDS[benchmark], methods=[method]),
            *(f"--gin_param={GRIDS[benchmark]}/{name}={value!r}" for name, value in (bindings | rate).items()),
            *session.bindings(benchmark),
            *session.folders(),
        ]
        commands.append(Command(f"{benchmark}_{method}", arguments))
    return commands


def _bindings(grid: str, **values) -> list[str]:
    return [f"--gin_param={grid}.{name}={value!r}" for name, value in values.items()]


def main(arguments: list[str] | None = None) -> None:
    """Runs the parts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for results.tar.gz")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/tmp/mscn_gpu"), help="results and runs")
    parser.add_argument("--seconds", type=float, default=540, help="until everything has ended (default 540)")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes of everything at once, to see that it runs")
    parser.add_argument("--only", action="append", choices=PARTS, help="repeatable (default: every part)")
    options = parser.parse_args(arguments)
    session = Session(options.out, options.work, options.seconds, options.smoke)
    parts = {"speed": speed, "precision": precision, "trials": trials}
    parts |= {benchmark: functools.partial(paper_network, benchmark=benchmark) for benchmark in METHODS}
    parts = {name: part for name, part in parts.items() if name in (options.only or PARTS)}
    if options.smoke:
        session.run("smoke", options.seconds, [command for part in parts.values() for command in part(session)])
        return
    trained = [benchmark for benchmark in METHODS if benchmark in parts]
    for name, part in parts.items():
        if name not in METHODS:
            session.run(name, LIMITS_S[name], part(session))
            continue
        ahead = trained[trained.index(name) :]
        training_s = (session.left_s - sum(AROUND_TRAINING_S[other] for other in ahead)) / len(ahead)
        session.run(name, training_s + AROUND_TRAINING_S[name], part(session, training_s=training_s))


if __name__ == "__main__":
    main()
