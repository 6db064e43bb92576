"""Draws all that belongs to one benchmark; a function of files alone, so that several may run side by side."""

import importlib
import pathlib

from benchmarks import looks
from benchmarks.catalogue import CATALOGUE
from benchmarks.figures import output, style, verdict
from benchmarks.figures.results import Results
from benchmarks.report import page

VERDICT, REPORT = "verdict", "report"
"""What is drawn from the rows of several benchmarks."""


def draw(name: str, results: pathlib.Path, plots: pathlib.Path) -> list[pathlib.Path]:
    """Draws a benchmark's figures and tables, the verdict or the report, and returns the files.

    Args:
      name: of the benchmark, `VERDICT` or `REPORT`.
      results: folder of the CSVs of a preset.
      plots: folder of its figures and tables.

    Raises:
      ValueError: for rows that cannot be drawn, with their file.
    """
    style.use(looks.read(results / "methods.json"))
    found = Results(results)
    if name == VERDICT:
        return output.write(verdict.draw(found), plots)
    if name == REPORT:
        return output.write({"report.html": page.build(found, plots)}, plots)
    paths = []
    for figure in CATALOGUE[name].figures:
        module = importlib.import_module(f"benchmarks.figures.{figure}")
        try:
            drawn = module.draw(found)
        except ValueError as error:
            named = str(results) in str(error)
            raise ValueError(f"{'' if named else f'{results / name}.csv cannot be drawn: '}{error}") from error
        paths += output.write(drawn, plots)
    return paths
