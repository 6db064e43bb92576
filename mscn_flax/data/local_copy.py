"""Prepared local copies: files below $MSCN_DATA_DIR that a TFDS builder reads instead of downloading anything."""

import hashlib
import pathlib
from collections.abc import Sequence

import tensorflow_datasets as tfds

from mscn_flax.data.reading import MissingDataError


def files_digest(paths: Sequence[pathlib.Path], more: str = "") -> str:
    """Names several files by their names and contents, and by what else decides what is made of them."""
    digest = hashlib.sha256(more.encode())
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


class LocalCopyConfig(tfds.core.BuilderConfig):
    """A configuration named by the file's content, so that another copy is another data set, never a stale one."""

    def __init__(self, *, path: pathlib.Path):
        """`path`: the file."""
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()[:12]
        super().__init__(name=digest, description=f"local copy, sha256 {digest}...")
        self.path = path


class LocalFilesConfig(tfds.core.BuilderConfig):
    """The same for several files."""

    def __init__(self, *, paths: Sequence[pathlib.Path]):
        """`paths`: the files, in order."""
        name = files_digest(paths)
        super().__init__(name=name, description=f"local copy, sha256 {name}...")
        self.paths = paths


def files_below(folder: pathlib.Path | None, endings: Sequence[str]) -> list[pathlib.Path]:
    """All files below a folder with one of the endings, in order; none where there is no folder.

    Capitals are alike; what lies below a name that begins with a dot is the system's.
    """
    if not (folder and folder.is_dir()):
        return []
    found = (path for path in folder.rglob("*") if path.suffix.lower() in endings)
    return sorted(path for path in found if not any(p.startswith(".") for p in path.relative_to(folder).parts))


def local_file(data_dir: pathlib.Path | None, file: pathlib.Path, content: str, standin: str) -> pathlib.Path:
    """The path of a prepared local copy.

    Raises:
      MissingDataError: where there is none.
    """
    path = data_dir and data_dir / file
    if not (path and path.is_file()):
        raise MissingDataError(
            f"$MSCN_DATA_DIR/{file} is missing: an .npz with {content}. Without: use the embedded stand-in `{standin}`."
        )
    return path


def require_side(name: str, resolution: int, side: int) -> None:
    """Raises a ValueError where a data set that has one resolution is asked for at another."""
    if resolution != side:
        raise ValueError(f"{name} has {side}x{side} images, not {resolution}x{resolution}")
