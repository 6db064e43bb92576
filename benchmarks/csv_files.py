"""CSVs of the columns that `records` has. Imports no JAX: the plotting stage reads through it."""

import csv
import io
import pathlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from benchmarks import records

if TYPE_CHECKING:
    import pandas as pd


KEYS = frozenset({"dataset", "source", "method", "seed"})
"""Columns that say what a row is of; none of them may be empty."""


def as_csv(rows: Iterable[dict], columns: Sequence[str]) -> str:
    """Rows as the text of a CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row[name] for name in columns] for row in rows)
    return text.getvalue()


def header(path: pathlib.Path) -> list[str]:
    """The names of a CSV's columns."""
    with path.open(newline="") as file:
        return next(csv.reader(file), [])


def read_rows(path: pathlib.Path, columns: Sequence[str] | None = None) -> list[dict[str, str]]:
    """The rows of a CSV as text, so that they can be written again to the letter.

    Raises:
      ValueError: where the file is empty, cut, garbled, or has other columns than `columns`, if these are given.
    """
    try:
        text = path.read_bytes().decode()
        names, *lines = csv.reader(io.StringIO(text, newline=""), strict=True) if text else [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(_damaged(path, str(error))) from error
    if not names or (columns is not None and names != list(columns)):
        raise ValueError(_damaged(path, f"its columns are {', '.join(names) or 'missing'}"))
    for number, line in enumerate(lines, start=2):
        if len(line) != len(names):
            raise ValueError(_damaged(path, f"line {number} is not whole"))
    if not text.endswith("\n") or "\0" in text:
        number = text.partition("\0")[0].count("\n") + 1
        raise ValueError(_damaged(path, f"line {number} is not whole"))
    return [dict(zip(names, line, strict=True)) for line in lines]


def read(path: pathlib.Path, columns: Iterable[str] = records.COLUMNS) -> "pd.DataFrame":
    """The rows of a CSV that has at least `columns`, empty where there is no such file yet.

    Raises:
      ValueError: where the file is damaged, a column is missing, something else stands where a number belongs, a row
        does not say what it is of, or is there twice.
    """
    import pandas as pd  # Takes half a second, which those who only run jobs need not wait.

    columns = list(columns)
    if not path.exists():
        return pd.DataFrame(columns=columns)
    read_rows(path)
    # A column has one type, however long the file, and texts are texts where all of them are empty.
    rows = pd.read_csv(path, low_memory=False, dtype=dict.fromkeys(records.TEXTS, "str"))
    if missing := [column for column in columns if column not in rows]:
        raise ValueError(_damaged(path, f"it has no column {missing[0]!r}"))
    for column in set(columns).difference(records.TEXTS):
        garbled = rows.loc[pd.to_numeric(rows[column], errors="coerce").isna(), column].dropna()
        if len(garbled):
            raise ValueError(_damaged(path, f"{column} is {garbled.iloc[0]!r}, not a number"))
    for column in KEYS.intersection(columns):
        if rows[column].isna().any():
            raise ValueError(_damaged(path, f"line {rows[column].isna().argmax() + 2} has no {column}"))
    if (twice := rows.duplicated()).any():
        raise ValueError(_damaged(path, f"line {twice.argmax() + 2} is there twice"))
    if "source" in rows and (wrong := set(rows["source"].dropna()) - {"real", "subset", "standin"}):
        raise ValueError(_damaged(path, f"source is {wrong.pop()!r}, not real, subset or standin"))
    return rows


def _damaged(path: pathlib.Path, why: str) -> str:
    return f"{path} is damaged: {why}; restore it (git checkout) or delete it"
