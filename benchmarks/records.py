"""The CSV schema of the whole project, and its atomic files. Imports no JAX: the plotting stage reads through it."""

import contextlib
import csv
import fcntl
import importlib.metadata
import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator

import pandas as pd

from mscn_flax.files import replaced

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PUBLISHED = REPOSITORY / "results" / "published"
"""Other people's figures, with their sources."""

COLUMNS = (
    "experiment",  # the benchmark, e.g. table1_modulations
    "preset",  # smoke, quick, paper, or custom
    "dataset",
    "source",  # real, subset (of the real data) or standin (other data)
    "method",
    "seed",
    "budget",  # non-zeros of the fitted code, as measured
    "budget_unit",  # modulations, latents, fraction or weights; of a codec the name of its setting
    "surviving_fraction",  # what the budget counts over what could be non-zero; fig2_unstructured: over all weights
    "kept_weights",  # non-zeros among the weights of what is counted (delta or the network)
    "kept_biases",
    "weights",  # of the full network
    "biases",
    "signal_id",  # index in the test split
    "inner_steps",
    "inner_optimizer",
    "outer_steps",
    "psnr_db",  # of the field's values as they are
    "psnr8_db",  # after clipping and rounding to 8 bits
    "mse",
    "voxel_accuracy",
    "bytes",
    "bpp",
    "bpp_entropy",
    "encode_s",  # a signal, within a batch, compilation apart
    "decode_s",
    "run_id",  # cell of the grid + digest of its configuration
)
"""One row a test signal and seed. A column that does not apply stays empty."""

MODULATION_COLUMNS = (
    *COLUMNS,
    "psnr_weighted_db",  # maps of the globe: squared errors weighted by the cosine of the latitude
    "trained_on",  # data set and its source
)
"""Rows of table1_modulations."""

RATE_COLUMNS = (
    *COLUMNS,
    "bits",  # of a quantised modulation; 32: float32 codes; 16: COIN's weights
    "pixels",  # of the image, or points of the map
    "bpp_payload",  # `bpp` without the file's headers; empty where the format has none to take off
    "trained_on",  # what the network was trained on
)
"""Of `*_rate_distortion.csv`: a row a signal, seed and setting; `bytes` and `bpp` are those of the whole file."""

MASK_COLUMNS = ("experiment", "preset", "dataset", "source", "method", "seed", "budget", "layer", "unit", "run_id")
"""Of `<benchmark>_masks.csv`: one row a modulation that a run's shared mask keeps."""

LAYER_COLUMNS = ("experiment", "preset", "dataset", "source", "method", "seed", "budget", "layer", "kind", "kept")
LAYER_COLUMNS += ("size", "run_id")
"""Of `<benchmark>_layers.csv`: one row an array of the network (`kind` kernel or bias), entries kept of all."""


def cell_of(run_id: str) -> str:
    """The grid cell of a run: its id without the digest of the configuration."""
    return run_id.rsplit("-", 1)[0]


def _replaces(run_id: str, other: str) -> bool:
    """Whether the rows of `run_id` take the place of those of `other`.

    They do where it is the same cell, and where it is another seed of the cell with another configuration: a mean over
    seeds of different configurations would mean nothing.
    """
    same_family = re.sub(r"-s\d+$", "", cell_of(run_id)) == re.sub(r"-s\d+$", "", cell_of(other))
    return same_family and (cell_of(run_id) == cell_of(other) or run_id.rsplit("-", 1)[1] != other.rsplit("-", 1)[1])


def read(path: pathlib.Path, columns: Iterable[str] = COLUMNS) -> pd.DataFrame:
    """The rows of a CSV, empty where there is none yet.

    Raises:
      ValueError: where the file has other columns.
    """
    columns = list(columns)
    if not path.exists():
        return pd.DataFrame(columns=columns)
    rows = pd.read_csv(path)
    if list(rows.columns) != columns:
        raise ValueError(f"{path} has columns {list(rows.columns)}, expected {columns}: move it away or redo it")
    return rows


def has(path: pathlib.Path, run_id: str) -> bool:
    """Whether a CSV has rows of a run."""
    return path.exists() and bool((pd.read_csv(path, usecols=["run_id"])["run_id"] == run_id).any())


def append(path: pathlib.Path, rows: list[dict], columns: Iterable[str] = COLUMNS) -> None:
    """Adds the rows of one run, in place of those of the same cell or of its other configurations. Atomic, locked.

    Rows of another configuration that go are named on standard error.

    Raises:
      ValueError: where `rows` have other keys than `columns`, or belong to several runs.
    """
    columns = list(columns)
    runs = {row["run_id"] for row in rows}
    if len(runs) != 1:
        raise ValueError(f"one run's rows at a time, got those of {sorted(runs)}")
    (run_id,) = runs
    if unknown := {key for row in rows for key in row} ^ set(columns):
        raise ValueError(f"rows and columns differ in {sorted(unknown)}")
    with locked(path):
        # As text, so that the rows of other runs come out to the letter as they went in.
        kept, gone = [], set()
        if path.exists():
            with path.open(newline="") as opened:
                for row in csv.DictReader(opened):
                    if _replaces(run_id, row["run_id"]):
                        gone.add(row["run_id"])
                    else:
                        kept.append(row)
        if gone - {run_id}:
            others = ", ".join(sorted(gone - {run_id}))
            print(f"{path}: rows of another configuration go: {others}", file=sys.stderr, flush=True)
        with replaced(path) as out:
            writer = csv.DictWriter(out, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept + rows)


def add(path: pathlib.Path, rows: list[dict], columns: Iterable[str], **of_run) -> None:
    """`append`, and the run's provenance beside the CSV; `of_run` as `provenance` takes it."""
    append(path, rows, columns)
    append_provenance(path.with_suffix(".provenance.jsonl"), provenance(rows[0]["run_id"], **of_run))


def append_provenance(path: pathlib.Path, record: dict) -> None:
    """Adds one run's provenance to `path` (JSON, one object a line), in place of what `append` replaces. Atomic."""
    with locked(path):
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        lines = [line for line in lines if not _replaces(record["run_id"], line["run_id"])]
        with replaced(path) as out:
            out.writelines(json.dumps(line) + "\n" for line in [*lines, record])


def provenance(
    run_id: str, *, seed: int, device: str, gin_text: str, wall_s: float, compile_s: float, commit: str
) -> dict:
    """What is needed to judge or repeat a run: versions, device, commit, configuration, times in seconds."""
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "grain", "gin-config")
    return {
        "run_id": run_id,
        "seed": seed,
        "wall_s": round(wall_s, 2),
        "compile_s": round(compile_s, 2),
        "device": device,
        "commit": commit,
        "versions": {name: found for name in packages if (found := _version(name))},
        "gin": gin_text,
    }


def _version(package: str) -> str | None:
    """None where it is not installed: exported data sets, for one, are read without TFDS."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit() -> str:
    """The checked-out commit, marked where code or configuration differ from it; to be asked when a run starts.

    Where there is no checkout, but a copy of the files, what $MSCN_COMMIT says.
    """

    def git(*arguments):
        try:
            done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        except OSError:  # No git here.
            return ""
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "mscn_flax", "benchmarks", "gin")
    return (git("rev-parse", "HEAD") or os.environ.get("MSCN_COMMIT", "unknown")) + (" with changes" if changed else "")


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[None]:
    """Waits until no other process holds `path`, and holds it; a process that dies holds nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
