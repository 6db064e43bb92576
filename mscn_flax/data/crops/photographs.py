"""Collections of photographs, read one at a time: (name, pixels) after (name, pixels)."""

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds
from jaxtyping import UInt8


def of_files(paths: Sequence[pathlib.Path]) -> Iterator[tuple[str, UInt8[np.ndarray, "H W 3"]]]:
    """Photographs that lie in files; a name is a file's."""
    for path in paths:
        with PIL.Image.open(path) as opened:
            pixels = np.asarray(opened.convert("RGB"))
        yield path.name, pixels


def of_records(
    builder: tfds.core.DatasetBuilder, part: str, feature: str
) -> Iterator[tuple[str, UInt8[np.ndarray, "H W 3"]]]:
    """Photographs of a prepared data set that keeps no file names; a name is a place in `part`."""
    for index, record in enumerate(builder.as_data_source(part)):
        yield f"{builder.name}/{part}/{index}", record[feature]
