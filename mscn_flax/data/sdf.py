"""Signed distance functions of random shapes, in place of the paper's, whose making is not published.

A value is 0.5 + d / 2, d the exact signed distance from a pixel's centre to the shape's boundary in sides of the image,
negative inside: 0.5 on the boundary, less inside, within (0, 1) without clipping.
"""

import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from mscn_flax.data import shapes, store
from mscn_flax.data.local_copy import files_digest
from mscn_flax.data.reading import SPLITS, Images, MissingDataError
from mscn_flax.modalities.grids import grid_coordinates

GLYPHS = "glyphs/glyph_masks_512.npz"
"""Below the folder of prepared local copies; `bits` [n, 32768] uint8, np.packbits of 512 x 512 masks."""

COUNTS = {"train": 1000, "validation": 50, "test": 100}
"""Split -> number of shapes."""


def sdf2d(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """Signed distance functions of circles, boxes and polygons."""
    del data_dir  # Made up.
    return _distances("sdf2d", split, resolution, None)


def sdf2d_glyphs(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """Signed distance functions of letters besides."""
    path = data_dir and data_dir / GLYPHS
    if not (path and path.is_file()):
        raise MissingDataError(
            f"There are no font masks at $MSCN_DATA_DIR/{GLYPHS}: an array `bits` of np.packbits of 512 x 512 masks, "
            "one row per glyph. Without: use `sdf2d`, which has circles, boxes and polygons."
        )
    return _distances("sdf2d_glyphs", split, resolution, path)


def _distances(name: str, split: str, side: int, glyphs: pathlib.Path | None) -> Images:
    features = {"image": tfds.features.Tensor(shape=(side, side, 1), dtype=np.float32)}
    made = {part: _examples(part, side, glyphs) for part in SPLITS}
    prepared = f"sdf2d_{side}" if glyphs is None else f"sdf2d_{side}_{files_digest([glyphs])}"
    return Images(name, "standin", store.records(prepared, split, features, made), side)


def _examples(split: str, side: int, glyphs: pathlib.Path | None) -> Iterator[tuple[int, dict]]:
    number = SPLITS.index(split)
    points = grid_coordinates((side, side)).astype(np.float64)
    outlines = _outlines(glyphs, number) if glyphs else []
    for index in range(COUNTS[split]):
        # The seed is not of the resolution: every size shows the same shapes.
        shape = shapes.random_shape(np.random.default_rng([number, index]), outlines)
        value = 0.5 + shapes.signed_distance(shape, points) / 2
        yield index, {"image": value.astype(np.float32).reshape(side, side, 1)}


def _outlines(path: pathlib.Path, number: int) -> list:
    """The glyphs of split `number`: of twenty, one is for validation and three are for testing."""
    with np.load(path) as arrays:
        bits = arrays["bits"]
    split_of = [1] + 3 * [2] + 16 * [0]
    chosen = [row for index, row in enumerate(bits) if split_of[index % 20] == number]
    return [shapes.glyph(np.unpackbits(row).reshape(512, 512).astype(bool)) for row in chosen]
