"""What a job leaves behind: a folder with its tables, files and, last, `run.json`. Imports no JAX.

    runs/<preset>/<benchmark>/<run id>/table.csv, table_masks.csv, ...   rows
                                      /images/..., values/...            files of figures
                                      /run.json                          provenance, size of each of these
                                      /checkpoints                       of its training

A job is done when `run.json` is there and whole: readable, and everything that it lists has the size it says.
"""

import csv
import hashlib
import io
import json
import pathlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from benchmarks import records
from mscn_flax.atomic import replaced

RUN = "run.json"


class Result(NamedTuple):
    """What a job gives.

    Attributes:
      tables: suffix of each of the benchmark's CSVs -> rows.
      files: path below the run folder -> content, for figures.
      provenance: seconds and devices that were measured.
    """

    tables: dict[str, list[dict]]
    files: Mapping[str, bytes] = MappingProxyType({})
    provenance: Mapping = MappingProxyType({})


class Run(NamedTuple):
    """A job that is done.

    Attributes:
      folder: where its tables and files are.
      provenance: what is needed to judge or repeat it; `run_id`, `finished`, `gin` and more.
      tables: suffixes of its tables.
      files: paths of its files below `folder`.
    """

    folder: pathlib.Path
    provenance: dict
    tables: tuple[str, ...]
    files: tuple[str, ...]

    def rows(self, suffix: str) -> list[dict[str, str]]:
        """The rows of one table, as text."""
        return read_rows(self.folder / _table(suffix))


def store(folder: pathlib.Path, benchmark: str, result: Result, provenance: dict) -> None:
    """Writes what a job gave, each file atomically, `run.json` last.

    Raises:
      ValueError: where rows have other keys than the benchmark's columns.
    """
    contents = dict(result.files)
    for suffix, rows in result.tables.items():
        columns = records.TABLES[benchmark][suffix]
        if unknown := {key for row in rows for key in row} ^ set(columns if rows else ()):
            raise ValueError(f"rows and columns of {benchmark}{suffix} differ in {sorted(unknown)}")
        contents[_table(suffix)] = as_csv(rows, columns).encode()
    for name, content in contents.items():
        with replaced(folder / name, "wb") as out:
            out.write(content)
    listed = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    said = {"provenance": provenance | dict(result.provenance), "tables": list(result.tables), "contents": listed}
    with replaced(folder / RUN) as out:
        json.dump(said, out, indent=1)


def load(folder: pathlib.Path) -> Run | None:
    """The run of a folder; None where there is no `run.json`, which means that it is not done.

    Raises:
      ValueError: where `run.json`, or something that it lists, is damaged.
    """
    path = folder / RUN
    if not path.is_file():
        return None
    try:
        said = json.loads(path.read_text())
        provenance, tables, contents = said["provenance"], tuple(said["tables"]), said["contents"]
        provenance["run_id"], provenance["finished"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged; delete it, and the run is done again") from error
    for name, digest in contents.items():
        file = folder / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise ValueError(f"{file} is damaged or missing; delete {path}, and the run is done again")
    files = tuple(name for name in contents if name not in {_table(suffix) for suffix in tables})
    return Run(folder, provenance, tables, files)


def as_csv(rows: Iterable[dict], columns: Iterable[str]) -> str:
    """Rows as the text of a CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_rows(path: pathlib.Path, columns: Iterable[str] | None = None) -> list[dict[str, str]]:
    """The rows of a CSV as text, so that they can be written again to the letter.

    Raises:
      ValueError: where the file is empty, cut, garbled, or has other columns.
    """
    wrong = f"{path} is damaged{{}}; restore it (git checkout) or delete it"
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ValueError(wrong.format(f" at byte {error.start}")) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", restval=None)
    names = reader.fieldnames
    if not names or (columns is not None and names != list(columns)):
        raise ValueError(wrong.format(f": its columns are {names or 'missing'}"))
    rows = list(reader)
    for number, row in enumerate(rows, start=2):
        if None in row.values() or "" in row or "\0" in row[names[0]]:
            raise ValueError(wrong.format(f" at line {number}"))
    if not text.endswith("\n"):
        raise ValueError(wrong.format(f": it ends within line {len(rows) + 1}"))
    return rows


def _table(suffix: str) -> str:
    return f"table{suffix}.csv"
