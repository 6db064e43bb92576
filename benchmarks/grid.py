"""What the grids of all benchmarks share: checks of their axes, data sets that are here, the gin text of one job."""

from collections.abc import Collection, Sequence

from benchmarks import cli, records
from benchmarks import search as search  # So that gin knows of it.
from mscn_flax import configuration, data


def check(
    name: str,
    *,
    methods: list[str],
    valid: Collection[str],
    datasets: list[str],
    standin: str | None,
    recipes: Sequence[str] = (),
) -> None:
    """Checks the axes that every grid has.

    Args:
      name: of the grid's gin-configurable function.
      methods: asked for.
      valid: methods that there are.
      datasets: asked for.
      standin: asked for.
      recipes: asked for; none for a grid that has no such axis.

    Raises:
      ValueError: for what there is not, or nothing at all, with the valid choices.
    """
    check_choices(f"{name}.methods", methods, valid)
    check_choices(f"{name}.datasets", datasets, data.DATA_SETS)
    for recipe in recipes:
        check_choices(f"{name}.recipes", [recipe], records.RECIPES)
    if standin is not None:
        check_choices(f"{name}.standin", [standin], data.DATA_SETS)


def check_choices(name: str, chosen: list[str], valid: Collection[str]) -> None:
    """Raises a ValueError that names the valid choices where `chosen` is empty or has another."""
    if not chosen:
        raise ValueError(f"{name} is empty; valid: {', '.join(valid)}")
    for choice in chosen:
        if choice not in valid:
            raise ValueError(f"{name} has {choice!r}; valid: {', '.join(valid)}")


def available(scope: str, datasets: list[str], standin: str | None) -> dict[str, str]:
    """Data set asked for -> itself, or the stand-in where it is not here and there is one; see `find`.

    Data sets that would become the same one are there once.
    """
    found = {}
    for asked in datasets:
        name = find(scope, asked, [] if standin is None else [standin])
        if name not in found.values():
            found[asked] = name
    return found


def find(scope: str, asked: str, standins: Sequence[str], resolution: int | None = None) -> str:
    """The data set, or where it is not here the first of its stand-ins that is, which is said.

    It is here where the split that jobs are judged on is, see `Training.evaluate_on`.

    Raises:
      MissingDataError: where none is; not for a dry run, which needs no data.
    """
    split = configuration.bound("Training.evaluate_on", scope, asked) or "test"
    return _first([asked, *standins], split, resolution)


def _first(names: list[str], split: str, resolution: int | None) -> str:
    """See `find`."""
    name, *standins = names
    known = data.DATA_SETS[name]
    try:
        if not known.embedded:
            data.load(name, split, resolution=resolution or known.resolution)
    except data.MissingDataError as error:
        if standins:
            print(f"{error} Going on with the stand-in {standins[0]}.")
            return _first(standins, split, resolution)
        if not cli.dry_run():
            raise
    return name


def gin_text(scope: Sequence[str], *others: Sequence[str], **alone) -> str:
    """A gin file that repeats one job alone: what was built in its scope, and its benchmark's axes narrowed to it.

    Args:
      scope: names of the job's scope, the benchmark's first; its axes are parameters of a configurable of that name.
      *others: scopes of methods whose networks decide how large the job's is.
      **alone: axis -> the values of the job.
    """
    lines = [f"{scope[0]}/{scope[0]}.{name} = {value!r}" for name, value in alone.items()]
    networks = [("/".join(other), "Siren") for other in others]
    built = configuration.operative(scope[0], "/".join(scope), also=networks)
    return "\n".join([built, "", "# This job alone:", *lines, ""])
