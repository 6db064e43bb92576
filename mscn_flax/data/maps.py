"""Data sets of maps of the globe: where each comes from, and what to do if it is missing.

A value is (T - 202.66 K) / 118.27 K: 0 and 1 are the extremes of ERA5's 46 x 90 training set.
"""

import pathlib
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow_datasets as tfds

from mscn_flax.data import store
from mscn_flax.data.local_copy import files_below, files_digest
from mscn_flax.data.made_up import random_map
from mscn_flax.data.reading import SPLITS, Images, MissingDataError
from mscn_flax.modalities import MAPS
from mscn_flax.modalities.maps import to_unit

COUNTS = {"train": 400, "validation": 40, "test": 60}
"""Split -> number of made-up maps."""

_CMIP6 = "cmip6_canesm5_tas_monthly_1870-1874.npz"
_ERA5_FIELDS = "era5_t2m_181x360.npz"


def era5(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """ERA5's 2 m temperature; if its training years are missing, real fields to test on and CMIP6 to train on.

    The name and source of what is returned say which.
    """
    folder = data_dir and data_dir / "era5"
    found = {part: files_below(folder and folder / part, MAPS.readable) for part in SPLITS}
    if all(found.values()):
        whole = {part: [(path, 0, sys.maxsize) for path in paths] for part, paths in found.items()}
        return Images("era5", "real", _of_files(split, resolution, whole), resolution)
    models, analysed = (data_dir and data_dir / "climate" / name for name in (_CMIP6, _ERA5_FIELDS))
    if not (models and models.is_file() and analysed.is_file()):
        empty = next(part for part, paths in found.items() if not paths)
        raise MissingDataError(
            f"$MSCN_DATA_DIR/era5/{empty} has no {' or '.join(MAPS.readable)}. Register at "
            "https://cds.climate.copernicus.eu (licence: Copernicus), download 2m_temperature of the data set "
            "reanalysis-era5-single-levels as NetCDF on a grid of 1 degree, and put one file per month into "
            "$MSCN_DATA_DIR/era5/{train,validation,test}, divided by years; or COIN++'s era5_temp2m_16x .npz files. "
            "Without: use the embedded stand-in `sphere_fields`."
        )
    if split == "test":
        return Images("era5", "subset", _of_files(split, resolution, {"test": [(analysed, 0, 13)]}), resolution)
    # Five years of monthly means; the last is for validation.
    years = {"train": [(models, 0, 48)], "validation": [(models, 48, 60)]}
    return Images("cmip6", "standin", _of_files(split, resolution, years), resolution)


def sphere_fields(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """Made-up maps."""
    del data_dir  # Made up.
    made = {part: _made_up(part, resolution) for part in SPLITS}
    return Images("sphere_fields", "standin", _records(f"{resolution}", split, resolution, made), resolution)


def _of_files(split: str, height: int, files: dict[str, list[tuple[pathlib.Path, int, int]]]) -> Sequence:
    """Records of maps of `height` x `2 (height - 1)` points; `files`: split -> (file, first map, end) of each."""
    parts = [(part, *piece) for part in sorted(files) for piece in files[part]]
    ranges = "".join(f"{part}{start}-{end};" for part, _, start, end in parts)
    name = f"{height}_{files_digest([path for _, path, _, _ in parts], ranges)}"
    return _records(name, split, height, {part: _read(pieces, height) for part, pieces in files.items()})


def _records(name: str, split: str, height: int, examples: dict) -> Sequence:
    features = {"image": tfds.features.Tensor(shape=(*MAPS.shape(height), 1), dtype=np.float32)}
    # In the order of the files, as results per map are read.
    return store.records(f"maps_{name}", split, features, examples, ordered=True)


def _read(pieces: list[tuple[pathlib.Path, int, int]], height: int) -> Iterator[tuple[int, dict]]:
    maps = (image for path, start, end in pieces for image in MAPS.read(path, height)[start:end])
    for number, image in enumerate(maps):
        yield number, {"image": image}


def _made_up(split: str, height: int) -> Iterator[tuple[int, dict]]:
    for index in range(COUNTS[split]):
        kelvin = random_map(np.random.default_rng([SPLITS.index(split), index]), MAPS.shape(height))
        yield index, {"image": to_unit(kelvin)[..., None]}
