"""What a job leaves behind: a folder with its tables, files and, last, `run.json`. Imports no JAX.

    runs/<preset>/<benchmark>/<run id>/table.csv, table_masks.csv, ...   rows
                                      /images/..., values/...            files of figures
                                      /run.json                          provenance, digest of each of these
                                      /asked                             when it was asked for again
                                      /checkpoints                       of its training

A job is done when `run.json` is there and whole: readable, and everything that it lists has the digest it says.
"""

import contextlib
import datetime
import hashlib
import json
import pathlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import filelock

from benchmarks import csv_files, records
from mscn_flax.atomic import replaced

RUN = "run.json"

ASKED = "asked"
"""Name of the file that says when a run that was done was asked for again."""


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
      asked: when it was last asked for, as text that sorts by time.
    """

    folder: pathlib.Path
    provenance: dict
    tables: tuple[str, ...]
    files: tuple[str, ...]
    asked: str

    def rows(self, suffix: str) -> list[dict[str, str]]:
        """The rows of one table, as text."""
        return csv_files.read_rows(self.folder / _table(suffix))


def store(folder: pathlib.Path, benchmark: str, result: Result, provenance: dict) -> None:
    """Writes what a job gave, each file atomically, `run.json` last; of several processes one after the other.

    Raises:
      ValueError: where rows have other keys than the benchmark's columns.
    """
    contents = dict(result.files)
    for suffix, rows in result.tables.items():
        columns = records.TABLES[benchmark][suffix]
        if unknown := {key for row in rows for key in row} ^ set(columns if rows else ()):
            raise ValueError(f"rows and columns of {benchmark}{suffix} differ in {sorted(unknown)}")
        contents[_table(suffix)] = csv_files.as_csv(rows, columns).encode()
    listed = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    said = {"provenance": provenance | dict(result.provenance), "tables": list(result.tables), "contents": listed}
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / "store.lock"):
        for name, content in contents.items():
            with replaced(folder / name, "wb") as out:
                out.write(content)
        with replaced(folder / RUN) as out:
            json.dump(said, out, indent=1)


def load(folder: pathlib.Path) -> Run | None:
    """The run of a folder; None where there is no `run.json`, which means that it is not done.

    Raises:
      ValueError: where `run.json`, or something that it lists, is damaged, or a table is of an earlier version.
    """
    path = folder / RUN
    if not path.is_file():
        return None
    try:
        said = json.loads(path.read_text())
        provenance, tables, contents = dict(said["provenance"]), tuple(said["tables"]), dict(said["contents"])
        provenance["run_id"], provenance["finished"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged") from error
    for name, digest in contents.items():
        file = folder / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise ValueError(f"{file} is damaged or missing")
    for suffix, columns in records.TABLES.get(folder.parent.name, {}).items():
        if suffix in tables and csv_files.header(folder / _table(suffix)) != list(columns):
            raise ValueError(f"{folder / _table(suffix)} has the columns of another version")
    files = tuple(name for name in contents if name not in {_table(suffix) for suffix in tables})
    asked = ""
    with contextlib.suppress(OSError, ValueError):  # It is not there, or says nothing.
        asked = datetime.datetime.fromisoformat((folder / ASKED).read_text()).isoformat(timespec="milliseconds")
    return Run(folder, provenance, tables, files, max(asked, provenance["finished"]))


def ask_again(folder: pathlib.Path) -> None:
    """Notes that a run that is done has been asked for: its configuration is the one that counts, see `collect`."""
    with replaced(folder / ASKED) as out:
        out.write(now())


def now() -> str:
    """The time, as text that sorts by it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _table(suffix: str) -> str:
    return f"table{suffix}.csv"
