"""`scenes`: views of objects on white with the cameras that took them, from SRN's folders, one file, or made up."""

import hashlib
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow_datasets as tfds

from mscn_flax.data.local_copy import LocalCopyConfig
from mscn_flax.data.scenes.made_up import random_scene
from mscn_flax.modalities import SCENES
from mscn_flax.modalities.cameras import visible
from mscn_flax.modalities.scenes import record

KAYKIT = pathlib.Path("scenes") / "kaykit_multiview_128.npz"
"""Below the folder of prepared local copies; `images` [n, V, 128, 128, 3] uint8, `poses_c2w` [n, V, 4, 4], camera."""

COUNTS = {"train": 60, "validation": 4, "test": 8}
"""Split -> number of made-up scenes."""


class ScenesConfig(tfds.core.BuilderConfig):
    """Scenes with views of `side` x `side` pixels."""

    def __init__(
        self,
        *,
        side: int,
        folders: Mapping[str, Sequence[pathlib.Path]] | None = None,
        kaykit: pathlib.Path | None = None,
    ):
        """`folders`: split -> a folder a scene (`Scenes.read`); or `kaykit` (`KAYKIT`); neither for made-up scenes."""
        name = f"{side}"
        if folders is not None:
            name += f"-{folders_digest([folder for split in sorted(folders) for folder in folders[split]])}"
        if kaykit is not None:
            name += f"-{LocalCopyConfig(path=kaykit).name}"
        super().__init__(name=name, description=f"views of {side}x{side} pixels")
        self.side, self.folders, self.kaykit = side, folders, kaykit


class Builder(tfds.core.GeneratorBasedBuilder):
    """Scenes: `Builder(config=ScenesConfig(side=128))`."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        side = self.builder_config.side
        return self.dataset_info_from_configs(
            description=__doc__,
            features=tfds.features.FeaturesDict(
                {
                    # Not encoded as pictures: a step of training reads hundreds of views.
                    "views": tfds.features.Tensor(shape=(None, side, side, 3), dtype=np.uint8),
                    "poses": tfds.features.Tensor(shape=(None, 4, 4), dtype=np.float32),
                    "intrinsics": tfds.features.Tensor(shape=(3,), dtype=np.float32),
                }
            ),
            disable_shuffling=True,  # In the order of the folders, as results per scene are read.
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # Nothing is downloaded.
        return {split: self._generate_examples(split) for split in COUNTS}

    def _generate_examples(self, split: str):
        config = self.builder_config
        if config.kaykit is not None:
            with np.load(config.kaykit) as arrays:
                count = len(arrays["name"])
                taken, poses = arrays["images"], arrays["poses_c2w"]
                camera = np.array([float(arrays[name]) for name in ("focal", "cx", "cy")])
            for index in range(count):
                # Of eight objects one is for testing, of sixteen one for validation.
                belongs = "test" if index % 8 == 0 else "validation" if index % 16 == 4 else "train"
                if belongs == split:
                    yield index, record(taken[index], poses[index], camera, config.side)
        elif config.folders is not None:
            for index, folder in enumerate(config.folders[split]):
                yield index, SCENES.read(folder, config.side)
        else:
            for index in range(COUNTS[split]):
                rng = np.random.default_rng([list(COUNTS).index(split), index])
                yield index, random_scene(rng, config.side)


def folders_digest(folders: Sequence[pathlib.Path]) -> str:
    """Names several scenes by their cameras' files, and by names and sizes of their pictures.

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
