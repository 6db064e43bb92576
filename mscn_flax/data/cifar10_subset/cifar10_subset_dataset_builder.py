"""`cifar10_subset`: part of the real CIFAR-10 from one npz file, for machines that cannot download the whole."""

import pathlib

import numpy as np
import tensorflow_datasets as tfds

FILE = pathlib.Path("cifar10") / "cifar10_subset.npz"
"""Below the folder of prepared local copies; arrays x_train, x_test [n, 32, 32, 3] uint8, y_train, y_test [n]."""


class Builder(tfds.core.GeneratorBasedBuilder):
    """CIFAR-10 images of a local npz file: `Builder(config=LocalCopyConfig(path=...))`."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=__doc__,
            homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
            features=tfds.features.FeaturesDict(
                {"image": tfds.features.Image(shape=(32, 32, 3)), "label": tfds.features.ClassLabel(num_classes=10)}
            ),
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # Nothing is downloaded.
        return {split: self._generate_examples(split) for split in ("train", "test")}

    def _generate_examples(self, split: str):
        path = self.builder_config.path
        with np.load(path) as arrays:
            images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
        if images.dtype != np.uint8 or images.shape[1:] != (32, 32, 3):
            raise ValueError(f"{path}: x_{split} is {images.dtype}{images.shape}, expected uint8 [n, 32, 32, 3]")
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, {"image": image, "label": int(label)}
