"""`python -m benchmarks` lists the benchmarks; `python -m benchmarks run` runs them all and draws every figure."""

import os
import pathlib
import sys
import time

import rich.console
import rich.table
from absl import app, flags

from benchmarks import launch, records
from benchmarks.catalogue import CATALOGUE

PRESETS = ("smoke", "quick", "paper")

_PRESET = flags.DEFINE_enum("preset", "quick", PRESETS, "Size of the runs.")
_ONLY = flags.DEFINE_multi_enum("only", [], list(CATALOGUE), "Benchmark to run; repeatable. All by default.")
_SEEDS = flags.DEFINE_integer("seeds", 1, "Seeds 0..N-1 of each run.", lower_bound=1)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Prepared local copies of data sets (default $MSCN_DATA_DIR).")
_RESULTS_DIR = flags.DEFINE_string("results_dir", str(records.REPOSITORY / "results"), "Where CSVs go.")
_PLOTS_DIR = flags.DEFINE_string("plots_dir", str(records.REPOSITORY / "plots"), "Where figures and tables go.")
_RUNS_DIR = flags.DEFINE_string("runs_dir", str(records.REPOSITORY / "runs"), "Where checkpoints and logs go.")
_ENGINE = flags.DEFINE_enum("engine", "process", ["process", "ray"], "Where the cells of the grids run.")
_ADDRESS = flags.DEFINE_string(
    "address", None, "Of the Ray cluster, host:port (default: $RAY_ADDRESS, one running here, or this machine alone)."
)
_TASK_CPUS = flags.DEFINE_integer("task_cpus", 2, "Cores of a cell's run on Ray.", lower_bound=1)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print what would run, its memory and FLOPs; run nothing.")


def main(argv: list[str]) -> None:
    """Lists, or runs and draws."""
    if argv[1:] == ["run"]:
        _run()
    elif argv[1:]:
        sys.exit(f"error: unexpected {' '.join(argv[1:])!r}; there are `python -m benchmarks` and `... benchmarks run`")
    else:
        _list()


def _list() -> None:
    """Prints every benchmark, with the rows present for each preset."""
    table = rich.table.Table()
    for column in ("benchmark", "paper object", "data sets", "methods", "expected time", "rows present"):
        table.add_column(column, no_wrap=column == "benchmark")
    for name, entry in CATALOGUE.items():
        times = "\n".join(f"{preset}: {entry.expected[preset]}" for preset in PRESETS)
        rows = "\n".join(f"{preset}: {_rows(name, preset)}" for preset in PRESETS)
        table.add_row(name, entry.paper, entry.datasets, entry.methods, times, rows)
    rich.console.Console(width=120).print(table)


def _rows(name: str, preset: str) -> int:
    path = pathlib.Path(_RESULTS_DIR.value) / preset / f"{name}.csv"
    return sum(1 for _ in path.open()) - 1 if path.exists() else 0


def _run() -> None:
    """Runs the benchmarks one after the other, draws, and says where everything is."""
    began = time.monotonic()
    names = [name for name in CATALOGUE if not _ONLY.value or name in _ONLY.value]
    # Benchmarks run from the repository's root; a path is meant from where the user stands.
    results, plots, runs = (pathlib.Path(flag.value).resolve() for flag in (_RESULTS_DIR, _PLOTS_DIR, _RUNS_DIR))
    data = _DATA_DIR.value or os.environ.get("MSCN_DATA_DIR")
    common = [f"--results_dir={results}", f"--runs_dir={runs}", f"--seeds={_SEEDS.value}"]
    common += [f"--data_dir={pathlib.Path(data).expanduser().resolve()}"] if data else []
    common += ["--dry_run"] if _DRY_RUN.value else []
    common += [f"--engine={_ENGINE.value}", f"--task_cpus={_TASK_CPUS.value}"]
    common += [f"--address={_ADDRESS.value}"] if _ADDRESS.value else []
    for name in names:
        print(f"== {name}: {CATALOGUE[name].paper} (expected: {CATALOGUE[name].expected[_PRESET.value]})", flush=True)
        gin_files = [f"--gin_file=gin/{name}.gin", f"--gin_file=gin/presets/{_PRESET.value}.gin"]
        launch.python(f"benchmarks.{name}", *gin_files, *common, compile_fast=_PRESET.value == "smoke")
    if _DRY_RUN.value:
        return
    print("== figures and tables", flush=True)
    launch.python(
        "benchmarks.plot", *names, f"--preset={_PRESET.value}", f"--results_dir={results}", f"--plots_dir={plots}"
    )
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    print(
        f"CSVs in {results / _PRESET.value}, figures and tables in {plots / _PRESET.value}; {minutes} min {seconds} s"
    )


if __name__ == "__main__":
    app.run(main)
