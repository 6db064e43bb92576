"""Where each data set of scenes comes from, and what to do where it is missing."""

import pathlib

from mscn_flax.data import store
from mscn_flax.data.local_copy import local_file
from mscn_flax.data.reading import MissingDataError, Scenes
from mscn_flax.data.scenes import scenes_dataset_builder as scenes_builder


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
    return _scenes("srn_cars", "real", split, scenes_builder.ScenesConfig(side=resolution, folders=found))


def kaykit_scenes(split: str, resolution: int, data_dir: pathlib.Path | None) -> Scenes:
    """Views of the KayKit collections' objects."""
    path = local_file(data_dir, scenes_builder.KAYKIT, "`images`, `poses_c2w`, `focal`, `cx`, `cy`, `name`", "balls")
    return _scenes("kaykit_scenes", "standin", split, scenes_builder.ScenesConfig(side=resolution, kaykit=path))


def balls(split: str, resolution: int, data_dir: pathlib.Path | None) -> Scenes:
    """Made-up scenes."""
    del data_dir  # Made up.
    return _scenes("balls", "standin", split, scenes_builder.ScenesConfig(side=resolution))


def _scenes(name: str, source: str, split: str, config: scenes_builder.ScenesConfig) -> Scenes:
    return Scenes(name, source, store.records(scenes_builder.Builder, config, split))
