"""Random access to the signals of a data set."""

import dataclasses
import functools
import hashlib
from collections.abc import Sequence

import numpy as np
import PIL.Image
from jaxtyping import Float, UInt8

TRAINING = ("train", "validation")
"""The splits that are not for testing."""

SPLITS = (*TRAINING, "test")


SOURCES = ("real", "subset", "standin")
"""Whether signals are those of the data set named, a part of them, or others in their place."""


class MissingDataError(FileNotFoundError):
    """A data set is missing; the message says what, where to get it, where to put it, and what runs without it."""


@dataclasses.dataclass(frozen=True)
class Signals(Sequence):
    """The signals of one split; `signals[i]` is an array, or arrays by name, as the modality holds a signal.

    Attributes:
      name: name of the data set, as in the column `dataset`.
      source: one of `SOURCES`, as in the column `source`.
      records: what the signals are read from, e.g. a TFDS data source.
    """

    name: str
    source: str
    records: Sequence

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} signals here, there is none at {index}")
        return self._read(self.records[index % len(self)])

    @functools.cached_property
    def fingerprint(self) -> str:
        """See the function of this name."""
        return fingerprint(self)

    def _read(self, record: dict):
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Images(Signals):
    """Pictures and maps; `images[i]` is [H, W, C], uint8 for pictures and float32 in [0, 1] otherwise.

    Attributes:
      resolution: H, in pixels; pictures that are stored larger are reduced by area to H x H. None: each picture keeps
        the size at which it is stored.
      shorter_side: pixels of the shorter side, to which pictures are resized first (bilinear, antialiased); None to
        leave them.
      centre_crop: side of the middle square to which they are cut then, in pixels; None to leave them.
    """

    resolution: int | None
    shorter_side: int | None = None
    centre_crop: int | None = None

    def _read(self, record: dict) -> UInt8[np.ndarray, "H W C"] | Float[np.ndarray, "H W C"]:
        image = record["image"]
        if self.shorter_side is not None:
            factor = self.shorter_side / min(image.shape[:2])
            size = tuple(round(factor * extent) for extent in image.shape[1::-1])
            image = np.asarray(PIL.Image.fromarray(image).resize(size, PIL.Image.Resampling.BILINEAR))
        if self.centre_crop is not None:
            top, left = ((extent - self.centre_crop) // 2 for extent in image.shape[:2])
            image = image[top : top + self.centre_crop, left : left + self.centre_crop]
        if self.resolution in (None, image.shape[0]):
            return image
        if self.resolution > min(image.shape[:2]):
            height, width = image.shape[:2]
            larger = f"a resolution of {self.resolution} would enlarge them"
            raise ValueError(f"{self.name} has pictures of {width}x{height} pixels, {larger}")
        side = (self.resolution, self.resolution)
        return np.asarray(PIL.Image.fromarray(image).resize(side, PIL.Image.Resampling.BOX))


@dataclasses.dataclass(frozen=True)
class Volumes(Signals):
    """Solids as voxels; `volumes[i]` is [D, D, D, 1] float32, 1 inside and 0 outside.

    Attributes:
      side: D, in voxels.
    """

    side: int

    def _read(self, record: dict) -> Float[np.ndarray, "D D D 1"]:
        return np.unpackbits(record["bits"]).reshape(self.side, self.side, self.side, 1).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Scenes(Signals):
    """Views of scenes; `scenes[i]` has views [V, s, s, 3] uint8, poses [V, 4, 4] and intrinsics [3] by name.

    The intrinsics are the focal length, and the column and row of the optical axis, in pixels.
    """

    def _read(self, record: dict) -> dict[str, np.ndarray]:
        return {name: record[name] for name in ("views", "poses", "intrinsics")}


_FEWEST, _MOST, _NUMBERS = 8, 256, 1 << 24
"""How many signals a fingerprint is made of: fewer of large ones, whose numbers are about so many together."""


def fingerprint(signals: Sequence) -> str:
    """Eight hexadecimal digits by which other signals are noticed, not every one: made of some at even distances.

    Of each its shape, mean, spread and a few of its values, so rounded that they are the same on other machines.

    Raises:
      ValueError: where there are no signals.
    """
    if not len(signals):
        raise ValueError("there are no signals")

    def parts(index: int) -> list[np.ndarray]:
        signal = signals[index]
        return [np.asarray(part) for part in (signal.values() if isinstance(signal, dict) else [signal])]

    def told(part: np.ndarray) -> str:
        values = part.ravel()[:: max(1, part.size // 16)].astype(np.float64)
        return f"{part.shape} {part.mean(dtype=np.float64):.3g} {part.std(dtype=np.float64):.3g} {np.round(values, 2)}"

    size = sum(part.size for part in parts(0))
    count = min(_MOST, max(_FEWEST, _NUMBERS // max(size, 1)))
    chosen = np.unique(np.linspace(0, len(signals) - 1, count).astype(int))
    text = "\n".join(told(part) for index in chosen for part in parts(int(index)))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
