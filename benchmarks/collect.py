"""From run folders to `results/<preset>/<benchmark>.csv`: what runs here have given replaces what was committed before.

Imports no JAX.
"""

import json
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

from benchmarks import csv_files, looks, records, run_folder
from benchmarks.run_folder import Run
from mscn_flax.atomic import replaced


def cell_of(run_id: str) -> str:
    """The cell of the grid that a run belongs to: its id without the digest of the configuration."""
    return run_id.rsplit("-", 1)[0]


def _digest(run_id: str) -> str:
    """The digest of the configuration, with which a run's id ends."""
    return run_id.rsplit("-", 1)[-1]


def _family(run_id: str) -> str:
    """The cell without its random seed."""
    return re.sub(r"-s\d+$", "", cell_of(run_id))


def _finished(run: Run) -> str:
    return run.provenance["finished"]


def latest(runs: Iterable[Run]) -> list[Run]:
    """The runs that count, oldest first: of each family (a cell, whatever its seed) those of one configuration.

    It is the one that was last asked for. A mean over seeds of different configurations would mean nothing.
    """
    runs, counting = sorted(runs, key=_finished), {}
    for run in sorted(runs, key=lambda run: run.asked):
        counting[_family(run.provenance["run_id"])] = run.provenance
    return [run for run in runs if _alike(run.provenance, counting[_family(run.provenance["run_id"])])]


def _alike(one: Mapping, other: Mapping) -> bool:
    """Whether two runs of a family, told by their provenance, have one configuration and, as far as known, one data."""
    there = one.get("data"), other.get("data")
    return _digest(one["run_id"]) == _digest(other["run_id"]) and (there[0] == there[1] or None in there)


def merged(
    committed: Sequence[Mapping], new: Sequence[Mapping], runs: Sequence[Mapping], before: Mapping[str, Mapping]
) -> list[Mapping]:
    """Committed rows that stay, in their order, then new rows.

    A committed row goes where its cell has been run again, and where its family has a new run of another configuration
    or on other data.

    Args:
      committed: rows, each with its `run_id`.
      new: rows of the new runs.
      runs: provenance of these, also of those without rows.
      before: run id -> provenance of the committed rows, as far as there is any.
    """
    cells = {cell_of(run["run_id"]) for run in runs}
    families = {_family(run["run_id"]): run for run in runs}

    def stays(run_id: str) -> bool:
        said = before.get(run_id, {"run_id": run_id})
        return cell_of(run_id) not in cells and _alike(said, families.get(_family(run_id), said))

    staying = {run_id for run_id in {row["run_id"] for row in committed} if stays(run_id)}
    return [row for row in committed if row["run_id"] in staying] + list(new)


def collect(benchmark: str, preset: str, runs_dir: pathlib.Path, results_dir: pathlib.Path) -> list[pathlib.Path]:
    """Brings a benchmark's CSVs, provenance and files of figures up to date with its run folders; the files changed.

    Looks of methods from outside the repository go to `methods.json`.

    Raises:
      ValueError: for a damaged file, which it names; nothing is written then.
    """
    runs, contents = latest(_runs(runs_dir / preset / benchmark)), {}
    lines = _provenance(results_dir / preset / f"{benchmark}.provenance.jsonl")
    told, before = [run.provenance for run in runs], {line["run_id"]: line for line in lines}
    for suffix, columns in records.TABLES[benchmark].items():
        path = results_dir / preset / f"{benchmark}{suffix}.csv"
        committed = csv_files.read_rows(path, columns) if path.exists() else []
        new = [row for run in runs if suffix in run.tables for row in run.rows(suffix)]
        rows = merged(committed, new, told, before)
        if not suffix and (gone := {r["run_id"] for r in committed} - {r["run_id"] for r in rows}):
            print(f"{path}: rows of another configuration go: {', '.join(sorted(gone))}", file=sys.stderr, flush=True)
        if rows or committed:
            contents[path] = csv_files.as_csv(rows, columns)
    path = results_dir / preset / f"{benchmark}.provenance.jsonl"
    if lines := merged(lines, told, told, before):
        contents[path] = "".join(json.dumps(line) + "\n" for line in lines)
    changed = [path for path, text in contents.items() if not path.exists() or path.read_text() != text]
    for path in changed:
        with replaced(path) as out:
            out.write(contents[path])
    said = [dict(run.provenance["look"]) for run in runs if "look" in run.provenance]
    methods = results_dir / preset / "methods.json"
    if said and looks.record(methods, {look.pop("method"): looks.Look(**look) for look in said}):
        changed.append(methods)
    for run in runs:
        for name in run.files:
            kind, _, rest = name.partition("/")
            target = results_dir / preset / f"{benchmark}_{kind}" / rest
            content = (run.folder / name).read_bytes()
            if not target.exists() or target.read_bytes() != content:
                with replaced(target, "wb") as out:
                    out.write(content)
                changed.append(target)
    return changed


def _runs(folder: pathlib.Path) -> Iterator[Run]:
    """The runs of a benchmark that are done.

    Raises:
      ValueError: for a damaged one, with what to delete.
    """
    for path in sorted(folder.glob(f"*/{run_folder.RUN}")):
        try:
            run = run_folder.load(path.parent)
        except ValueError as error:
            raise ValueError(f"{error}; delete {path} and run the benchmark again") from error
        if run.provenance["run_id"] == path.parent.name:
            yield run
        else:  # Else its rows would be there twice.
            print(f"{path.parent} is left out: it is a copy of run {run.provenance['run_id']}", file=sys.stderr)


def _provenance(path: pathlib.Path) -> list[dict]:
    """The lines of a provenance file.

    Raises:
      ValueError: where one of them is damaged.
    """
    if not path.exists():
        return []
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        [line["run_id"] for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged; restore it (git checkout) or delete it") from error
    return lines
