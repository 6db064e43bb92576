"""What the codec's models are trained on: signals of a folder of pictures or of a data set, and those held out."""

import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mscn_flax.modalities import IMAGES, Modality
from mscn_flax.modalities.images import PATCHES, pictures_in
from mscn_flax.progress import shown_if_long

_CROPS = 256
"""Patches cut from a picture, at random places."""

_LARGER = 4
"""Crops of several patches cut from a picture, likewise."""

_HELD_OUT = 24
"""Signals that a model is judged on, at most."""


class Signals(NamedTuple):
    """What a model is trained on, and what it is not.

    Attributes:
      signals: to train on.
      name: for people.
      modality: of the signals.
      held_out: signals of the same source that share nothing with these; may be read as they are asked for, once.
      larger: signals of several parts each, from the same source as `signals`.
    """

    signals: Sequence
    name: str
    modality: Modality
    held_out: Iterable = ()
    larger: Sequence = ()


def patches_of(folder: pathlib.Path | None, seed: int, side: int | None = None) -> Signals:
    """Patches cut from the pictures of a folder, a tenth of which is held out whole; None: the embedded photographs.

    Args:
      folder: of the pictures.
      seed: decides which are held out, and what is cut from the others.
      side: pixels per side of a patch; None for the usual.

    Raises:
      ValueError: where the folder has no picture, or one too small.
    """
    if folder is None:
        return signals_of("photos", side)
    paths, side = pictures_in(folder), side or IMAGES.patch_side
    if not paths:
        raise ValueError(f"{folder} has no picture that ends in {', '.join(IMAGES.readable)}")
    count = min(len(paths) - 1, max(1, len(paths) // 10), _HELD_OUT)
    held_out = sorted(np.random.default_rng([seed, len(paths)]).permutation(len(paths))[:count])
    crops, larger = [], []
    with shown_if_long(f"reading {folder}", "picture") as show:
        for index, path in enumerate(paths):
            picture, rng = IMAGES.read(path), np.random.default_rng([seed, index])
            show(index + 1, len(paths))
            room = np.array(picture.shape[:2]) - side
            if room.min() < 0:
                raise ValueError(f"{path} is smaller than a patch of {side}x{side} pixels")
            if index in held_out:
                continue
            # Copies: a part of a picture would keep the whole of it in memory.
            for top, left in rng.integers(room + 1, size=(_CROPS, 2)):
                crops.append(picture[top : top + side, left : left + side].copy())
            extent = np.minimum(np.array(picture.shape[:2]) // side, PATCHES) * side
            for top, left in rng.integers(picture.shape[:2] - extent + 1, size=(_LARGER, 2)):
                larger.append(picture[top : top + extent[0], left : left + extent[1]].copy())
    name = f"{len(paths)} pictures of {folder.name}, {count} of them held out"
    return Signals(crops, name, IMAGES, map(IMAGES.read, [paths[index] for index in held_out]), larger)


def signals_of(name: str, resolution: int | None) -> Signals:
    """Training signals of a data set, in memory, and some of its validation split, where that is here.

    Raises:
      ValueError: for a data set that there is not.
    """
    from mscn_flax import data  # May need TensorFlow, which one's own pictures do not.

    if name not in data.DATA_SETS:
        raise ValueError(f"no data set {name!r}; there are {', '.join(data.DATA_SETS)}")
    known = data.DATA_SETS[name]
    resolution = resolution or known.modality.patch_side or known.resolution
    found = data.load(name, "train", resolution=resolution)
    count = min(len(found), known.modality.in_memory)
    title = f"{found.name} ({found.source})" + (f", {count:,} of them" if count < len(found) else "")

    def there(split, resolution):
        try:
            return data.load(name, split, resolution=resolution)
        except data.MissingDataError:  # Arrays may have been exported without it.
            return ()

    validation = there("validation", resolution)
    held_out = _spread(validation, _HELD_OUT)
    larger = there("train", PATCHES * resolution) if known.crops else ()
    return Signals(_spread(found, count), title, known.modality, held_out, larger)


def _spread(signals: Sequence, count: int) -> list:
    """So many of the signals, or all, at even distances: data sets are in order, of classes or of time."""
    return [signals[i] for i in np.linspace(0, len(signals) - 1, min(count, len(signals))).astype(int)]
