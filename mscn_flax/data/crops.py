"""Random square crops of a collection of photographs, of any side.

A crop's place depends on nothing but the side, the split and the photograph's number in it. Whoever names the
photographs of the splits sees to it that no photograph is in two.
"""

import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds
from jaxtyping import UInt8

from mscn_flax.data import store
from mscn_flax.data.reading import TRAINING

_SMALL, _LARGE = 32, 64
"""Crops of more than `_LARGE` pixels per side are as many as have the pixels of the usual number of `_SMALL` ones."""

Photographs = Iterable[tuple[str, UInt8[np.ndarray, "H W 3"]]]
"""(name, pixels) of one photograph after another, read only while crops are made."""


def crops(source: str, split: str, side: int, per_photograph: int, photographs: Mapping[str, Photographs]) -> Sequence:
    """Records of `per_photograph` crops of every photograph, of large ones fewer; made once.

    Args:
      source: names the collection and its version or digest.
      split: "train" or "validation".
      side: of a crop, in pixels.
      per_photograph: number of crops.
      photographs: split -> where they come from.

    Raises:
      ValueError: for a photograph that is smaller than a crop.
    """
    per_photograph = how_many(per_photograph, side)
    features = {"image": tfds.features.Image(shape=(side, side, 3)), "photograph": tfds.features.Text()}
    made = {part: _crops(part, side, per_photograph, photographs[part]) for part in TRAINING}
    return store.records(f"{source}_{side}x{side}_{per_photograph}", split, features, made)


def how_many(usual: int, side: int) -> int:
    """The usual number of crops, or of large ones fewer, at least one."""
    return usual if side <= _LARGE else max(1, usual * _SMALL**2 // side**2)


def of_files(paths: Sequence[pathlib.Path]) -> Photographs:
    """Photographs that lie in files, by the files' names."""
    for path in paths:
        with PIL.Image.open(path) as opened:
            pixels = np.asarray(opened.convert("RGB"))
        yield path.name, pixels


def of_records(builder: tfds.core.DatasetBuilder, part: str, feature: str) -> Photographs:
    """Photographs of a prepared data set that keeps no file names, by their places in `part`."""
    for index, record in enumerate(builder.as_data_source(part)):
        yield f"{builder.name}/{part}/{index}", record[feature]


def _crops(split: str, side: int, per_photograph: int, photographs: Photographs) -> Iterator[tuple[str, dict]]:
    for number, (name, pixels) in enumerate(photographs):
        height, width = pixels.shape[:2]
        if min(height, width) < side:
            raise ValueError(f"{name} is {width}x{height}, too small for crops of {side}x{side}")
        rng = np.random.default_rng([side, TRAINING.index(split), number])
        tops = rng.integers(height - side + 1, size=per_photograph)
        lefts = rng.integers(width - side + 1, size=per_photograph)
        for index, (top, left) in enumerate(zip(tops, lefts, strict=True)):
            yield f"{name}/{index}", {"image": pixels[top : top + side, left : left + side], "photograph": name}
