"""A benchmark's grid: what may be asked for, which data are here, and the run of all its cells."""

from collections.abc import Callable, Collection

from benchmarks import cli, dry_run, runner
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
    """The data sets, each replaced by the stand-in where it is not here and there is one.

    Raises:
      MissingDataError: where there is none; not for a dry run, which needs no data.
    """
    found = []
    for name in datasets:
        try:
            if not data.DATA_SETS[name].embedded:
                data.load(name, "test", resolution=data.DATA_SETS[name].resolution, data_dir=cli.data_dir())
        except data.MissingDataError as error:
            if standin is not None:
                print(f"{error} Going on with the stand-in {standin}.")
                name = standin
            elif not cli.dry_run():
                raise
        if name not in found:
            found.append(name)
    return found


def run(cells: list[Cell], evaluate: Callable[[Cell, TrainState], list[runner.Table]]) -> None:
    """Runs every cell, or shows what would be run where nothing is to be; see `runner.run`."""
    if cli.dry_run():
        dry_run.show(cells)
        return
    for cell in cells:
        runner.run(cell, evaluate)
