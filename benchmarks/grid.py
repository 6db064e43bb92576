"""A benchmark's grid: what may be asked for, which data are here, and the run of all its cells."""

from collections.abc import Callable, Collection, Sequence

from benchmarks import cli, dry_run, engine, runner
from benchmarks.cell import Cell
from mscn_flax import data
from mscn_flax.meta import TrainState


def check(name: str, *, methods: list[str], valid: Collection[str], datasets: list[str], standin: str | None) -> None:
    """Checks the axes that every grid has.

    Args:
      name: of the grid's gin-configurable function.
      methods: asked for.
      valid: methods that there are.
      datasets: asked for.
      standin: asked for.

    Raises:
      ValueError: for what there is not, or nothing at all, with the valid choices.
    """
    check_choices(f"{name}.methods", methods, valid)
    check_choices(f"{name}.datasets", datasets, data.DATA_SETS)
    if standin is not None:
        check_choices(f"{name}.standin", [standin], data.DATA_SETS)


def check_choices(name: str, chosen: list[str], valid: Collection[str]) -> None:
    """Raises a ValueError that names the valid choices where `chosen` is empty or has another."""
    if not chosen:
        raise ValueError(f"{name} is empty; valid: {', '.join(valid)}")
    for choice in chosen:
        if choice not in valid:
            raise ValueError(f"{name} has {choice!r}; valid: {', '.join(valid)}")


def available(datasets: list[str], standin: str | None) -> list[str]:
    """The data sets, each replaced by the stand-in where it is not here and there is one; see `find`."""
    return list(dict.fromkeys(find(name, [] if standin is None else [standin]) for name in datasets))


def find(name: str, standins: Sequence[str], resolution: int | None = None) -> str:
    """The data set, or where it is not here the first of its stand-ins that is, which is said.

    Raises:
      MissingDataError: where none is; not for a dry run, which needs no data.
    """
    known = data.DATA_SETS[name]
    try:
        if not known.embedded:
            data.load(name, "test", resolution=resolution or known.resolution, data_dir=cli.data_dir())
    except data.MissingDataError as error:
        if standins:
            print(f"{error} Going on with the stand-in {standins[0]}.")
            return find(standins[0], standins[1:], resolution)
        if not cli.dry_run():
            raise
    return name


def run(cells: list[Cell], evaluate: Callable[[Cell, TrainState], list[runner.Table]]) -> None:
    """Runs every cell, or shows what would be run where nothing is to be; see `engine.run`.

    Args:
      cells: of the grid.
      evaluate: gives a trained cell's tables, that of the signals' rows first.
    """
    if cli.dry_run():
        dry_run.show(cells)
    else:
        engine.run(cells, evaluate)
