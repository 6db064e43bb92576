"""What a figure gets, the rows of one preset, and what it gives: charts, films and tables by name."""

import dataclasses
import pathlib
import sys
from collections.abc import Callable, Hashable, Iterable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import PIL.Image

from benchmarks import csv_files, records
from benchmarks.figures import style

Drawn = dict[str, plt.Figure | list[PIL.Image.Image] | str]
"""Name -> content: a chart by its name without suffix, a film or the text of a table by its file's name."""


@dataclasses.dataclass(frozen=True)
class Results:
    """The results of one preset.

    Attributes:
      folder: `results/<preset>`.
    """

    folder: pathlib.Path
    _known: dict[Hashable, pd.DataFrame] = dataclasses.field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def preset(self) -> str:
        """Name of the preset."""
        return self.folder.name

    def has(self, name: str) -> bool:
        """Whether there is a file of rows of this name."""
        return (self.folder / f"{name}.csv").exists()

    def title(self, dataset: str, source: str, *more: str) -> str:
        """Data set by its name for people, whether it is the real one, and preset, as figures have them."""
        return " · ".join([style.named(dataset, source), f"preset {self.preset}", *filter(None, more)])

    def compared(self, name: str, columns: Iterable[str] = records.COLUMNS) -> pd.DataFrame:
        """The rows of a benchmark, see `rows`, with the recipe in the name of each method, as `style` has it.

        Not where all have the same one. What is compared at equal parameters or FLOPs is a method of its own.
        """
        rows = self.rows(name, columns)
        more = pd.Series("", rows.index)
        if rows["recipe"].nunique() > 1:
            more += rows["recipe"].fillna("")
        if "equal" in rows:
            wider = rows["equal"].isin(records.EQUAL[1:])
            more = more.where(~wider, more + np.where(more == "", "", ", ") + "equal " + rows["equal"].astype(str))
        return rows.assign(method=rows["method"] + np.where(more == "", "", style.RECIPE) + more)

    def rows(self, name: str, columns: Iterable[str] = records.COLUMNS) -> pd.DataFrame:
        """The rows of a benchmark, which have at least `columns`; a file is read once.

        Of a method for a data set that was trained on several others, those of the one that is most real alone.

        Raises:
          ValueError: where there are no rows, or the file is damaged.
        """
        path = self.folder / f"{name}.csv"
        rows = self.once((name, tuple(columns)), lambda: _trained_alike(csv_files.read(path, columns), path))
        if not len(rows):
            raise ValueError(f"no rows to draw: {path} {'has none' if path.exists() else 'is missing'}")
        return rows

    def once(self, key: Hashable, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """What `make` gives, made at the first call with this key; what a caller does not change is shared."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key].copy(deep=False)


def _trained_alike(rows: pd.DataFrame, path: pathlib.Path) -> pd.DataFrame:
    """The rows without those of a method that was trained on something else besides; it says which it leaves out.

    A mean over both would mean nothing.
    """
    if "trained_on" not in rows:
        return rows
    kept = pd.Series(True, rows.index)
    for (dataset, source, method), part in rows.groupby(["dataset", "source", "method"]):
        on = part["trained_on"].value_counts()
        if len(on) > 1:
            rank = {f"({one})": index for index, one in enumerate(style.SOURCES)}
            most = min(on.index, key=lambda name: (rank.get(name.rpartition(" ")[2], len(rank)), -on[name]))
            left_out = sorted(set(on.index) - {most})
            kept[part.index[part["trained_on"].isin(left_out)]] = False
            about = f"{dataset} ({source}) has rows of {method} trained on {most}; left out are those trained on"
            print(f"{path}: {about} {', '.join(left_out)}", file=sys.stderr)
    return rows[kept]


def of_recipe(rows: pd.DataFrame, which: int = -1) -> pd.DataFrame:
    """The rows of one of the recipes that each data set has, of networks as gin has them.

    Values and pictures are kept of the last recipe, those of figure 3 of the first, which has all its methods.

    Args:
      rows: of one benchmark.
      which: index among the recipes that there are.
    """
    left = rows["recipe"].isna()
    for _, part in rows.groupby(["dataset", "source"]):
        there = [name for name in records.RECIPES if (part["recipe"] == name).any()]
        left[part.index] |= part["recipe"] == (there[which] if there else "")
    return rows[left & ~rows["equal"].isin(records.EQUAL[1:])] if "equal" in rows else rows[left]


def told_recipe(rows: pd.DataFrame) -> str:
    """The recipe of some rows as titles have it; empty where they have none, or several."""
    found = rows["recipe"].dropna().unique()
    return f"recipe {found[0]}" if len(found) == 1 else ""
