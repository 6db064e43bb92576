"""Redraws figures and tables from the CSVs: `python -m benchmarks.plot [NAME...]`. Imports no JAX."""

import importlib
import pathlib
import sys

from absl import app, flags

from benchmarks.catalogue import CATALOGUE
from benchmarks.records import REPOSITORY

_PRESET = flags.DEFINE_string("preset", "quick", "Which results to draw: a folder below --results_dir.")
_RESULTS_DIR = flags.DEFINE_string("results_dir", str(REPOSITORY / "results"), "Where the CSVs are.")
_PLOTS_DIR = flags.DEFINE_string("plots_dir", str(REPOSITORY / "plots"), "Where figures and tables go.")


def main(argv: list[str]) -> None:
    """Draws the benchmarks named, or all of which there are rows."""
    names = argv[1:] or list(CATALOGUE)
    results, plots = pathlib.Path(_RESULTS_DIR.value), pathlib.Path(_PLOTS_DIR.value)
    for name in names:
        if name not in CATALOGUE:
            sys.exit(f"error: no benchmark {name!r}; there are {', '.join(CATALOGUE)}")
        csv = results / _PRESET.value / f"{name}.csv"
        if not csv.exists():
            if argv[1:]:
                sys.exit(f"error: no rows to draw: {csv} is missing; run python -m benchmarks run --only {name} first")
            continue
        for figure in CATALOGUE[name].figures:
            module = importlib.import_module(f"benchmarks.figures.{figure}")
            try:
                written = module.draw(results, plots, _PRESET.value)
            except ValueError as error:
                sys.exit(f"error: {error}")
            for path in written:
                print(path)


if __name__ == "__main__":
    app.run(main)
