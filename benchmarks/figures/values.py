"""Values of test signals that table1_modulations keeps for the figures of solids, maps and scenes."""

import pathlib
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.figures import style

METHODS = ("functa", "mscn")


class Kept(NamedTuple):
    """What there is of one data set.

    Attributes:
      dataset: its name.
      source: real, subset or standin.
      rows: of the first seed.
      folder: of the values.
    """

    dataset: str
    source: str
    rows: pd.DataFrame
    folder: pathlib.Path

    @property
    def budgets(self) -> list[int]:
        """From few modulations to many."""
        return sorted(self.rows["budget"].unique())

    def title(self, preset: str) -> str:
        """Data set and preset, and what was trained on where it is another."""
        trained_on = self.rows["trained_on"].iloc[0]
        more = [] if trained_on.startswith(self.dataset) else [f"trained on {style.trained_on(trained_on)}"]
        steps = self.rows["outer_steps"].iloc[0]
        return style.title(self.dataset, self.source, preset, f"{steps} steps, one seed", *more)

    def load(self, label: str) -> np.ndarray | None:
        """Stored values; None where there are none."""
        path = self.folder / f"{self.dataset}_{self.source}_{label}.npz"
        if not path.exists():
            return None
        with np.load(path) as arrays:
            return arrays["values"]

    def quality(self, method: str, budget: int, signal: int, column: str) -> float:
        """A row's figure of quality; NaN where there is no row."""
        found = self.rows[(self.rows["method"] == method) & (self.rows["budget"] == budget)]
        found = found[found["signal_id"] == signal][column]
        return float(found.iloc[0]) if len(found) else float("nan")


def kept(results: pathlib.Path, preset: str, label: str) -> list[Kept]:
    """The data sets of which values of `label` were kept."""
    rows = records.read(results / preset / "table1_modulations.csv", records.MODULATION_COLUMNS)
    rows = rows[rows["seed"] == 0].assign(budget=rows.groupby("run_id")["budget"].transform("max"))
    folder = results / preset / "table1_modulations_values"
    found = [Kept(*name, part, folder) for name, part in rows.groupby(["dataset", "source"])]
    return [one for one in found if one.load(label) is not None]
