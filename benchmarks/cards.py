"""Writes into the cards of the package's models what was measured: `python -m benchmarks.cards --preset=quick`."""

import pathlib
import sys

import pandas as pd

from benchmarks import cli, csv_files, records, shipped_models
from benchmarks.figures.shipped_models import psnr_column
from mscn_flax import shipped
from mscn_flax.model import load_model


def judged(rows: pd.DataFrame, name: str, model_id: str) -> dict:
    """What the rows say of a model.

    Raises:
      ValueError: where there are none of this very model on all signals that it is to be judged on.
    """
    dataset, _ = shipped.ENTRIES[name].judged_on
    wanted = shipped_models.run_id(name, dataset, model_id)
    ours = rows[rows["run_id"] == wanted]
    if not len(ours):
        raise ValueError(f"no rows of {name} {model_id[:8]}; run python -m benchmarks run --only shipped_models first")
    said = {"judged_on": dataset, "files": len(ours)}
    said |= {"rate": _rounded(ours["bpp"]), "psnr_db": _rounded(ours[psnr_column(name)])}
    accuracy = ours["voxel_accuracy"].dropna()
    return said | ({"voxel_accuracy": _rounded(accuracy)} if len(accuracy) else {})


def write(shelf: shipped.Shelf, rows: pd.DataFrame) -> list[pathlib.Path]:
    """Writes the card of every model that is there; the files.

    Raises:
      ValueError: where there is no model, or no rows of one.
    """
    if not shelf.names():
        raise ValueError(f"no model is in {shelf.folder} yet")
    for name in shelf.names():
        model = load_model(shelf.file(name))
        shelf.write_card(shipped.card(name, model, judged(rows, name, model.id)))
    return [shelf.card_file(name) for name in shelf.names()]


def _rounded(values: pd.Series) -> float:
    return float(f"{values.mean():.4g}")


def main(argv: list[str]) -> None:
    """Writes all cards; says in one line what is wrong."""
    del argv
    try:
        path = cli.results_dir() / cli.preset() / f"{shipped_models.NAME}.csv"
        print(*write(shipped.Shelf(), csv_files.read(path, records.RATE_COLUMNS)), sep="\n")
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    cli.start(main)
