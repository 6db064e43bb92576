"""Data sets of scenes: where each comes from, and what to do if it is missing."""

import hashlib
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow_datasets as tfds

from mscn_flax.data import store
from mscn_flax.data.local_copy import files_digest, local_file
from mscn_flax.data.made_up import random_scene
from mscn_flax.data.reading import SPLITS, MissingDataError, Scenes
from mscn_flax.modalities import SCENES
from mscn_flax.modalities.cameras import visible
from mscn_flax.modalities.scenes import record

KAYKIT = "scenes/kaykit_multiview_128.npz"
"""Below the folder of prepared local copies; `images` [n, V, 128, 128, 3] uint8, `poses_c2w` [n, V, 4, 4], camera."""

COUNTS = {"train": 60, "validation": 4, "test": 8}
"""Split -> number of made-up scenes."""


def srn_cars(split: str, resolution: int, data_dir: pathlib.Path | None) -> Scenes:
    """Cars of ShapeNet as SRN and pixelNeRF rendered them."""
    folder = data_dir and data_dir / "srn_cars"
    names = {"train": "cars_train", "validation": "cars_val", "test": "cars_test"}
    found = {
        part: sorted(path.parent for path in (folder / name).glob("[!.]*/intrinsics.txt")) if folder else []
        for part, name in names.items()
    }
    if missing := [names[part] for part, scenes in found.items() if not scenes]:
        raise MissingDataError(
            f"$MSCN_DATA_DIR/srn_cars/{missing[0]} has no <scene>/intrinsics.txt. Download srn_cars.zip of pixelNeRF "
            "(linked at https://github.com/sxyu/pixel-nerf; 2,458 scenes to train on, 703 to test on) and unpack it so "
            "that $MSCN_DATA_DIR/srn_cars has cars_train, cars_val and cars_test. Without: use `kaykit_scenes`, or the "
            "embedded stand-in `balls`."
        )
    digest = folders_digest([folder for part in sorted(found) for folder in found[part]])
    scenes = {part: _read(folders, resolution) for part, folders in found.items()}
    return _scenes("srn_cars", "real", f"{resolution}_{digest}", split, resolution, scenes)


def kaykit_scenes(split: str, resolution: int, data_dir: pathlib.Path | None) -> Scenes:
    """Views of the KayKit collections' objects."""
    path = local_file(data_dir, KAYKIT, "`images`, `poses_c2w`, `focal`, `cx`, `cy`, `name`", "balls")
    scenes = {part: _kaykit(part, path, resolution) for part in SPLITS}
    return _scenes("kaykit_scenes", "standin", f"{resolution}_{files_digest([path])}", split, resolution, scenes)


def balls(split: str, resolution: int, data_dir: pathlib.Path | None) -> Scenes:
    """Made-up scenes."""
    del data_dir  # Made up.
    scenes = {part: _made_up(part, resolution) for part in SPLITS}
    return _scenes("balls", "standin", f"{resolution}", split, resolution, scenes)


def folders_digest(folders: Sequence[pathlib.Path]) -> str:
    """A name for several scenes by their cameras' files, and by names and sizes of their pictures.

    Hashing gigabytes of pictures would take longer than reading them.
    """
    digest = hashlib.sha256()
    for folder in folders:
        digest.update(f"{folder.parent.name}/{folder.name}\0".encode())
        for path in [folder / "intrinsics.txt", *visible(folder / "pose", ".txt")]:
            digest.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
        for path in visible(folder / "rgb", ".png"):
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
    return digest.hexdigest()[:12]


def _scenes(name: str, source: str, prepared: str, split: str, side: int, scenes: dict) -> Scenes:
    features = {
        # Not encoded as pictures: a training step reads hundreds of views.
        "views": tfds.features.Tensor(shape=(None, side, side, 3), dtype=np.uint8),
        "poses": tfds.features.Tensor(shape=(None, 4, 4), dtype=np.float32),
        "intrinsics": tfds.features.Tensor(shape=(3,), dtype=np.float32),
    }
    # In the order of the folders, as results per scene are read.
    return Scenes(name, source, store.records(f"scenes_{prepared}", split, features, scenes, ordered=True))


def _read(folders: Sequence[pathlib.Path], side: int) -> Iterator[tuple[int, dict]]:
    for index, folder in enumerate(folders):
        yield index, SCENES.read(folder, side)


def _kaykit(split: str, path: pathlib.Path, side: int) -> Iterator[tuple[int, dict]]:
    with np.load(path) as arrays:
        views, poses = arrays["images"], arrays["poses_c2w"]
        camera = np.array([float(arrays[name]) for name in ("focal", "cx", "cy")])
    for index in range(len(views)):
        # Of eight objects one is for testing, of sixteen one for validation.
        belongs = "test" if index % 8 == 0 else "validation" if index % 16 == 4 else "train"
        if belongs == split:
            yield index, record(views[index], poses[index], camera, side)


def _made_up(split: str, side: int) -> Iterator[tuple[int, dict]]:
    for index in range(COUNTS[split]):
        yield index, random_scene(np.random.default_rng([SPLITS.index(split), index]), side)
