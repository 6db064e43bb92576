"""The 24 Kodak images, whole and in order, for testing; for training crops of other photographs."""

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

from mscn_flax.data import crops, store
from mscn_flax.data.local_copy import files_digest
from mscn_flax.data.photos import photos
from mscn_flax.data.reading import TRAINING, Images, MissingDataError

FILES = [f"kodak/kodim{number:02}.png" for number in range(1, 25)]
"""Below the folder of prepared local copies."""

SIZES = ((768, 512), (512, 768))
"""Width and height: lying and standing images."""


def kodak(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images:
    """Tests on Kodak's whole images; trains on crops of other photographs, the best that are here.

    The name and source of what is returned say which: DIV2K, its stand-in CID22, or the embedded photographs.
    """
    if split != "test":
        return _div2k(split, resolution) or _cid22(split, resolution, data_dir) or photos(split, resolution, data_dir)
    paths = [data_dir / file for file in FILES] if data_dir else []
    missing = [file for file in FILES if not (data_dir and (data_dir / file).is_file())]
    if missing:
        raise MissingDataError(
            f"$MSCN_DATA_DIR/{missing[0]} is missing ({len(missing)} of {len(FILES)} are). "
            "Take kodim01.png to kodim24.png from https://r0k.us/graphics/kodak/ and put them into "
            "$MSCN_DATA_DIR/kodak. Without: use the embedded stand-in `photos`."
        )
    features = {"image": tfds.features.Image(shape=(None, None, 3)), "file": tfds.features.Text()}
    # Image i is kodim(i + 1), as results per image are read.
    images = store.records(f"kodak_{files_digest(paths)}", "test", features, {"test": _images(paths)}, ordered=True)
    return Images("kodak", "real", images, resolution=None)


def _images(paths: Sequence[pathlib.Path]) -> Iterator[tuple[int, dict]]:
    for number, path in enumerate(paths):
        with PIL.Image.open(path) as opened:
            if opened.size not in SIZES or opened.mode != "RGB":
                width, height = opened.size
                raise ValueError(f"{path} is {width}x{height} {opened.mode}, expected 768x512 or 512x768 RGB")
            yield number, {"image": np.asarray(opened), "file": path.name}


def _div2k(split: str, resolution: int) -> Images | None:
    """Crops of DIV2K's training photographs; None if it is not prepared.

    `tfds build div2k/bicubic_x2 --file_format=array_record` downloads and prepares it.
    """
    whole = store.of_tfds("div2k/bicubic_x2")
    if not store.is_prepared(whole):
        return None
    slices = {"train": "train[:95%]", "validation": "train[95%:]"}
    sources = {part: crops.of_records(whole, piece, "hr") for part, piece in slices.items()}
    return Images(
        "div2k", "real", crops.crops(f"div2k-{whole.info.version}", split, resolution, 100, sources), resolution
    )


def _cid22(split: str, resolution: int, data_dir: pathlib.Path | None) -> Images | None:
    """Crops of the photographs at $MSCN_DATA_DIR/photos/{train,val}_*.png; None if there are none."""
    files = {
        part: sorted((data_dir / "photos").glob(pattern)) if data_dir else []
        for part, pattern in zip(TRAINING, ("train_*.png", "val_*.png"), strict=True)
    }
    if not all(files.values()):
        return None
    sources = {part: crops.of_files(paths) for part, paths in files.items()}
    digest = files_digest([path for paths in files.values() for path in paths])
    return Images("cid22", "standin", crops.crops(f"cid22-{digest}", split, resolution, 256, sources), resolution)
