"""Prepared local copies: files below $MSCN_DATA_DIR that are read instead of downloading anything."""

import hashlib
import pathlib
from collections.abc import Sequence

from mscn_flax.data.reading import MissingDataError


def files_digest(paths: Sequence[pathlib.Path], more: str = "") -> str:
    """A name for several files by their names and contents, and by what else decides what is made of them."""
    digest = hashlib.sha256(more.encode())
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def files_below(folder: pathlib.Path | None, endings: Sequence[str]) -> list[pathlib.Path]:
    """All files below a folder with one of the endings, in order; none if there is no folder.

    Capitals are alike; what lies below a name that begins with a dot is the system's.
    """
    if not (folder and folder.is_dir()):
        return []
    found = (path for path in folder.rglob("*") if path.suffix.lower() in endings)
    return sorted(path for path in found if not any(p.startswith(".") for p in path.relative_to(folder).parts))


def local_file(data_dir: pathlib.Path | None, file: str, content: str, standin: str) -> pathlib.Path:
    """The path of a prepared local copy.

    Raises:
      MissingDataError: if there is none.
    """
    path = data_dir and data_dir / file
    if not (path and path.is_file()):
        raise MissingDataError(
            f"$MSCN_DATA_DIR/{file} is missing: an .npz with {content}. Without: use the embedded stand-in `{standin}`."
        )
    return path


def require_side(name: str, resolution: int, side: int) -> None:
    """Raises a ValueError if a data set that has one resolution is asked for at another."""
    if resolution != side:
        raise ValueError(f"{name} has {side}x{side} images, not {resolution}x{resolution}")
