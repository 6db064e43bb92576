"""`voxels`: solids as cubes of voxels, 1 inside and 0 outside, from files or made up."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow_datasets as tfds

from mscn_flax.data.local_copy import LocalCopyConfig, files_digest
from mscn_flax.data.voxels.made_up import random_solid
from mscn_flax.modalities import VOXELS

KAYKIT = pathlib.Path("shapes") / "kaykit_voxels_64.npz"
"""Below the folder of prepared local copies; `bits` [n, 32768] uint8, np.packbits of 64^3 voxels, and `name` [n]."""

COUNTS = {"train": 400, "validation": 20, "test": 40}
"""Split -> number of made-up solids."""


class VoxelsConfig(tfds.core.BuilderConfig):
    """Solids of `side` voxels a side."""

    def __init__(
        self,
        *,
        side: int,
        files: Mapping[str, Sequence[pathlib.Path]] | None = None,
        kaykit: pathlib.Path | None = None,
    ):
        """`files`: split -> a file a solid (`Voxels.read`); or `kaykit` (`KAYKIT`); neither for made-up solids."""
        name = f"{side}"
        if files is not None:
            name += f"-{files_digest([path for split in sorted(files) for path in files[split]])}"
        if kaykit is not None:
            name += f"-{LocalCopyConfig(path=kaykit).name}"
        super().__init__(name=name, description=f"{side}^3 voxels")
        self.side, self.files, self.kaykit = side, files, kaykit


class Builder(tfds.core.GeneratorBasedBuilder):
    """Solids: `Builder(config=VoxelsConfig(side=64))`."""

    VERSION = tfds.core.Version("1.1.0")  # Meshes are filled by flood, not column by column.

    def _info(self) -> tfds.core.DatasetInfo:
        size = self.builder_config.side**3 // 8
        return self.dataset_info_from_configs(
            description=__doc__,
            features=tfds.features.FeaturesDict({"bits": tfds.features.Tensor(shape=(size,), dtype=np.uint8)}),
            disable_shuffling=True,  # In the order of the files, as results per solid are read.
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # Nothing is downloaded.
        return {split: self._generate_examples(split) for split in COUNTS}

    def _generate_examples(self, split: str):
        config = self.builder_config
        if config.kaykit is not None:
            with np.load(config.kaykit) as arrays:
                bits, names = arrays["bits"], arrays["name"]
            for index, name in enumerate(names):
                if split_of(str(name), map(str, names)) == split:
                    yield index, {"bits": bits[index]}
        elif config.files is not None:
            for index, path in enumerate(config.files[split]):
                yield index, {"bits": np.packbits(VOXELS.read(path, config.side) > 0.5)}
        else:
            for index in range(COUNTS[split]):
                rng = np.random.default_rng([list(COUNTS).index(split), index])
                yield index, {"bits": np.packbits(random_solid(rng, config.side) > 0.5)}


def split_of(name: str, names) -> str:
    """The split of an object `<kit>/<kind>_<variant>`: all variants of a kind are in one."""
    kinds = sorted({_kind(other) for other in names})
    return {0: "test", 4: "validation"}.get(kinds.index(_kind(name)) % 8, "train")


def _kind(name: str) -> str:
    return name.split("_")[0]
