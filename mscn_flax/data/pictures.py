"""Where each data set of pictures comes from: its TFDS builder, its files, and what to do where they are missing."""

import functools
import pathlib
from collections.abc import Mapping, Sequence

import tensorflow_datasets as tfds

from mscn_flax.data import store
from mscn_flax.data.cifar10_subset import cifar10_subset_dataset_builder as cifar10_subset
from mscn_flax.data.crops import crops_dataset_builder as crops_builder
from mscn_flax.data.crops import photographs
from mscn_flax.data.faces import faces_dataset_builder as faces_builder
from mscn_flax.data.kodak import kodak_dataset_builder as kodak_builder
from mscn_flax.data.local_copy import LocalCopyConfig, LocalFilesConfig, files_digest, require_side
from mscn_flax.data.photos import photos_dataset_builder as photos_builder
from mscn_flax.data.reading import TRAINING, Images, MissingDataError
from mscn_flax.data.sdf2d import sdf2d_dataset_builder as sdf2d_builder


def photos(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """Patches of the photographs that come with scikit-image."""
    del data_dir  # The photographs come with scikit-image.
    config = photos_builder.PhotosConfig(resolution=resolution)
    return Images("photos", "standin", store.records(photos_builder.Builder, config, split), resolution)


def cifar10(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """CIFAR-10, whole where TFDS has prepared it, or the subset in a local copy."""
    require_side("cifar10", resolution, 32)
    whole = store.of_tfds("cifar10")
    if store.is_prepared(whole):
        return Images("cifar10", "real", whole.as_data_source(_slice(split)), resolution)
    path = data_dir and data_dir / cifar10_subset.FILE
    if path and path.is_file():
        config = LocalCopyConfig(path=path)
        return Images("cifar10", "subset", store.records(cifar10_subset.Builder, config, _slice(split)), resolution)
    raise MissingDataError(
        f"CIFAR-10 is neither prepared in {store.tfds_dir()} nor at $MSCN_DATA_DIR/{cifar10_subset.FILE}. With a "
        f"network: `tfds build cifar10 --file_format={store.RECORD_FORMAT} --data_dir={store.tfds_dir()}` downloads "
        "and prepares it (170 MB). Without: use the embedded stand-in `photos`."
    )


def celeb_a_hq(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """CelebA-HQ, stored at the smallest of its sizes that is large enough."""
    stored = next((side for side in (64, 128, 256, 512, 1024) if side >= resolution), None)
    if stored is None:
        raise ValueError(f"celeb_a_hq has at most 1024 pixels a side, not {resolution}")
    builder = store.of_tfds(f"celeb_a_hq/{stored}")
    if not store.is_prepared(builder):
        tar = data_dir and data_dir / "celeb_a_hq" / f"data{stored}x{stored}.tar"
        if not (tar and tar.is_file()):
            raise MissingDataError(
                f"CelebA-HQ is not prepared in {store.tfds_dir()}, and "
                f"$MSCN_DATA_DIR/celeb_a_hq/data{stored}x{stored}.tar is missing. TFDS cannot download it: make the "
                "tar of PNG images as "
                "https://github.com/tkarras/progressive_growing_of_gans#preparing-datasets-for-training says, and put "
                "it there. Without: use the embedded stand-in `photos`."
            )
        manual = tfds.download.DownloadConfig(manual_dir=str(tar.parent))
        store.prepare(builder, download_config=manual)
    # 30,000 images in one TFDS split, divided 27,000 / 3,000 as in Functa's code.
    part = {"train": "train[:85%]", "validation": "train[85%:90%]", "test": "train[90%:]"}[split]
    return Images("celeb_a_hq", "real", builder.as_data_source(part), resolution)


def celeb_a(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """CelebA's aligned pictures."""
    del data_dir  # TFDS downloads it.
    builder = store.downloaded("celeb_a", "celeb_a", "CelebA (1.4 GB)", "`faces` or `photos`")
    # The aligned 178 x 218 pictures, cut to their middle square, as in MetaSparseINR's code.
    return Images("celeb_a", "real", builder.as_data_source(split), resolution, centre_crop=178)


def imagenette(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """Imagenette at full size."""
    del data_dir  # TFDS downloads it.
    builder = store.downloaded("imagenette", "imagenette/full-size-v2", "Imagenette (1.5 GB)", "`photos`")
    part = {"train": "train[:95%]", "validation": "train[95%:]", "test": "validation"}[split]
    # As in MetaSparseINR's code.
    source = builder.as_data_source(part)
    return Images("imagenette", "real", source, resolution, shorter_side=200, centre_crop=178)


def faces(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """Portraits in place of CelebA."""
    folder = data_dir and data_dir / faces_builder.FOLDER
    if not (folder and faces_builder.files(folder)):
        raise MissingDataError(
            f"There are no portraits at $MSCN_DATA_DIR/{faces_builder.FOLDER}/*.png. Take the Face Research Lab London "
            "Set (doi:10.6084/m9.figshare.5047666.v5), crop to 178 x 178 pixels with the eyes where CelebA has them, "
            "and name each <expression>_<person>_<camera>.png. Without: use the embedded stand-in `photos`."
        )
    config = LocalFilesConfig(paths=faces_builder.files(folder))
    return Images("faces", "standin", store.records(faces_builder.Builder, config, split), resolution)


def sdf2d(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """Signed distance functions of circles, boxes and polygons."""
    del data_dir  # Made up.
    config = sdf2d_builder.SdfConfig(resolution=resolution)
    return Images("sdf2d", "standin", store.records(sdf2d_builder.Builder, config, split), resolution)


def sdf2d_glyphs(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """Signed distance functions of letters besides."""
    path = data_dir and data_dir / sdf2d_builder.GLYPHS
    if not (path and path.is_file()):
        raise MissingDataError(
            f"There are no font masks at $MSCN_DATA_DIR/{sdf2d_builder.GLYPHS}: an array `bits` of np.packbits of "
            "512 x 512 masks, one row per glyph. Without: use `sdf2d`, which has circles, boxes and polygons."
        )
    config = sdf2d_builder.SdfConfig(resolution=resolution, glyphs=path)
    return Images("sdf2d_glyphs", "standin", store.records(sdf2d_builder.Builder, config, split), resolution)


def kodak(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """Tests on Kodak's whole images; trains on crops of other photographs, the best that are here.

    The name and source of what is returned say which: DIV2K, its stand-in CID22, or the embedded photographs.
    """
    if split != "test":
        return _div2k(split, resolution) or _cid22(split, resolution, data_dir) or photos(split, resolution, data_dir)
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
    return Images("kodak", "real", store.records(kodak_builder.Builder, config, "test"), resolution=None)


def _div2k(split: str, resolution: int) -> Images | None:
    """Crops of DIV2K's training photographs; None where it is not prepared.

    `tfds build div2k/bicubic_x2 --file_format=array_record` downloads and prepares it.
    """
    whole = store.of_tfds("div2k/bicubic_x2")
    if not store.is_prepared(whole):
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
    return store.records(crops_builder.Builder, config, split)


def _slice(split: str) -> str:
    """Our split as TFDS says it: validation is the last twentieth of the training split, never trained on."""
    return {"train": "train[:95%]", "validation": "train[95%:]", "test": "test"}[split]
