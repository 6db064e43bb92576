"""`crops`: random square crops of a collection of photographs, any side.

A crop's place depends on nothing but the side, the split and the photograph's number in it. Whoever names the
photographs of the splits sees to it that no photograph is in two.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8

Photographs = Callable[[], Iterable[tuple[str, UInt8[np.ndarray, "H W 3"]]]]
"""Gives (name, pixels) of one photograph after another; it is called, and they are read, only while crops are made."""


class CropsConfig(tfds.core.BuilderConfig):
    """`per_photograph` crops of `side` x `side` pixels of every photograph."""

    def __init__(self, *, source: str, side: int, per_photograph: int, photographs: Mapping[str, Photographs]):
        """`source`: names the collection and its version or digest; `photographs`: split -> where they come from."""
        super().__init__(
            name=f"{source}_{side}x{side}_{per_photograph}",
            description=f"{per_photograph} crops of {side}x{side} of every photograph of {source}",
        )
        self.side = side
        self.per_photograph = per_photograph
        self.photographs = photographs


class Builder(tfds.core.GeneratorBasedBuilder):
    """Crops: `Builder(config=CropsConfig(source=..., side=32, per_photograph=100, photographs=...))`."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        side = self.builder_config.side
        return self.dataset_info_from_configs(
            description=__doc__,
            features=tfds.features.FeaturesDict(
                {"image": tfds.features.Image(shape=(side, side, 3)), "photograph": tfds.features.Text()}
            ),
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # Nothing is downloaded.
        return {split: self._generate_examples(split) for split in self.builder_config.photographs}

    def _generate_examples(self, split: str):
        config = self.builder_config
        for number, (name, pixels) in enumerate(config.photographs[split]()):
            height, width = pixels.shape[:2]
            if min(height, width) < config.side:
                raise ValueError(f"{name} is {width}x{height}, too small for crops of {config.side}x{config.side}")
            rng = np.random.default_rng([config.side, list(config.photographs).index(split), number])
            tops = rng.integers(height - config.side + 1, size=config.per_photograph)
            lefts = rng.integers(width - config.side + 1, size=config.per_photograph)
            for index, (top, left) in enumerate(zip(tops, lefts, strict=True)):
                crop = pixels[top : top + config.side, left : left + config.side]
                yield f"{name}/{index}", {"image": crop, "photograph": name}
