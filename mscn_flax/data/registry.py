"""Name -> data set: which builder, where its files are expected, what to do where they are missing.

To add a data set, write its TFDS builder in a package of its own beside `photos`, and a function here.
"""

import functools
import logging
import os
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import tensorflow_datasets as tfds

from mscn_flax.data.cifar10_subset import cifar10_subset_dataset_builder as cifar10_subset
from mscn_flax.data.climate import climate_dataset_builder as climate_builder
from mscn_flax.data.crops import crops_dataset_builder as crops_builder
from mscn_flax.data.crops import photographs
from mscn_flax.data.faces import faces_dataset_builder as faces_builder
from mscn_flax.data.kodak import kodak_dataset_builder as kodak_builder
from mscn_flax.data.local_copy import LocalCopyConfig, LocalFilesConfig, files_digest
from mscn_flax.data.photos import photos_dataset_builder as photos_builder
from mscn_flax.data.reading import (
    RECORD_FORMAT,
    Images,
    MissingDataError,
    Scenes,
    Signals,
    Volumes,
    is_prepared,
    prepare,
)
from mscn_flax.data.scenes import scenes_dataset_builder as scenes_builder
from mscn_flax.data.sdf2d import sdf2d_dataset_builder as sdf2d_builder
from mscn_flax.data.voxels import voxels_dataset_builder as voxels_builder
from mscn_flax.modalities import IMAGES, MAPS, SCENES, VOXELS, Modality

TRAINING = ("train", "validation")
"""The splits that are not for testing."""

SPLITS = (*TRAINING, "test")


def tfds_dir() -> pathlib.Path:
    """Where prepared TFDS data sets lie: $TFDS_DATA_DIR, or TFDS's own default."""
    return pathlib.Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()


def _photos(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    del data_dir  # The photographs come with scikit-image.
    config = photos_builder.PhotosConfig(resolution=resolution)
    builder = photos_builder.Builder(config=config, data_dir=tfds_dir(), file_format=RECORD_FORMAT)
    prepare(builder)
    return Images("photos", "standin", builder.as_data_source(split), resolution)


def _cifar10(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    _require_side("cifar10", resolution, 32)
    whole = tfds.builder("cifar10", data_dir=tfds_dir(), file_format=RECORD_FORMAT)
    if is_prepared(whole):
        return Images("cifar10", "real", whole.as_data_source(_slice(split)), resolution)
    path = data_dir and data_dir / cifar10_subset.FILE
    if path and path.is_file():
        config = LocalCopyConfig(path=path)
        builder = cifar10_subset.Builder(config=config, data_dir=tfds_dir(), file_format=RECORD_FORMAT)
        prepare(builder)
        return Images("cifar10", "subset", builder.as_data_source(_slice(split)), resolution)
    raise MissingDataError(
        f"CIFAR-10 is neither prepared in {tfds_dir()} nor at $MSCN_DATA_DIR/{cifar10_subset.FILE}. With a network: "
        f"`tfds build cifar10 --file_format={RECORD_FORMAT} --data_dir={tfds_dir()}` downloads and prepares it "
        "(170 MB). Without: use the embedded stand-in `photos`."
    )


def _celeb_a_hq(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    stored = next((side for side in (64, 128, 256, 512, 1024) if side >= resolution), None)
    if stored is None:
        raise ValueError(f"celeb_a_hq has at most 1024 pixels a side, not {resolution}")
    builder = tfds.builder(f"celeb_a_hq/{stored}", data_dir=tfds_dir(), file_format=RECORD_FORMAT)
    if not is_prepared(builder):
        tar = data_dir and data_dir / "celeb_a_hq" / f"data{stored}x{stored}.tar"
        if not (tar and tar.is_file()):
            raise MissingDataError(
                f"CelebA-HQ is not prepared in {tfds_dir()}, and $MSCN_DATA_DIR/celeb_a_hq/data{stored}x{stored}.tar "
                "is missing. TFDS cannot download it: make the tar of PNG images as "
                "https://github.com/tkarras/progressive_growing_of_gans#preparing-datasets-for-training says, and put "
                "it there. Without: use the embedded stand-in `photos`."
            )
        manual = tfds.download.DownloadConfig(manual_dir=str(tar.parent))
        prepare(builder, download_config=manual)
    # 30,000 images in one TFDS split, divided 27,000 / 3,000 as in Functa's code.
    part = {"train": "train[:85%]", "validation": "train[85%:90%]", "test": "train[90%:]"}[split]
    return Images("celeb_a_hq", "real", builder.as_data_source(part), resolution)


def _celeb_a(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    del data_dir  # TFDS downloads it.
    builder = _downloaded("celeb_a", "celeb_a", "CelebA (1.4 GB)", "`faces` or `photos`")
    # The aligned 178 x 218 pictures, cut to their middle square, as in MetaSparseINR's code.
    return Images("celeb_a", "real", builder.as_data_source(split), resolution, centre_crop=178)


def _imagenette(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    del data_dir  # TFDS downloads it.
    builder = _downloaded("imagenette", "imagenette/full-size-v2", "Imagenette (1.5 GB)", "`photos`")
    part = {"train": "train[:95%]", "validation": "train[95%:]", "test": "validation"}[split]
    # As in MetaSparseINR's code.
    source = builder.as_data_source(part)
    return Images("imagenette", "real", source, resolution, shorter_side=200, centre_crop=178)


def _faces(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    folder = data_dir and data_dir / faces_builder.FOLDER
    if not (folder and faces_builder.files(folder)):
        raise MissingDataError(
            f"There are no portraits at $MSCN_DATA_DIR/{faces_builder.FOLDER}/*.png. Take the Face Research Lab London "
            "Set (doi:10.6084/m9.figshare.5047666.v5), crop to 178 x 178 pixels with the eyes where CelebA has them, "
            "and name each <expression>_<person>_<camera>.png. Without: use the embedded stand-in `photos`."
        )
    config = LocalFilesConfig(paths=faces_builder.files(folder))
    builder = faces_builder.Builder(config=config, data_dir=tfds_dir(), file_format=RECORD_FORMAT)
    prepare(builder)
    return Images("faces", "standin", builder.as_data_source(split), resolution)


def _sdf2d(split: str, resolution: int, data_dir: pathlib.Path | None, *, glyphs: bool = False) -> Images:
    path = None
    if glyphs:
        path = data_dir and data_dir / sdf2d_builder.GLYPHS
        if not (path and path.is_file()):
            raise MissingDataError(
                f"There are no font masks at $MSCN_DATA_DIR/{sdf2d_builder.GLYPHS}: an array `bits` of np.packbits of "
                "512 x 512 masks, a row a glyph. Without: use `sdf2d`, which has circles, boxes and polygons."
            )
    config = sdf2d_builder.SdfConfig(resolution=resolution, glyphs=path)
    builder = sdf2d_builder.Builder(config=config, data_dir=tfds_dir(), file_format=RECORD_FORMAT)
    prepare(builder)
    name = "sdf2d_glyphs" if glyphs else "sdf2d"
    return Images(name, "standin", builder.as_data_source(split), resolution)


def _kodak(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """Tests on Kodak's whole images; trains on crops of other photographs, the best that are here.

    The name and source of what is returned say which: DIV2K, its stand-in CID22, or the embedded photographs.
    """
    if split != "test":
        return _div2k(split, resolution) or _cid22(split, resolution, data_dir) or _photos(split, resolution, data_dir)
    folder = data_dir and data_dir / kodak_builder.FOLDER
    expected = kodak_builder.files(folder or kodak_builder.FOLDER)
    missing = [path.name for path in expected if not (folder and path.is_file())]
    if missing:
        raise MissingDataError(
            f"$MSCN_DATA_DIR/{kodak_builder.FOLDER}/{missing[0]} is missing ({len(missing)} of {len(expected)} are). "
            "Take kodim01.png to kodim24.png from https://r0k.us/graphics/kodak/ and put them into "
            f"$MSCN_DATA_DIR/{kodak_builder.FOLDER}. Without: use the embedded stand-in `photos`."
        )
    config = LocalFilesConfig(paths=kodak_builder.files(folder))
    builder = kodak_builder.Builder(config=config, data_dir=tfds_dir(), file_format=RECORD_FORMAT)
    prepare(builder)
    return Images("kodak", "real", builder.as_data_source("test"), resolution=None)


def _div2k(split: str, resolution: int) -> Images | None:
    """Crops of DIV2K's training photographs; None where it is not prepared.

    `tfds build div2k/bicubic_x2 --file_format=array_record` downloads and prepares it.
    """
    whole = tfds.builder("div2k/bicubic_x2", data_dir=tfds_dir(), file_format=RECORD_FORMAT)
    if not is_prepared(whole):
        return None
    sources = {part: functools.partial(photographs.of_records, whole, _slice(part), "hr") for part in TRAINING}
    records = _crops(f"div2k-{whole.info.version}", split, resolution, 100, sources)
    return Images("div2k", "real", records, resolution)


def _cid22(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images | None:
    """Crops of the photographs at $MSCN_DATA_DIR/photos/{train,val}_*.png; None where there are none."""
    files = {
        part: sorted((data_dir / "photos").glob(pattern)) if data_dir else []
        for part, pattern in zip(TRAINING, ("train_*.png", "val_*.png"), strict=True)
    }
    if not all(files.values()):
        return None
    sources = {part: functools.partial(photographs.of_files, paths) for part, paths in files.items()}
    digest = files_digest([path for paths in files.values() for path in paths])
    return Images("cid22", "standin", _crops(f"cid22-{digest}", split, resolution, 256, sources), resolution)


def _crops(source: str, split: str, side: int, per_photograph: int, sources: Mapping) -> Sequence:
    """Makes the crops once, of `sources`: split -> photographs."""
    config = crops_builder.CropsConfig(source=source, side=side, per_photograph=per_photograph, photographs=sources)
    builder = crops_builder.Builder(config=config, data_dir=tfds_dir(), file_format=RECORD_FORMAT)
    prepare(builder)
    return builder.as_data_source(split)


def _era5(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """ERA5's 2 m temperature; where its training years are not here, real fields to test on and CMIP6 to train on.

    The name and source of what is returned say which.
    """
    folder = data_dir and data_dir / "era5"
    found = {part: _files(folder and folder / part, MAPS.readable) for part in SPLITS}
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


_CMIP6 = "cmip6_canesm5_tas_monthly_1870-1874.npz"
_ERA5_FIELDS = "era5_t2m_181x360.npz"


def _sphere_fields(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    del data_dir  # Made up.
    return Images("sphere_fields", "standin", _climate(split, resolution, None), resolution)


def _climate(split: str, resolution: int, maps: Mapping | None) -> Sequence:
    config = climate_builder.ClimateConfig(height=resolution, maps=maps)
    builder = climate_builder.Builder(config=config, data_dir=tfds_dir(), file_format=RECORD_FORMAT)
    prepare(builder)
    return builder.as_data_source(split)


def _files(folder: pathlib.Path | None, endings: Sequence[str]) -> list[pathlib.Path]:
    """All files below a folder with one of the endings, in order; none where there is no folder."""
    if not (folder and folder.is_dir()):
        return []
    return sorted(path for path in folder.rglob("*") if path.suffix in endings)


def _shapenet10(split: str, resolution: int, data_dir: pathlib.Path | None) -> Volumes:
    folder = data_dir and data_dir / "shapenet10"
    found = {part: _files(folder and folder / part, VOXELS.readable) for part in SPLITS}
    if missing := [part for part, paths in found.items() if not paths]:
        raise MissingDataError(
            f"$MSCN_DATA_DIR/shapenet10/{missing[0]} has no {' or '.join(VOXELS.readable)}. Register at "
            "https://shapenet.org (terms: research, no redistribution), download ShapeNetCore.v2, and put each model's "
            "models/model_normalized.solid.binvox or .obj, of the ten largest classes, into "
            "$MSCN_DATA_DIR/shapenet10/{train,validation,test}/<class>/<model>/; .npy of "
            f"{resolution}^3 voxels will do too. Without: use `kaykit_voxels`, or the embedded stand-in `solids`."
        )
    return _volumes("shapenet10", "real", split, voxels_builder.VoxelsConfig(side=resolution, files=found))


def _kaykit_voxels(split: str, resolution: int, data_dir: pathlib.Path | None) -> Volumes:
    _require_side("kaykit_voxels", resolution, 64)
    path = _local(
        data_dir, voxels_builder.KAYKIT, "`bits` (np.packbits of 64^3 voxels, a row a solid), `name`", "solids"
    )
    return _volumes("kaykit_voxels", "standin", split, voxels_builder.VoxelsConfig(side=64, kaykit=path))


def _solids(split: str, resolution: int, data_dir: pathlib.Path | None) -> Volumes:
    del data_dir  # Made up.
    return _volumes("solids", "standin", split, voxels_builder.VoxelsConfig(side=resolution))


def _volumes(name: str, source: str, split: str, config: voxels_builder.VoxelsConfig) -> Volumes:
    builder = voxels_builder.Builder(config=config, data_dir=tfds_dir(), file_format=RECORD_FORMAT)
    prepare(builder)
    return Volumes(name, source, builder.as_data_source(split), config.side)


def _srn_cars(split: str, resolution: int, data_dir: pathlib.Path | None) -> Scenes:
    folder = data_dir and data_dir / "srn_cars"
    names = {"train": "cars_train", "validation": "cars_val", "test": "cars_test"}
    found = {
        part: sorted(path.parent for path in (folder / name).glob("*/intrinsics.txt")) if folder else []
        for part, name in names.items()
    }
    if missing := [names[part] for part, scenes in found.items() if not scenes]:
        raise MissingDataError(
            f"$MSCN_DATA_DIR/srn_cars/{missing[0]} has no <scene>/intrinsics.txt. Download srn_cars.zip of pixelNeRF "
            "(linked at https://github.com/sxyu/pixel-nerf; 2,458 scenes to train on, 703 to test on) and unpack it so "
            "that $MSCN_DATA_DIR/srn_cars has cars_train, cars_val and cars_test. Without: use `kaykit_scenes`, or the "
            "embedded stand-in `balls`."
        )
    return _scenes("srn_cars", "real", split, scenes_builder.ScenesConfig(side=resolution, folders=found))


def _kaykit_scenes(split: str, resolution: int, data_dir: pathlib.Path | None) -> Scenes:
    path = _local(data_dir, scenes_builder.KAYKIT, "`images`, `poses_c2w`, `focal`, `cx`, `cy`, `name`", "balls")
    return _scenes("kaykit_scenes", "standin", split, scenes_builder.ScenesConfig(side=resolution, kaykit=path))


def _balls(split: str, resolution: int, data_dir: pathlib.Path | None) -> Scenes:
    del data_dir  # Made up.
    return _scenes("balls", "standin", split, scenes_builder.ScenesConfig(side=resolution))


def _scenes(name: str, source: str, split: str, config: scenes_builder.ScenesConfig) -> Scenes:
    builder = scenes_builder.Builder(config=config, data_dir=tfds_dir(), file_format=RECORD_FORMAT)
    prepare(builder)
    return Scenes(name, source, builder.as_data_source(split))


def _local(data_dir: pathlib.Path | None, file: pathlib.Path, content: str, standin: str) -> pathlib.Path:
    """The path of a prepared local copy.

    Raises:
      MissingDataError: where there is none.
    """
    path = data_dir and data_dir / file
    if not (path and path.is_file()):
        raise MissingDataError(
            f"$MSCN_DATA_DIR/{file} is missing: an .npz with {content}. Without: use the embedded stand-in `{standin}`."
        )
    return path


def _downloaded(name: str, config: str, title: str, standins: str) -> tfds.core.DatasetBuilder:
    """The builder of a data set that TFDS downloads.

    Raises:
      MissingDataError: where it is not prepared.
    """
    builder = tfds.builder(config, data_dir=tfds_dir(), file_format=RECORD_FORMAT)
    if not is_prepared(builder):
        raise MissingDataError(
            f"{name} is not prepared in {tfds_dir()}. With a network: `tfds build {config} "
            f"--file_format={RECORD_FORMAT} --data_dir={tfds_dir()}` downloads and prepares {title}. Without: use the "
            f"stand-in {standins}."
        )
    return builder


class DataSet(NamedTuple):
    """How a data set is read.

    Attributes:
      read: function of (split, resolution, folder of local copies).
      resolution: pixels a side, latitudes or voxels a side in the experiments that do not say otherwise.
      channels: c, values a point.
      modality: what kind of signals they are.
      embedded: needs no files, so that it is always there; its first use at a resolution may take minutes to make it.
    """

    read: Callable[[str, int, pathlib.Path | None], Signals]
    resolution: int
    channels: int = 3
    modality: Modality = IMAGES
    embedded: bool = False


DATA_SETS = {
    "photos": DataSet(_photos, resolution=32, embedded=True),
    "cifar10": DataSet(_cifar10, resolution=32),
    "celeb_a_hq": DataSet(_celeb_a_hq, resolution=64),
    "celeb_a": DataSet(_celeb_a, resolution=178),
    "imagenette": DataSet(_imagenette, resolution=178),
    "faces": DataSet(_faces, resolution=178),
    "kodak": DataSet(_kodak, resolution=32),
    "sdf2d": DataSet(_sdf2d, resolution=178, channels=1, embedded=True),
    "sdf2d_glyphs": DataSet(functools.partial(_sdf2d, glyphs=True), resolution=178, channels=1),
    "era5": DataSet(_era5, resolution=181, channels=1, modality=MAPS),
    "sphere_fields": DataSet(_sphere_fields, resolution=181, channels=1, modality=MAPS, embedded=True),
    "shapenet10": DataSet(_shapenet10, resolution=64, channels=1, modality=VOXELS),
    "kaykit_voxels": DataSet(_kaykit_voxels, resolution=64, channels=1, modality=VOXELS),
    "solids": DataSet(_solids, resolution=64, channels=1, modality=VOXELS, embedded=True),
    "srn_cars": DataSet(_srn_cars, resolution=128, modality=SCENES),
    "kaykit_scenes": DataSet(_kaykit_scenes, resolution=128, modality=SCENES),
    "balls": DataSet(_balls, resolution=128, modality=SCENES, embedded=True),
}


def _slice(split: str) -> str:
    """Our split as TFDS says it: validation is the last twentieth of the training split, never trained on."""
    return {"train": "train[:95%]", "validation": "train[95%:]", "test": "test"}[split]


def _require_side(name: str, resolution: int, side: int) -> None:
    if resolution != side:
        raise ValueError(f"{name} has {side}x{side} images, not {resolution}x{resolution}")


@functools.cache
def load(name: str, split: str, *, resolution: int, data_dir: str | None = None) -> Signals:
    """The signals of one split.

    Args:
      name: a key of `DATA_SETS`.
      split: "train", "validation" (held out from training) or "test".
      resolution: see `DataSet`; test images of `kodak` are whole all the same.
      data_dir: folder of prepared local copies, `$MSCN_DATA_DIR` where None.

    Raises:
      ValueError: for an unknown name or split, or a resolution the data set does not have.
      MissingDataError: where its files are not here.
    """
    if name not in DATA_SETS:
        raise ValueError(f"no data set {name!r}; there are {', '.join(sorted(DATA_SETS))}")
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; there are train, validation, test")
    # TFDS warns of every folder it looks into in vain; what matters is in the errors raised here.
    logging.getLogger("absl").setLevel(logging.ERROR)
    folder = data_dir or os.environ.get("MSCN_DATA_DIR")
    return DATA_SETS[name].read(split, resolution, pathlib.Path(folder).expanduser() if folder else None)
