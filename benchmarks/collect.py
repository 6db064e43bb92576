"""From run folders to `results/<preset>/<benchmark>.csv`: what runs here have given replaces what was committed before.

Imports no JAX.
"""

import json
import pathlib
import re
import shutil
import sys
from collections.abc import Iterable, Sequence

from benchmarks import records, run_folder
from benchmarks.run_folder import Run
from mscn_flax.atomic import replaced


def cell_of(run_id: str) -> str:
    """The cell of the grid that a run belongs to: its id without the digest of the configuration."""
    return run_id.rsplit("-", 1)[0]


def _family(run_id: str) -> str:
    """The cell without its random seed."""
    return re.sub(r"-s\d+$", "", cell_of(run_id))


def latest(runs: Iterable[Run]) -> list[Run]:
    """The runs that count, oldest first: of each family (a cell, whatever its seed) those of the latest configuration.

    A mean over seeds of different configurations would mean nothing.
    """
    chosen: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.provenance["finished"]):
        run_id = run.provenance["run_id"]
        digest = run_id.rsplit("-", 1)[1]
        same = [one for one in chosen.get(_family(run_id), []) if one.provenance["run_id"].endswith(f"-{digest}")]
        chosen[_family(run_id)] = [one for one in same if one.provenance["run_id"] != run_id] + [run]
    return [run for runs in chosen.values() for run in runs]


def merged(committed: Sequence[dict], new: Sequence[dict]) -> list[dict]:
    """Committed rows that stay, in their order, then new rows.

    A committed row goes where its cell has new rows, and where its family has new rows of another configuration.
    """
    cells = {cell_of(run_id) for run_id in {row["run_id"] for row in new}}
    digests = {_family(run_id): run_id.rsplit("-", 1)[1] for run_id in {row["run_id"] for row in new}}
    going = {
        run_id
        for run_id in {row["run_id"] for row in committed}
        if cell_of(run_id) in cells or digests.get(_family(run_id)) not in (None, run_id.rsplit("-", 1)[1])
    }
    return [row for row in committed if row["run_id"] not in going] + list(new)


def collect(benchmark: str, preset: str, runs_dir: pathlib.Path, results_dir: pathlib.Path) -> list[pathlib.Path]:
    """Brings a benchmark's CSVs, provenance and files of figures up to date with its run folders; the files changed.

    Raises:
      ValueError: for a damaged file, which it names; nothing is written then.
    """
    folder = runs_dir / preset / benchmark
    found = [run_folder.load(path.parent) for path in sorted(folder.glob(f"*/{run_folder.RUN}"))]
    runs = latest(run for run in found if run is not None)
    if not runs:
        return []
    contents = {}
    for suffix, columns in records.TABLES[benchmark].items():
        path = results_dir / preset / f"{benchmark}{suffix}.csv"
        committed = run_folder.read_rows(path, columns) if path.exists() else []
        new = [row for run in runs if suffix in run.tables for row in run.rows(suffix)]
        rows = merged(committed, new)
        if not suffix and (gone := {r["run_id"] for r in committed} - {r["run_id"] for r in rows}):
            print(f"{path}: rows of another configuration go: {', '.join(sorted(gone))}", file=sys.stderr, flush=True)
        if rows:
            contents[path] = run_folder.as_csv(rows, columns)
    path = results_dir / preset / f"{benchmark}.provenance.jsonl"
    contents[path] = "".join(
        json.dumps(line) + "\n" for line in merged(_provenance(path), [run.provenance for run in runs])
    )
    changed = [path for path, text in contents.items() if not path.exists() or path.read_text() != text]
    for path in changed:
        with replaced(path) as out:
            out.write(contents[path])
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


def _provenance(path: pathlib.Path) -> list[dict]:
    lines = path.read_text().splitlines() if path.exists() else []
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise ValueError(f"{path} is damaged; restore it (git checkout) or delete it") from error


def forget(folder: pathlib.Path) -> None:
    """Deletes a run folder with its checkpoints."""
    shutil.rmtree(folder, ignore_errors=True)
