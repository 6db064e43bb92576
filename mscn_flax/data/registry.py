"""Data sets by name: what each holds, and which function reads it.

To add a data set, write a function that says where it comes from and hands its records to `store.records`, in a module
beside `photos`, `pictures`, `maps`, `volumes` or `scenery`, and a line here; or `register` one from a file of your own.
"""

import functools
import importlib
import logging
import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mscn_flax.data import arrays
from mscn_flax.data.reading import SOURCES, SPLITS, MissingDataError, Signals
from mscn_flax.modalities import IMAGES, MAPS, SCENES, VOXELS, Modality


class DataSet(NamedTuple):
    """How a data set is read.

    Attributes:
      reader: function of (split, resolution, folder of local copies) that gives `Signals`; for the data sets of this
        package its module and name, because it needs TFDS and is imported only when the data set is read.
      resolution: pixels, latitudes or voxels per side in the experiments that do not say otherwise.
      channels: c, values per point.
      modality: modality of the signals.
      crops: whether its training signals are crops of photographs, of any side that is asked for.
      embedded: whether it needs no files and so is always there; its first use at a resolution may take minutes.
    """

    reader: str | Callable[[str, int, pathlib.Path | None], Signals]
    resolution: int
    channels: int = 3
    modality: Modality = IMAGES
    crops: bool = False
    embedded: bool = False


_FARTHEST = 1.5
"""From 0.5, of a value: those of maps lie from 0 to 1 in training, and elsewhere a little beyond."""

DATA_SETS = {
    "photos": DataSet("photos.photos", resolution=32, crops=True, embedded=True),
    "cifar10": DataSet("pictures.cifar10", resolution=32),
    "celeb_a_hq": DataSet("pictures.celeb_a_hq", resolution=64),
    "celeb_a": DataSet("pictures.celeb_a", resolution=178),
    "imagenette": DataSet("pictures.imagenette", resolution=178),
    "faces": DataSet("pictures.faces", resolution=178),
    "kodak": DataSet("kodak.kodak", resolution=32, crops=True),
    "sdf2d": DataSet("sdf.sdf2d", resolution=178, channels=1, embedded=True),
    "sdf2d_glyphs": DataSet("sdf.sdf2d_glyphs", resolution=178, channels=1),
    "era5": DataSet("maps.era5", resolution=181, channels=1, modality=MAPS),
    "sphere_fields": DataSet("maps.sphere_fields", resolution=181, channels=1, modality=MAPS, embedded=True),
    "shapenet10": DataSet("volumes.shapenet10", resolution=64, channels=1, modality=VOXELS),
    "kaykit_voxels": DataSet("volumes.kaykit_voxels", resolution=64, channels=1, modality=VOXELS),
    "solids": DataSet("volumes.made_up", resolution=64, channels=1, modality=VOXELS, embedded=True),
    "srn_cars": DataSet("scenery.srn_cars", resolution=128, modality=SCENES),
    "kaykit_scenes": DataSet("scenery.kaykit_scenes", resolution=128, modality=SCENES),
    "balls": DataSet("scenery.balls", resolution=128, modality=SCENES, embedded=True),
}


def register(name: str, data_set: DataSet) -> None:
    """Adds a data set to `DATA_SETS`.

    Raises:
      ValueError: if another data set has the name, or gin cannot use it as a scope.
    """
    if DATA_SETS.get(name, data_set) != data_set:
        raise ValueError(f"there is a data set {name!r} already; choose another name")
    if not name.isidentifier():
        raise ValueError(f"a data set's name is a gin scope: letters, digits and underscores, not {name!r}")
    DATA_SETS[name] = data_set


def load(name: str, split: str, *, resolution: int, data_dir: str | None = None) -> Signals:
    """The signals of one split: exported arrays if there are any, else what TFDS has prepared or prepares now.

    Args:
      name: a key of `DATA_SETS`.
      split: "train", "validation" (held out from training) or "test".
      resolution: see `DataSet`; test images of `kodak` are whole all the same.
      data_dir: folder of prepared local copies, `$MSCN_DATA_DIR` if None; exported arrays lie in its `arrays`.

    Raises:
      ValueError: if name or split is unknown, or the data set does not have the resolution.
      MissingDataError: if its files are missing, or both exported arrays and TFDS are.
    """
    if name not in DATA_SETS:
        raise ValueError(f"no data set {name!r}; there are {', '.join(sorted(DATA_SETS))}")
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; there are {', '.join(SPLITS)}")
    named = data_dir or os.environ.get("MSCN_DATA_DIR")
    return cached(name, split, resolution, pathlib.Path(named).expanduser() if named else None)


@functools.cache
def cached(name: str, split: str, resolution: int, folder: pathlib.Path | None) -> Signals:
    """See `load`; read once in a process, for as long as the folder of local copies is the same."""
    exported = arrays.path(folder / arrays.FOLDER, name, resolution, split) if folder else None
    try:
        there = exported and exported.is_file()
        found = arrays.read(exported) if there else _read(name, split, resolution, folder)
    except MissingDataError as error:
        looked = "$MSCN_DATA_DIR is not set" if folder is None else f"Looked for in {folder}"
        none = "" if folder is None or folder.is_dir() else ", which is no folder"
        raise MissingDataError(f"{error} ({looked}{none}.)") from error
    _check(name, split, resolution, found)
    return found


def _check(name: str, split: str, resolution: int, found: Signals) -> None:
    """Raises a ValueError where the first, middle or last signal is not as the data set is said to have them."""
    known = DATA_SETS[name]
    if not isinstance(found, Signals):
        raise ValueError(f"{name}, split {split}, is a {type(found).__name__}; wanted: mscn_flax.data.Signals")
    if found.source not in SOURCES or not len(found):
        has = f"{len(found)} signals of source {found.source!r}"
        raise ValueError(f"{name}, split {split}, has {has}; wanted: some, of {', '.join(SOURCES)}")
    wanted = (*known.modality.shape(resolution), known.channels)
    for index in sorted({0, len(found) // 2, len(found) - 1}):
        values = np.asarray(known.modality.values(found[index]))
        # Pictures to test on may be whole, of any size: what codes patches codes them all.
        whole = known.modality is IMAGES and split == "test" and values.ndim == len(wanted)
        shape = values.shape[-1:] if whole else values.shape[-len(wanted) :]
        if shape != (wanted[-1:] if whole else wanted):
            extent = "x".join(map(str, values.shape))
            raise ValueError(f"{name}, split {split}, has a signal of {extent}; wanted: {'x'.join(map(str, wanted))}")
        if values.dtype != np.uint8 and not (values.dtype.kind == "f" and np.abs(values - 0.5).max() <= _FARTHEST):
            extremes = f"{values.dtype} from {values.min():g} to {values.max():g}"
            raise ValueError(f"{name}, split {split}, has a signal of {extremes}; wanted: uint8, or floats from 0 to 1")


def _read(name: str, split: str, resolution: int, folder: pathlib.Path | None) -> Signals:
    """See `load`; what is not exported."""
    reader = DATA_SETS[name].reader
    # TFDS warns of every folder it looks into in vain; what matters is in the errors raised here.
    logging.getLogger("absl").setLevel(logging.ERROR)
    if callable(reader):
        return reader(split, resolution, folder)
    module, function = reader.split(".")
    try:
        read = getattr(importlib.import_module(f"mscn_flax.data.{module}"), function)
    except ModuleNotFoundError as error:
        raise MissingDataError(
            f"{name} is not at $MSCN_DATA_DIR/{arrays.path(pathlib.Path(arrays.FOLDER), name, resolution, split)}, and "
            f"{error.name}, with which it is prepared, is not installed. Install it, or export the data set where it "
            f"is: `python -m mscn_flax.data export {name} --resolution {resolution} -o FOLDER`."
        ) from error
    return read(split, resolution, folder)
