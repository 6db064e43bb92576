"""`sdf2d`: signed distance functions of random shapes, in place of the paper's, whose making is not published.

A value is 0.5 + d / 2, d the exact signed distance from a pixel's centre to the shape's boundary in sides of the image,
negative inside: 0.5 on the boundary, less inside, within (0, 1) without clipping. Everything follows from the
configuration.
"""

import pathlib

import numpy as np
import tensorflow_datasets as tfds

from mscn_flax.data.local_copy import LocalCopyConfig
from mscn_flax.data.sdf2d import shapes
from mscn_flax.modalities.grids import grid_coordinates

GLYPHS = pathlib.Path("glyphs") / "glyph_masks_512.npz"
"""Below the folder of prepared local copies; `bits` [n, 32768] uint8, np.packbits of 512 x 512 masks."""

COUNTS = {"train": 1000, "validation": 50, "test": 100}
"""Split -> number of shapes."""


class SdfConfig(tfds.core.BuilderConfig):
    """Random shapes of circles, boxes and polygons at `resolution` x `resolution` pixels, with glyphs where given."""

    def __init__(self, *, resolution: int, glyphs: pathlib.Path | None = None):
        name = str(resolution) if glyphs is None else f"{resolution}-{LocalCopyConfig(path=glyphs).name}"
        super().__init__(name=name, description=f"{resolution}x{resolution} signed distance functions")
        self.resolution, self.glyphs = resolution, glyphs


class Builder(tfds.core.GeneratorBasedBuilder):
    """Signed distance functions at any resolution: `Builder(config=SdfConfig(resolution=178))`."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        side = self.builder_config.resolution
        return self.dataset_info_from_configs(
            description=__doc__,
            features=tfds.features.FeaturesDict(
                {"image": tfds.features.Tensor(shape=(side, side, 1), dtype=np.float32)}
            ),
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # Nothing is downloaded.
        return {split: self._generate_examples(split) for split in COUNTS}

    def _generate_examples(self, split: str):
        side, number = self.builder_config.resolution, list(COUNTS).index(split)
        points = grid_coordinates((side, side)).astype(np.float64)
        glyphs = _glyphs(self.builder_config.glyphs, number)
        for index in range(COUNTS[split]):
            # Not of the resolution: every size shows the same shapes.
            shape = shapes.random_shape(np.random.default_rng([number, index]), glyphs)
            value = 0.5 + shapes.signed_distance(shape, points) / 2
            yield index, {"image": value.astype(np.float32).reshape(side, side, 1)}


def _glyphs(path: pathlib.Path | None, number: int) -> list:
    """The outlines that belong to split `number`: of twenty, one is for validation and three are for testing."""
    if path is None:
        return []
    with np.load(path) as arrays:
        bits = arrays["bits"]
    split_of = [1] + 3 * [2] + 16 * [0]
    chosen = [row for index, row in enumerate(bits) if split_of[index % 20] == number]
    return [shapes.glyph(np.unpackbits(row).reshape(512, 512).astype(bool)) for row in chosen]
