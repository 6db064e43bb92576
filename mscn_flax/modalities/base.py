"""The protocol of a modality: all that training, codec and benchmarks ask of one kind of signal.

Imports no JAX, as none of the modalities does before it computes a quality or makes a field: the plots use them.
"""

import abc
import dataclasses
import math
import pathlib
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

Signal = np.ndarray | dict[str, np.ndarray]
"""One signal as its modality has it, or several with an axis in front: an array, or arrays by name."""

Cameras = dict[str, np.ndarray]
"""`poses` [V, 4, 4] and `intrinsics` [3], from which a scene is seen."""

MAX_POINTS = 1 << 27
"""Signals of more points are refused by the encoder and by the decoder."""


class Points(NamedTuple):
    """Coordinates, and the values that a field should have there.

    Attributes:
      coords: [*K, N, d], shared by all signals, or [B, *K, N, d].
      targets: [B, *K, N, c]; K as in `MetaLearner.fit`.
    """

    coords: np.ndarray
    targets: np.ndarray


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Which points a training step sees.

    Attributes:
      stride: one random point is drawn from every cell of `stride` points per side of a grid; 1 for all points.
      rounds: draws of points per signal: 1, or one per inner step and one for the outer loss.
      views: number of views of a scene, drawn at random.
      rays: number of rays per view, likewise.
    """

    stride: int = 1
    rounds: int = 1
    views: int = 8
    rays: int = 1024


class Modality(abc.ABC):
    """One kind of signal. `side` is its size: pixels, latitudes or voxels per side of a part, which has a code."""

    name: str  # In models, streams and scopes of gin.
    noun: str  # For people, as are `part` of a signal, `point` of a part and the unit of a `rate`.
    part: str
    point = "pixels"
    rate: str
    dims: int  # Columns of the coordinates.
    in_dim: int  # Inputs of the base network: fewer where coordinates are rays, which are seen at points of space.
    extra_channels = 0  # Outputs of the base network beyond a signal's channels: the density of a scene.
    axes = 2  # Of a part's array, besides its channels.
    several = False  # Whether one signal may be several, which are its parts.
    patch_side: int | None = None  # Of the patches that new models code, where these are a signal's parts.
    in_memory = 1000  # How many signals of a data set a codec is trained on at most.
    readable: tuple[str, ...]  # Endings of files that `read` takes.
    writable: tuple[str, ...]  # Endings of files that `write` makes, the usual one first.

    def __repr__(self) -> str:
        return self.name  # The same in every process: checkpoints are found by it.

    # Points.

    def shape(self, side: int) -> tuple[int, ...]:
        """Extents of the array that a code describes."""
        return (side,) * self.axes

    def size(self, side: int) -> str:
        """Those extents, for people."""
        return f"{'x'.join(map(str, self.shape(side)))} {self.point}"

    @abc.abstractmethod
    def all_coordinates(self, side: int) -> Float[np.ndarray, "N d"]:
        """Coordinates of all points of a part; of a scene, which has none that all share, as many as a view has."""

    @abc.abstractmethod
    def example(self, count: int, channels: int, side: int, sampling: Sampling) -> Signal:
        """Signals of zeros, large enough for `sampling`."""

    def drawn(self, side: int, sampling: Sampling) -> int:
        """Number of points per signal that `draw` draws at once."""
        return math.prod(-(-extent // sampling.stride) for extent in self.shape(side))

    @abc.abstractmethod
    def draw(self, signals: Signal, side: int, sampling: Sampling, rng: np.random.Generator) -> Points:
        """The points of a training step."""

    @abc.abstractmethod
    def observed(
        self, signals: Signal, side: int, steps: int, stride: int = 1, evaluation: Hashable | None = None
    ) -> Points:
        """The points that signals are fitted to in so many inner steps, the same whenever they are asked for.

        Args:
          signals: to be fitted.
          side: of the signals.
          steps: inner steps, each of which has points of its own where it does not see all.
          stride: as `Sampling` has it.
          evaluation: what `evaluation` returns; None for all that there is to see.
        """

    @abc.abstractmethod
    def whole(self, signals: Signal, side: int, evaluation: Hashable | None = None) -> Points:
        """All points that fitted signals are judged at; of scenes with an axis of views, [B, V, N, d]."""

    def held(self, parts: Signal, side: int, steps: int) -> tuple[np.ndarray, ...]:
        """What an encoder holds of parts, one row each, until it makes `points_of` some rows."""
        return tuple(self.observed(parts, side, steps))

    def points_of(self, rows: Sequence[np.ndarray], side: int) -> Points:
        """The points that parts are fitted to."""
        return Points(*rows)

    def every_second(self, side: int) -> Int[np.ndarray, " n"] | None:
        """Indices of a part's points as the white squares of a chessboard lie; None where points lie on no grid."""
        return None

    def evaluation(self) -> Hashable | None:
        """What of a test signal is observed and what is judged, as gin has it; None where both are all of it."""
        return None

    def measured(self, values: np.ndarray, targets: np.ndarray, side: int) -> dict[str, float]:
        """Columns of quality, besides those of the squared error, of one signal's values [N, c] at all points."""
        return {}

    def field(self, network: Callable) -> Callable:
        """The field that maps coordinates to values, around a base network from `in_dim` inputs."""
        return network

    # Coding.

    def values(self, signal: Signal) -> np.ndarray:
        """The array of a signal's values, channels last."""
        return signal

    def extent(self, signal: Signal) -> tuple[int, int]:
        """Height and width of a signal, which the header of its stream tells."""
        return self.values(signal).shape[-1 - self.axes :][:2]

    @abc.abstractmethod
    def split(self, signal: Signal, side: int, channels: int) -> Signal:
        """The parts of a signal that have a code each, along an axis in front.

        Raises:
          ValueError: for what is no such signal.
        """

    def lattice(self, height: int, width: int, parts: int, side: int) -> tuple[int, int]:
        """Rows and columns in which a signal's parts lie: by default one after the other."""
        return parts, 1

    def check_header(self, height: int, width: int, parts: int, side: int) -> None:
        """Raises a ValueError where no signal of parts of this side has such a header."""
        wanted = self.shape(side)[:2]
        if (height, width) != wanted:
            raise ValueError(f"the stream claims {height}x{width} points, the model has {wanted[0]}x{wanted[1]}")
        if not 1 <= parts <= (MAX_POINTS // (height * width) if self.several else 1):
            raise ValueError(f"the stream claims {parts} signals of the kind {self.noun}")

    @abc.abstractmethod
    def describe(self, height: int, width: int, parts: int) -> str:
        """A signal's size by its header, for people."""

    def points(self, height: int, width: int, parts: int) -> int:
        """How many points a rate divides by."""
        return height * width

    def cameras(self, signal: Signal) -> Cameras | None:
        """From where a signal is seen, None where there is no such thing."""
        return None

    @abc.abstractmethod
    def rendered_at(
        self, cameras: Cameras | None, field: Callable, side: int
    ) -> tuple[Float[np.ndarray, "*V N d"], Cameras | None]:
        """The coordinates of codes' values, shared by all parts or of V views of the only one, and the views' cameras.

        Raises:
          ValueError: for cameras of signals that need none.
        """

    def wider_coordinates(self, side: int) -> Float[np.ndarray, "N d"] | None:
        """Coordinates of a part's points and of those next to it; None where parts do not lie side by side."""
        return None

    def blended(self, values: np.ndarray, height: int, width: int, side: int) -> np.ndarray:
        """The values [P, N, c] of all parts from those at `wider_coordinates`, mixed where two parts meet."""
        raise NotImplementedError

    def stored(self, values: Float[np.ndarray, "R N c"]) -> np.ndarray:
        """Values as a signal holds them."""
        return values

    @abc.abstractmethod
    def join(self, values: np.ndarray, height: int, width: int, side: int, cameras: Cameras | None = None) -> Signal:
        """The signal of the values [R, N, c] of all parts, or of the views of cameras; the inverse of `split`."""

    # Files.

    def takes(self, path: pathlib.Path) -> bool:
        """Whether a path looks like one signal."""
        return path.suffix.lower() in self.readable and not path.is_dir()

    @abc.abstractmethod
    def read(self, path: pathlib.Path, side: int | None = None) -> Signal:
        """The signal of a file, brought to a side where one is given and it can be.

        Raises:
          ValueError: in one line, for a file that holds no such signal.
        """

    def check_writable(self, path: pathlib.Path) -> None:
        """Raises a ValueError where `write` could not write such a file."""
        if path.suffix.lower() not in self.writable:
            raise ValueError(f"{path} must end in one of {', '.join(self.writable)}, which hold a {self.noun}")

    def replaceable(self, path: pathlib.Path) -> bool:
        """Whether `write` can take the place of what is there."""
        return not path.is_dir()

    @abc.abstractmethod
    def write(self, path: pathlib.Path, signal: Signal) -> None:
        """Writes a signal, whole or not at all."""

    @abc.abstractmethod
    def errors(self, signal: Signal, decoded: Signal) -> dict[str, float]:
        """How far a decoded signal is off, in the modality's own units."""

    @abc.abstractmethod
    def described(self, errors: dict[str, float]) -> str:
        """The numbers of `errors`, for people."""

    # What Table 1 keeps for its figures.

    def shown(self, targets: Float[np.ndarray, "B *V N c"], side: int, count: int) -> Int[np.ndarray, " n"]:
        """Which signals' values are kept, at most `count`."""
        return np.arange(min(count, len(targets)))

    def compact(self, values: Float[np.ndarray, "n *V N c"]) -> np.ndarray:
        """The values as they are kept: 16 bits are finer than any difference that a figure shows."""
        return np.clip(values, -0.5, 1.5).astype(np.float16)

    def film(self, signals: Signal, side: int, frames: int) -> Float[np.ndarray, "F N d"] | None:
        """Coordinates of the frames of a turn around the first signal, None where there is no such thing."""
        return None
