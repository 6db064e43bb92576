"""`photos`: square patches of real photographs, embedded in a package that is installed anyway.

Train, validation and test patches come from different photographs. Patches are cut at random places from every
photograph at several scales, so that a 32x32 patch shows more than texture. The cut depends on nothing but the
configuration.
"""

import pathlib

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

PHOTOGRAPHS = {
    # The two motorcycle photographs are a stereo pair: one scene, so one split.
    "train": (
        "astronaut.png",
        "motorcycle_left.png",
        "motorcycle_right.png",
        "hubble_deep_field.jpg",
        "brick.png",
        "grass.png",
        "gravel.png",
    ),
    "validation": ("camera.png",),
    "test": ("chelsea.png", "coffee.png", "moon.png"),
}
"""Split -> files below `skimage/data` of the wheel; grey ones are read as RGB."""

PATCHES = {"train": 2280, "validation": 120, "test": 240}
"""Split -> number of patches, divided equally over photographs and scales."""

SCALES = (1, 2, 4)
"""Photographs are reduced by these factors (by area), as far as the patch still fits."""


class PhotosConfig(tfds.core.BuilderConfig):
    """Patches of `resolution` x `resolution` pixels."""

    def __init__(self, *, resolution: int):
        super().__init__(name=f"{resolution}", description=f"{resolution}x{resolution} patches")
        self.resolution = resolution


class Builder(tfds.core.GeneratorBasedBuilder):
    """Patches of scikit-image's photographs, any resolution: `Builder(config=PhotosConfig(resolution=32))`."""

    VERSION = tfds.core.Version("1.1.0")

    def _info(self) -> tfds.core.DatasetInfo:
        side = self.builder_config.resolution
        return self.dataset_info_from_configs(
            description=__doc__,
            homepage="https://scikit-image.org",
            features=tfds.features.FeaturesDict(
                {"image": tfds.features.Image(shape=(side, side, 3)), "photograph": tfds.features.Text()}
            ),
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # Nothing is downloaded.
        return {split: self._generate_examples(split) for split in PHOTOGRAPHS}

    def _generate_examples(self, split: str):
        side = self.builder_config.resolution
        rng = np.random.default_rng([side, list(PHOTOGRAPHS).index(split)])
        views = [view for name in PHOTOGRAPHS[split] for view in _views(name, side)]
        if not views:
            raise ValueError(f"no photograph of the {split} split holds a {side}x{side} patch")
        for index in range(PATCHES[split]):
            name, scale, pixels = views[index % len(views)]
            top = rng.integers(pixels.shape[0] - side + 1)
            left = rng.integers(pixels.shape[1] - side + 1)
            patch = pixels[top : top + side, left : left + side]
            yield f"{name}/{scale}/{index}", {"image": patch, "photograph": name}


def _views(name: str, side: int):
    """(name, scale, pixels [H, W, 3]) of a photograph at every scale that holds a patch."""
    import skimage  # Imports a lot; only a build needs it.

    with PIL.Image.open(pathlib.Path(skimage.__file__).parent / "data" / name) as opened:
        photograph = opened.convert("RGB")
    for scale in SCALES:
        reduced = photograph.reduce(scale)
        if min(reduced.size) >= side:
            yield name, scale, np.asarray(reduced)
