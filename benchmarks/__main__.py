"""`python -m benchmarks` lists the benchmarks; `run`, `collect` and `tune` run and draw, collect, and search."""

import concurrent.futures
import importlib.util
import os
import pathlib
import queue
import sys
import time
from collections.abc import Callable

import rich.console
import rich.table
from absl import flags

from benchmarks import cli, collect, launch, records, run_folder
from benchmarks.catalogue import CATALOGUE
from mscn_flax import cores, devices
from mscn_flax.text import first_line

_ONLY = flags.DEFINE_multi_enum("only", [], list(CATALOGUE), "Benchmark to run; repeatable. All by default.")
_PLOTS_DIR = flags.DEFINE_string("plots_dir", str(records.HOME / "plots"), "Where figures and tables go.")

COMMANDS = ("run", "collect", "tune")


def main(argv: list[str]) -> None:
    """Lists, runs and draws, or collects."""
    command, *more = argv[1:] or [""]
    if more[1:] or not all(command == "tune" and name in CATALOGUE for name in more) or command not in ("", *COMMANDS):
        sys.exit(
            f"error: unexpected {' '.join(argv[1:])!r}; there are {', '.join(COMMANDS)} and the name of a benchmark, "
            "or nothing for the list"
        )
    preset = flags.FLAGS.preset or "quick"
    try:
        if preset not in cli.presets() and command == "run":
            raise ValueError(f"no preset {preset!r}; there are {', '.join(cli.presets())}")
        if cli.dry_run() and command == "collect":
            raise ValueError("--dry_run is for what trains: run, tune and each benchmark by itself")
        names = [name for name in CATALOGUE if name in (_ONLY.value or CATALOGUE)]
        if command == "run":
            _run([name for name in names if _ONLY.value or cli.has_preset(name, preset)], preset)
        elif command == "tune":
            if not more:
                raise ValueError("name what to tune, for example: python -m benchmarks tune table1_modulations")
            if flags.FLAGS.preset not in (None, "tuning"):
                raise ValueError(f"a search is preset tuning's, not {preset}'s: leave --preset out")
            _tune(*more)
        elif command == "collect":
            if not any(any((cli.runs_dir() / preset / name).glob(f"*/{run_folder.RUN}")) for name in names):
                of = f" of {', '.join(names)}" if _ONLY.value else ""
                raise ValueError(f"no run{of} at preset {preset} is done in {cli.runs_dir()}")
            for name in names:
                for path in collect.collect(name, preset, cli.runs_dir(), cli.results_dir()):
                    print(path)
        else:
            _list()
    except cli.MISTAKES as error:
        print(f"error: {first_line(error)}", file=sys.stderr)
        sys.exit(2)


def _list() -> None:
    """Prints every benchmark, with the rows present for each preset."""
    table = rich.table.Table()
    for column in ("benchmark", "paper object", "data sets", "methods", "expected time", "rows present"):
        table.add_column(column, no_wrap=column == "benchmark")
    for name, entry in CATALOGUE.items():
        times = "\n".join(f"{preset}: {expected}" for preset, expected in entry.expected.items())
        there = [preset for preset in cli.presets() if preset not in entry.expected and _rows(name, preset)]
        rows = "\n".join(f"{preset}: {_rows(name, preset)}" for preset in [*entry.expected, *there])
        table.add_row(name, entry.paper, entry.datasets, entry.methods, times, rows)
    rich.console.Console(width=120).print(table)


def _rows(name: str, preset: str) -> int:
    path = cli.results_dir() / preset / f"{name}.csv"
    return max(0, sum(1 for _ in path.open()) - 1) if path.exists() else 0


def _run(names: list[str], preset: str) -> None:
    """Runs the benchmarks, draws, and says where everything is."""
    began, common, took = time.monotonic(), _common(), {}

    def benchmark(name: str) -> None:
        expected, started = CATALOGUE[name].expected.get(preset, "not measured"), time.monotonic()
        print(f"== {name}: {CATALOGUE[name].paper} (expected: {expected})", flush=True)
        launch.python(f"benchmarks.{name}", f"--preset={preset}", *common, compile_fast=preset == "smoke")
        took[name] = time.monotonic() - started

    # What would be run is told in turn, but for smoke, of which nobody reads it all.
    in_turn = cli.spread() or (cli.dry_run() and preset != "smoke")
    together = 1 if in_turn or devices.has_accelerator() else 2
    alone = [name for name in names if CATALOGUE[name].alone and preset != "smoke"]
    _beside(benchmark, [name for name in names if name not in alone], together)
    _beside(benchmark, alone, 1)
    if cli.dry_run() or cli.shard()[1] > 1 or preset == "tuning":
        return
    print("== figures and tables", flush=True)
    started = time.monotonic()
    drawn = [text for flag in ("results_dir", "plots_dir") for text in _handed(flags.FLAGS[flag])]
    launch.python("benchmarks.plot", *names, f"--preset={preset}", *drawn)
    took["figures and tables"] = time.monotonic() - started
    print("== times: " + ", ".join(f"{name} {_minutes(seconds)}" for name, seconds in took.items()))
    plots = pathlib.Path(_PLOTS_DIR.value) / preset
    where = f"CSVs in {cli.results_dir() / preset}, figures and tables in {plots}"
    where += f", all to look at in {plots / 'report.html'}" if names == list(CATALOGUE) else ""
    print(f"{where}; {_minutes(time.monotonic() - began)}")


def _minutes(seconds: float) -> str:
    return "{} min {} s".format(*divmod(round(seconds), 60))


def _beside(run: Callable[[str], None], names: list[str], together: int) -> None:
    """Calls `run` for each name, for so many at a time, each on cores of its own.

    Coding, tracing and compiling keep one core of a program busy: with two programs none is idle meanwhile.
    """
    there = cores.available()
    together = min(together, len(names), len(there))
    shares = queue.SimpleQueue()
    for index in range(together):
        shares.put(there[index::together])

    def pin() -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, shares.get())  # Of this thread and of the processes that it starts.

    pool = concurrent.futures.ThreadPoolExecutor(max(1, together), initializer=pin)
    try:
        list(pool.map(run, names))
    except KeyboardInterrupt:
        launch.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _tune(name: str) -> None:
    """Searches for what suits each method of a benchmark."""
    if not importlib.util.find_spec("optuna"):
        raise ValueError("tune needs Optuna: pip install -r requirements-tuning.txt")
    more = [text for flag in cli.TUNING for text in _handed(flag)]
    launch.python("benchmarks.tune", name, "--preset=tuning", *_common(), *more)


def _common() -> list[str]:
    """The flags that every benchmark gets."""
    if data := os.environ.get("MSCN_DATA_DIR"):
        os.environ["MSCN_DATA_DIR"] = _path(data)
    return [text for flag in cli.SHARED for text in _handed(flag)]


def _handed(flag) -> list[str]:
    """A flag as the benchmarks get it, which run from the repository's root: paths are meant from here."""
    values = flag.value if isinstance(flag.value, list) else [] if flag.value in (None, False) else [flag.value]
    if flag.name.endswith("_dir"):
        values = map(_path, values)
    elif flag.name == "gin_file":  # One that is not here may be the project's.
        values = [_path(value) if pathlib.Path(value).exists() else value for value in values]
    return [f"--{flag.name}={value}" for value in values]


def _path(text: str) -> str:
    return str(pathlib.Path(text).expanduser().resolve())


if __name__ == "__main__":
    cli.start(main, *cli.TUNING)
