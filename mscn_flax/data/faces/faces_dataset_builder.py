"""`faces`: portraits from a folder of PNG files, split by person, in place of CelebA.

The first number in a file's name is the person: of ten persons one is for validation and two are for testing, so that
nobody is in two splits.
"""

import pathlib
import re

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

FOLDER = pathlib.Path("faces")
"""Below the folder of prepared local copies: <expression>_<person>_<camera>.png, 178 x 178."""

SIDE = 178
"""Pixels, as CelebA's after the centre crop."""


def files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The portraits of a folder, in order."""
    return sorted(path for path in folder.glob("*.png") if re.search(r"\d+", path.stem))


class Builder(tfds.core.GeneratorBasedBuilder):
    """Portraits: `Builder(config=LocalFilesConfig(paths=files(folder)))`."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=__doc__,
            homepage="https://doi.org/10.6084/m9.figshare.5047666.v5",
            features=tfds.features.FeaturesDict(
                {"image": tfds.features.Image(shape=(SIDE, SIDE, 3)), "person": tfds.features.Text()}
            ),
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # Nothing is downloaded.
        return {split: self._generate_examples(split) for split in ("train", "validation", "test")}

    def _generate_examples(self, split: str):
        found = self.builder_config.paths
        person_of = {path: re.search(r"\d+", path.stem).group() for path in found}
        persons = sorted(set(person_of.values()))
        split_of = ["test", "train", "train", "train", "validation", "test", "train", "train", "train", "train"]
        for path in found:
            if split_of[persons.index(person_of[path]) % 10] == split:
                with PIL.Image.open(path) as opened:
                    pixels = np.asarray(opened.convert("RGB"))
                if pixels.shape != (SIDE, SIDE, 3):
                    raise ValueError(f"{path} is {pixels.shape[0]}x{pixels.shape[1]}, expected {SIDE}x{SIDE}")
                yield path.stem, {"image": pixels, "person": person_of[path]}
