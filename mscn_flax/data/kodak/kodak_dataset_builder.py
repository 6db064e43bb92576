"""`kodak`: the 24 Kodak images, whole and in order, from a folder of PNG files; for testing only."""

import pathlib

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

FOLDER = pathlib.Path("kodak")
"""Below the folder of prepared local copies: kodim01.png to kodim24.png."""

SIZES = ((768, 512), (512, 768))
"""Width and height: lying and standing images."""


def files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Where the images are expected, in order."""
    return [folder / f"kodim{number:02}.png" for number in range(1, 25)]


class Builder(tfds.core.GeneratorBasedBuilder):
    """The Kodak images: `Builder(config=LocalFilesConfig(paths=files(folder)))`."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=__doc__,
            homepage="https://r0k.us/graphics/kodak/",
            features=tfds.features.FeaturesDict(
                {"image": tfds.features.Image(shape=(None, None, 3)), "file": tfds.features.Text()}
            ),
            disable_shuffling=True,  # Image i is kodim(i + 1), as results per image are read.
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # Nothing is downloaded.
        return {"test": self._generate_examples()}

    def _generate_examples(self):
        # The keys are numbers: unshuffled records are stored in the order of their keys.
        for number, path in enumerate(self.builder_config.paths):
            with PIL.Image.open(path) as opened:
                if opened.size not in SIZES or opened.mode != "RGB":
                    width, height = opened.size
                    raise ValueError(f"{path} is {width}x{height} {opened.mode}, expected 768x512 or 512x768 RGB")
                pixels = np.asarray(opened)
            yield number, {"image": pixels, "file": path.name}
