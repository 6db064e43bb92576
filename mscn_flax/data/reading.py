"""Random access to a prepared TFDS data set: `images[i]`, and batch = f(seed, step)."""

import contextlib
import dataclasses
import io
import os
from collections.abc import Sequence

import grain
import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8

RECORD_FORMAT = "array_record"
"""The one TFDS file format with random access."""


class MissingDataError(FileNotFoundError):
    """A data set is not here: what is missing, where to get it, where to put it, what runs without it."""


@dataclasses.dataclass(frozen=True)
class Images(Sequence):
    """The images of one split, `[i] -> [H, W, C] uint8`.

    Attributes:
      name: of the data set, as the `dataset` column has it.
      source: "real", "subset" or "standin", as the `source` column has it.
      records: the TFDS data source behind.
      resolution: H = W; images stored larger are reduced by area.
    """

    name: str
    source: str
    records: Sequence
    resolution: int

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index) -> UInt8[np.ndarray, "H W C"]:
        image = self.records[index]["image"]
        if image.shape[0] == self.resolution:
            return image
        import PIL.Image

        side = (self.resolution, self.resolution)
        return np.asarray(PIL.Image.fromarray(image).resize(side, PIL.Image.Resampling.BOX))


def batches(images: Images, batch_size: int, seed: int) -> grain.MapDataset:
    """Shuffled batches without end: `batches(...)[step]` is [B, H, W, C] uint8, a function of (seed, step) alone.

    Every epoch has its own order.

    Raises:
      ValueError: where a batch is larger than the data set.
    """
    if batch_size > len(images):
        raise ValueError(f"batch_size {batch_size} is larger than {images.name}'s {len(images)} training images")
    return grain.MapDataset.source(images).seed(seed).shuffle().repeat().batch(batch_size)


def is_prepared(builder: tfds.core.DatasetBuilder) -> bool:
    """Whether the data set lies prepared, in the format that can be read at random."""
    return builder.is_prepared() and builder.info.file_format.value == RECORD_FORMAT


def prepare(builder: tfds.core.DatasetBuilder, **kwargs) -> None:
    """Builds the data set's records where they are not there yet; atomic, as TFDS does it.

    Args:
      builder: of the data set.
      **kwargs: for `download_and_prepare`.
    """
    if not is_prepared(builder):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        tfds.disable_progress_bar()
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(file_format=RECORD_FORMAT, **kwargs)
