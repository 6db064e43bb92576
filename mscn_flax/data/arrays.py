"""Data sets as plain arrays, one file per split, readable without TFDS.

A file is an .npz with `name` and `source` of the signals and, in their order,
- pictures of 8 bits, of any sizes: `pictures`, their lossless WebP files one after another, and `ends`, the offset at
  which each of them ends;
- other signals: `values` [n, ...] (float32), or the arrays of scenes by their names.
"""

import dataclasses
import io
import pathlib
import zipfile
import zlib
from collections.abc import Iterable

import numpy as np
import PIL.Image

from mscn_flax.atomic import replaced
from mscn_flax.data.reading import Signals

FOLDER = "arrays"
"""Subfolder of the folder of prepared local copies."""


def path(folder: pathlib.Path, name: str, resolution: int, split: str) -> pathlib.Path:
    """The path of a split's arrays."""
    return folder / f"{name}-{resolution}" / f"{split}.npz"


@dataclasses.dataclass(frozen=True)
class Arrays(Signals):
    """Signals in memory; `records` are the signals themselves."""

    def _read(self, record):
        return record


def write(target: pathlib.Path, signals: Signals, limit: int | None = None) -> int:
    """Writes the first `limit` signals, or all if None, and returns their number; the name says if it is a part."""
    count = min(len(signals), limit or len(signals))
    found = [signals[index] for index in range(count)]
    name = signals.name + (f", the first {count:,}" if count < len(signals) else "")
    content = _pictures(found) if _are_pictures(found[0]) else _stacked(found)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replaced(target, "wb") as out:
        # A part of what is real is a subset; stand-ins and subsets stay what they are.
        source = "subset" if signals.source == "real" and count < len(signals) else signals.source
        np.savez_compressed(out, name=name, source=source, **content)
    return count


def read(source: pathlib.Path) -> Arrays:
    """The signals of a file that `write` made.

    Raises:
      ValueError: if `write` did not make the file, or it is damaged.
    """
    try:
        with source.open("rb") as opened, np.load(opened) as found:
            content = dict(found)
        name, kind = str(content.pop("name")), str(content.pop("source"))
        return Arrays(name, kind, _records(content))
    except (OSError, EOFError, KeyError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{source} has no exported signals: {type(error).__name__} {error}; export it again"
        ) from error


def _are_pictures(signal) -> bool:
    return not isinstance(signal, dict) and signal.dtype == np.uint8 and signal.shape[-1] == 3


def _pictures(images: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """The pictures as WebP files: exported data travel, and these are a third smaller than what .npz compresses."""
    files = []
    for image in images:
        file = io.BytesIO()
        PIL.Image.fromarray(image).save(file, format="WEBP", lossless=True, quality=100)
        files.append(file.getvalue())
    return {"pictures": np.frombuffer(b"".join(files), np.uint8), "ends": np.cumsum([len(file) for file in files])}


def _stacked(signals: list) -> dict[str, np.ndarray]:
    if isinstance(signals[0], dict):
        return {name: np.stack([signal[name] for signal in signals]) for name in signals[0]}
    return {"values": np.stack(signals)}


def _records(content: dict[str, np.ndarray]) -> list:
    """The inverse of `_pictures` and `_stacked`."""
    if "pictures" in content:
        files = np.split(content["pictures"], content["ends"][:-1])
        return [np.asarray(PIL.Image.open(io.BytesIO(file.tobytes()))) for file in files]
    if "values" in content:
        return list(content["values"])
    return [dict(zip(content, each, strict=True)) for each in zip(*content.values(), strict=True)]
