"""Square patches of the photographs that scikit-image ships.

Train, validation and test patches come from different photographs. Patches are cut at random places from every
photograph at several scales, so that a 32x32 patch shows more than texture. The cut depends on split and side alone.
"""

import pathlib
from collections.abc import Iterator

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

from mscn_flax.data import store
from mscn_flax.data.crops import how_many
from mscn_flax.data.reading import SPLITS, Images

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
"""Split -> number of patches, divided equally over photographs and scales; of large ones fewer, see `crops.py`."""

SCALES = (1, 2, 4)
"""Photographs are reduced by these factors (by area), as far as the patch still fits."""


def photos(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """Patches of `resolution` x `resolution` pixels."""
    del data_dir  # The photographs come with scikit-image.
    shape = (resolution, resolution, 3)
    features = {"image": tfds.features.Image(shape=shape), "photograph": tfds.features.Text()}
    patches = {part: _patches(part, resolution) for part in SPLITS}
    return Images("photos", "standin", store.records(f"photos_{resolution}", split, features, patches), resolution)


def _patches(split: str, side: int) -> Iterator[tuple[str, dict]]:
    rng = np.random.default_rng([side, SPLITS.index(split)])
    views = [view for name in PHOTOGRAPHS[split] for view in _views(name, side)]
    if not views:
        raise ValueError(f"no photograph of the {split} split holds a {side}x{side} patch")
    for index in range(max(how_many(PATCHES[split], side), len(views))):
        name, scale, pixels = views[index % len(views)]
        top = rng.integers(pixels.shape[0] - side + 1)
        left = rng.integers(pixels.shape[1] - side + 1)
        patch = pixels[top : top + side, left : left + side]
        yield f"{name}/{scale}/{index}", {"image": patch, "photograph": name}


def _views(name: str, side: int) -> Iterator[tuple[str, int, np.ndarray]]:
    """(name, scale, pixels [H, W, 3]) of a photograph at every scale that holds a patch."""
    import skimage  # Imports a lot; only the preparation needs it.

    with PIL.Image.open(pathlib.Path(skimage.__file__).parent / "data" / name) as opened:
        photograph = opened.convert("RGB")
    for scale in SCALES:
        reduced = photograph.reduce(scale)
        if min(reduced.size) >= side:
            yield name, scale, np.asarray(reduced)
