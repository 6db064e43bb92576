"""Values of test signals that table1_modulations keeps for the figures of solids, maps and scenes."""

import pathlib
import zipfile
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.figures import style
from benchmarks.figures.results import Results, of_recipe, told_recipe


class Kept(NamedTuple):
    """The kept values of one data set.

    Attributes:
      name: data set and source, as in names of files.
      dataset: for people.
      title: data set, preset, steps, and the training data where they are others.
      rows: those of the first seed.
      methods: all that have rows.
      budgets: from few numbers per signal to many.
      folder: where the values are.
    """

    name: str
    dataset: str
    title: str
    rows: pd.DataFrame
    methods: list[str]
    budgets: list[int]
    folder: pathlib.Path

    def load(self, label: str) -> np.ndarray | None:
        """Stored values; None where there are none.

        Raises:
          ValueError: where the file is damaged.
        """
        ours = self.rows[[label.startswith(f"{method}_") for method in self.rows["method"]]]
        # Signals and linear codes have no recipe.
        recipes = ours["recipe"].dropna().unique()
        path = self.folder / f"{self.name}_{records.kept_as(label, recipes[-1] if len(recipes) else None)}.npz"
        if not path.exists():
            return None
        try:
            with np.load(path) as arrays:
                return arrays["values"]
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is damaged: {error}") from error


def kept(results: Results) -> list[tuple[Kept, np.ndarray]]:
    """The data sets of which values were kept, each with its original signals."""
    rows = of_recipe(results.rows("table1_modulations", records.MODULATION_COLUMNS))
    rows = rows[rows["seed"] == 0].assign(budget=rows.groupby("run_id")["budget"].transform("max"))
    found = []
    for (dataset, source), part in rows.groupby(["dataset", "source"]):
        about = told_recipe(part), f"{part['outer_steps'].max()} steps, one seed", style.trained_elsewhere(part)
        methods, budgets = (sorted(part[column].unique()) for column in ("method", "budget"))
        title, folder = results.title(dataset, source, *about), results.folder / "table1_modulations_values"
        named = style.named(dataset, source)
        one = Kept(f"{dataset}_{source}", named, title, part, methods, budgets, folder)
        found.append((one, one.load("original")))
    return [(one, original) for one, original in found if original is not None]
