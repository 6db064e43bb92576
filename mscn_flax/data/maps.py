"""Where each data set of maps of the globe comes from, and what to do where it is missing."""

import pathlib
import sys
from collections.abc import Mapping, Sequence

from mscn_flax.data import store
from mscn_flax.data.climate import climate_dataset_builder as climate_builder
from mscn_flax.data.local_copy import files_below
from mscn_flax.data.reading import SPLITS, Images, MissingDataError
from mscn_flax.modalities import MAPS

_CMIP6 = "cmip6_canesm5_tas_monthly_1870-1874.npz"
_ERA5_FIELDS = "era5_t2m_181x360.npz"


def era5(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """ERA5's 2 m temperature; where its training years are not here, real fields to test on and CMIP6 to train on.

    The name and source of what is returned say which.
    """
    folder = data_dir and data_dir / "era5"
    found = {part: files_below(folder and folder / part, MAPS.readable) for part in SPLITS}
    if all(found.values()):
        whole = {part: [(path, 0, sys.maxsize) for path in paths] for part, paths in found.items()}
        return Images("era5", "real", _climate(split, resolution, whole), resolution)
    models, analysed = (data_dir and data_dir / "climate" / name for name in (_CMIP6, _ERA5_FIELDS))
    if not (models and models.is_file() and analysed.is_file()):
        empty = next(part for part, paths in found.items() if not paths)
        raise MissingDataError(
            f"$MSCN_DATA_DIR/era5/{empty} has no {' or '.join(MAPS.readable)}. Register at "
            "https://cds.climate.copernicus.eu (licence: Copernicus), download 2m_temperature of the data set "
            "reanalysis-era5-single-levels as NetCDF on a grid of 1 degree, and put one file a month into "
            "$MSCN_DATA_DIR/era5/{train,validation,test}, divided by years; or COIN++'s era5_temp2m_16x .npz files. "
            "Without: use the embedded stand-in `sphere_fields`."
        )
    if split == "test":
        return Images("era5", "subset", _climate(split, resolution, {"test": [(analysed, 0, 13)]}), resolution)
    # Five years of monthly means; the last is for validation.
    years = {"train": [(models, 0, 48)], "validation": [(models, 48, 60)]}
    return Images("cmip6", "standin", _climate(split, resolution, years), resolution)


def sphere_fields(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """Made-up maps."""
    del data_dir  # Made up.
    return Images("sphere_fields", "standin", _climate(split, resolution, None), resolution)


def _climate(split: str, resolution: int, maps: Mapping | None) -> Sequence:
    config = climate_builder.ClimateConfig(height=resolution, maps=maps)
    return store.records(climate_builder.Builder, config, split)
