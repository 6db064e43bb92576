"""Redraws figures and tables from the CSVs: `python -m benchmarks.plot [NAME...]`. Imports no JAX.

Without a name all are drawn, and `report.html`, in which they can be looked at.
"""

import concurrent.futures
import functools
import pathlib
import sys

from absl import app, flags

from benchmarks import launch, pages
from benchmarks.catalogue import CATALOGUE
from benchmarks.records import HOME
from mscn_flax import cores

_PRESET = flags.DEFINE_string("preset", "quick", "Which results to draw: a folder below --results_dir.")
_RESULTS_DIR = flags.DEFINE_string("results_dir", str(HOME / "results"), "Where the CSVs are.")
_PLOTS_DIR = flags.DEFINE_string("plots_dir", str(HOME / "plots"), "Where figures and tables go.")


def main(argv: list[str]) -> None:
    """Draws the benchmarks named, or all of which there are rows; says in one line what is wrong."""
    launch.end_with_parent()
    results, plots = (pathlib.Path(flag.value) / _PRESET.value for flag in (_RESULTS_DIR, _PLOTS_DIR))
    try:
        there = _there(results)
        names = _chosen(argv[1:], there, results)
        plots.mkdir(parents=True, exist_ok=True)
        _draw(names, there, results, plots)
        if (results.parent, plots.parent) == (HOME / "results", HOME / "plots"):
            for page in pages.fill(HOME):
                print(page)
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


def _there(results: pathlib.Path) -> list[str]:
    """The benchmarks that there are rows of."""
    return [name for name in CATALOGUE if (results / f"{name}.csv").exists()]


def _chosen(names: list[str], there: list[str], results: pathlib.Path) -> list[str]:
    """The benchmarks to draw; a ValueError says why there are none, or which one cannot be drawn."""
    if results.name == "tuning":
        raise ValueError("results of preset tuning are of the validation split, figures and tables show test signals")
    if unknown := [name for name in names if name not in CATALOGUE]:
        raise ValueError(f"no benchmark {unknown[0]!r}; there are {', '.join(CATALOGUE)}")
    if not there:
        presets = sorted({csv.parent.name for csv in results.parent.glob("*/*.csv") if csv.stem in CATALOGUE})
        known = f"there are {', '.join(presets)}" if presets else "nor of any other preset"
        raise ValueError(f"no results of preset {results.name!r} in {results.parent}; {known}")
    if missing := [name for name in names if name not in there]:
        path = results / f"{missing[0]}.csv"
        raise ValueError(f"no rows to draw: {path} is missing; run python -m benchmarks run --only {missing[0]} first")
    return names or there


def _draw(names: list[str], there: list[str], results: pathlib.Path, plots: pathlib.Path) -> None:
    """Draws the benchmarks and the verdict side by side, and then, where all are drawn, the report of them."""
    # Imported here, so that wrong arguments are refused at once and not after matplotlib's import.
    from benchmarks.figures import drawing

    draw = functools.partial(drawing.draw, results=results, plots=plots)
    with concurrent.futures.ProcessPoolExecutor(len(cores.available())) as pool:
        for paths in pool.map(draw, [*names, drawing.VERDICT]):
            print(*paths, sep="\n")
    if set(names) == set(there):
        print(*draw(drawing.REPORT), sep="\n")


if __name__ == "__main__":
    app.run(main)
