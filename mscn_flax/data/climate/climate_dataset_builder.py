"""`climate`: maps of near-surface temperature on a grid of the globe, from files or made up.

A value is (T - 202.66 K) / 118.27 K: 0 and 1 are the extremes of ERA5's 46 x 90 training set.
"""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow_datasets as tfds

from mscn_flax.data.climate.made_up import random_map
from mscn_flax.data.local_copy import files_digest
from mscn_flax.modalities import MAPS
from mscn_flax.modalities.maps import to_unit

COUNTS = {"train": 400, "validation": 40, "test": 60}
"""Split -> number of made-up maps."""


class ClimateConfig(tfds.core.BuilderConfig):
    """Maps of `height` x `2 (height - 1)` points."""

    def __init__(self, *, height: int, maps: Mapping[str, Sequence[tuple[pathlib.Path, int, int]]] | None = None):
        """`maps`: split -> (file, first map, end) of each; None for made-up maps."""
        name = f"{height}"
        if maps is not None:
            parts = [part for split in sorted(maps) for part in maps[split]]
            ranges = "".join(f"{split}{start}-{end};" for split in sorted(maps) for _, start, end in maps[split])
            name += f"-{files_digest([path for path, _, _ in parts], ranges)}"
        super().__init__(name=name, description=f"{height} x {2 * (height - 1)} points")
        self.height, self.maps = height, maps


class Builder(tfds.core.GeneratorBasedBuilder):
    """Maps of the globe: `Builder(config=ClimateConfig(height=46))`."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        height = self.builder_config.height
        return self.dataset_info_from_configs(
            description=__doc__,
            features=tfds.features.FeaturesDict(
                {"image": tfds.features.Tensor(shape=(height, 2 * (height - 1), 1), dtype=np.float32)}
            ),
            disable_shuffling=True,  # In the order of the files, as results per map are read.
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # Nothing is downloaded.
        return {split: self._generate_examples(split) for split in self.builder_config.maps or COUNTS}

    def _generate_examples(self, split: str):
        config = self.builder_config
        shape = MAPS.shape(config.height)
        if config.maps is None:
            for index in range(COUNTS[split]):
                kelvin = random_map(np.random.default_rng([list(COUNTS).index(split), index]), shape)
                yield index, {"image": to_unit(kelvin)[..., None]}
            return
        number = 0
        for path, start, end in config.maps[split]:
            for image in MAPS.read(path, config.height)[start:end]:
                yield number, {"image": image}
                number += 1
