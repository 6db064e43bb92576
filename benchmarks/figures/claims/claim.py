"""A claim of the paper, judged: what all modules of claims share."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from benchmarks.figures import style

LEVEL = 0.005
"""Differences below this, in dB or in points of accuracy, round to nothing: there two methods are level."""


class Claim(NamedTuple):
    """A line of the verdict.

    Attributes:
      paper: its table or figure.
      claim: what it says of that.
      measured: what was found here.
      data: what that was found on.
      seeds: of the networks.
      holds: for each part of the claim whether it was found; None where the paper claims nothing.
    """

    paper: str
    claim: str
    measured: str
    data: str
    seeds: str
    holds: list[bool] | None

    @property
    def reproduced(self) -> str:
        """Yes, in part or no."""
        if self.holds is None:
            return "–"
        return "yes" if all(self.holds) else "in part" if any(self.holds) else "no"


def signed(value: float) -> str:
    """A difference with its sign; nothing is level."""
    return f"{value:+.2f}" if abs(value) >= LEVEL else "0.00"


def seeds(rows: pd.DataFrame, cell: Sequence[str] = ()) -> str:
    """The number of seeds, of rows or of means over some; of cells, told apart by `cell`, its range."""
    if "seed" not in rows:
        return style.span(rows["seeds"])
    return style.span(rows.groupby(list(cell))["seed"].nunique()) if cell else f"{rows['seed'].nunique()}"


def datasets(found: Iterable[tuple[str, str]]) -> str:
    """Data sets with their sources, for people."""
    return ", ".join(dict.fromkeys(style.named(name, source) for name, source in found))


def of_rows(rows: pd.DataFrame) -> str:
    """The data sets of some rows, for people."""
    return datasets(rows[["dataset", "source"]].itertuples(index=False))
