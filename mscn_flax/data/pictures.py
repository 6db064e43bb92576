"""Data sets of pictures: where each comes from, and what to do if it is missing."""

import pathlib
import re
from collections.abc import Iterator, Sequence

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

from mscn_flax.data import store
from mscn_flax.data.local_copy import files_digest, require_side
from mscn_flax.data.reading import SPLITS, Images, MissingDataError

CIFAR10 = "cifar10/cifar10_subset.npz"
"""Below the folder of prepared local copies; arrays x_train, x_test [n, 32, 32, 3] uint8."""

FACES_SIDE = 178
"""Pixels of a portrait, as of CelebA's after the centre crop."""


def cifar10(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """CIFAR-10, whole if TFDS has prepared it, else the subset in a local copy."""
    require_side("cifar10", resolution, 32)
    whole = store.of_tfds("cifar10")
    if store.is_prepared(whole):
        return Images("cifar10", "real", whole.as_data_source(_slice(split)), resolution)
    path = data_dir and data_dir / CIFAR10
    if path and path.is_file():
        features = {"image": tfds.features.Image(shape=(32, 32, 3))}
        images = {part: _cifar10(part, path) for part in ("train", "test")}
        records = store.records(f"cifar10_{files_digest([path])}", _slice(split), features, images)
        return Images("cifar10", "subset", records, resolution)
    raise MissingDataError(
        f"CIFAR-10 is neither prepared in {store.tfds_dir()} nor at $MSCN_DATA_DIR/{CIFAR10}. With a "
        f"network: `tfds build cifar10 --file_format={store.RECORD_FORMAT} --data_dir={store.tfds_dir()}` downloads "
        "and prepares it (170 MB). Without: use the embedded stand-in `photos`."
    )


def celeb_a_hq(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """CelebA-HQ, stored at the smallest of its sizes that is large enough."""
    stored = next((side for side in (64, 128, 256, 512, 1024) if side >= resolution), None)
    if stored is None:
        raise ValueError(f"celeb_a_hq has at most 1024 pixels per side, not {resolution}")
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
    files = sorted((data_dir / "faces").glob("*.png")) if data_dir else []
    portraits = [path for path in files if re.search(r"\d+", path.stem)]
    if not portraits:
        raise MissingDataError(
            "There are no portraits at $MSCN_DATA_DIR/faces/*.png. Take the Face Research Lab London Set "
            "(doi:10.6084/m9.figshare.5047666.v5), crop to 178 x 178 pixels with the eyes where CelebA has them, "
            "and name each <expression>_<person>_<camera>.png. Without: use the embedded stand-in `photos`."
        )
    features = {"image": tfds.features.Image(shape=(FACES_SIDE, FACES_SIDE, 3)), "person": tfds.features.Text()}
    images = {part: _faces(part, portraits) for part in SPLITS}
    records = store.records(f"faces_{files_digest(portraits)}", split, features, images)
    return Images("faces", "standin", records, resolution)


def _cifar10(split: str, path: pathlib.Path) -> Iterator[tuple[int, dict]]:
    with np.load(path) as arrays:
        images = arrays[f"x_{split}"]
    if images.dtype != np.uint8 or images.shape[1:] != (32, 32, 3):
        raise ValueError(f"{path}: x_{split} is {images.dtype}{images.shape}, expected uint8 [n, 32, 32, 3]")
    for index, image in enumerate(images):
        yield index, {"image": image}


def _faces(split: str, portraits: Sequence[pathlib.Path]) -> Iterator[tuple[str, dict]]:
    """The first number in a file's name is the person, and nobody is in two splits.

    Of ten persons one is for validation and two are for testing.
    """
    person_of = {path: re.search(r"\d+", path.stem).group() for path in portraits}
    persons = sorted(set(person_of.values()))
    split_of = ["test", "train", "train", "train", "validation", "test", "train", "train", "train", "train"]
    for path, person in person_of.items():
        if split_of[persons.index(person) % 10] == split:
            with PIL.Image.open(path) as opened:
                pixels = np.asarray(opened.convert("RGB"))
            if pixels.shape != (FACES_SIDE, FACES_SIDE, 3):
                height, width = pixels.shape[:2]
                raise ValueError(f"{path} is {height}x{width}, expected {FACES_SIDE}x{FACES_SIDE}")
            yield path.stem, {"image": pixels, "person": person}


def _slice(split: str) -> str:
    """The split as TFDS writes it: validation is the last twentieth of the training split, never trained on."""
    return {"train": "train[:95%]", "validation": "train[95%:]", "test": "test"}[split]
