"""Modalities whose signals lie on one grid of points, which they share: arrays [B, *shape, c]."""

import functools
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from jaxtyping import Float, Int

from mscn_flax.modalities.base import MAX_POINTS, Cameras, Modality, Points, Sampling, Signal
from mscn_flax.modalities.values import array_to_targets


class Grid(Modality):
    """What images, maps and voxels have in common."""

    @property
    def in_dim(self) -> int:
        return self.dims

    def coordinates(self, shape: tuple[int, ...]) -> Float[np.ndarray, "N d"]:
        """Those of a grid of this shape."""
        return grid_coordinates(shape)

    def all_coordinates(self, side: int) -> Float[np.ndarray, "N d"]:
        return _once(self.coordinates, self.shape(side))

    def example(self, count: int, channels: int, side: int, sampling: Sampling) -> np.ndarray:
        return np.zeros((count, *self.shape(side), channels), np.float32)

    def whole(self, signals: np.ndarray, side: int, evaluation: Hashable | None = None) -> Points:
        return Points(self.all_coordinates(side), array_to_targets(signals, self.axes))

    def draw(self, signals: np.ndarray, side: int, sampling: Sampling, rng: np.random.Generator) -> Points:
        """Random points, the same of all signals."""
        points = self.whole(signals, side)
        if sampling.stride == 1:
            return points
        drawn = [stratified_points(self.shape(side), sampling.stride, rng) for _ in range(sampling.rounds)]
        chosen = drawn[0] if sampling.rounds == 1 else np.stack(drawn)
        return Points(points.coords[chosen], points.targets[:, chosen])

    def observed(
        self, signals: np.ndarray, side: int, steps: int, stride: int = 1, evaluation: Hashable | None = None
    ) -> Points:
        """All points, or one of each cell of `stride` points per side, drawn afresh for each inner step."""
        sampling = Sampling(stride, 1 if stride == 1 else steps)
        return self.draw(signals, side, sampling, np.random.default_rng(0))

    def held(self, parts: np.ndarray, side: int, steps: int) -> tuple[np.ndarray, ...]:
        """The parts themselves: a large picture's targets take gigabytes."""
        return (parts,)

    def points_of(self, rows: Sequence[np.ndarray], side: int) -> Points:
        return self.whole(*rows, side)

    def every_second(self, side: int) -> Int[np.ndarray, " n"]:
        return np.flatnonzero(np.indices(self.shape(side)).sum(axis=0).ravel() % 2 == 0)

    def split(self, signal: Signal, side: int, channels: int) -> Float[np.ndarray, "P *shape c"]:
        """The signals [*P, *shape, c] that have a code each, with an axis in front."""
        wanted, is_array = (*self.shape(side), channels), isinstance(signal, np.ndarray)
        fits = is_array and signal.dtype == np.float32 and signal.size and signal.shape[-len(wanted) :] == wanted
        if not fits or signal.ndim > len(wanted) + self.several:
            got = f"{list(signal.shape)} {signal.dtype}" if is_array else "a scene"
            raise ValueError(f"need a {self.noun} of {list(wanted)} float32, got {got}")
        if not np.isfinite(signal).all():
            raise ValueError(f"the {self.noun} has values that are not finite")
        if signal.size > MAX_POINTS:
            raise ValueError(f"{signal.size} values are more than {MAX_POINTS}")
        return signal.reshape(-1, *wanted)

    def join(self, values: np.ndarray, height: int, width: int, side: int, cameras: Cameras | None = None) -> Signal:
        several = (len(values),) if self.several else ()
        return values.reshape(*several, *self.shape(side), values.shape[-1])

    def rendered_at(
        self, cameras: Cameras | None, field: Callable, side: int
    ) -> tuple[Float[np.ndarray, "N d"], Cameras | None]:
        if cameras is not None:
            raise ValueError(f"cameras are for scenes; the stream holds a {self.noun}")
        return self.all_coordinates(side), None


@functools.cache
def _once(coordinates: Callable, shape: tuple[int, ...]) -> Float[np.ndarray, "N d"]:
    """A grid's coordinates, which every step needs and nobody may change."""
    made = coordinates(shape)
    made.flags.writeable = False
    return made


def grid_coordinates(shape: tuple[int, ...]) -> Float[np.ndarray, "N d"]:
    """Centres of the cells of a regular grid over the unit cube, N = prod(shape), d = len(shape), axis 0 slowest.

    As in Functa's code; COIN++ and MetaSparseINR space the same grid from 0 to 1, 1 included or excluded.

    Raises:
      ValueError: where an extent is not positive.
    """
    if not shape or min(shape) < 1:
        raise ValueError(f"a grid needs positive extents, got {shape}")
    axes = [(np.arange(n, dtype=np.float32) + 0.5) / n for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(shape)).astype(np.float32)


def stratified_points(shape: tuple[int, ...], stride: int, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Indices of a grid's points: one drawn uniformly from every cell of `stride` points per side.

    Even coverage makes the loss on these n = prod(ceil(extent / stride)) points a far better estimate than n
    independent points. Where `stride` does not divide an extent, the last cells are smaller.

    Raises:
      ValueError: where `stride` is larger than an extent.
    """
    if not 1 <= stride <= min(shape):
        raise ValueError(f"stride {stride} does not fit a grid of shape {shape}")
    corners = np.stack(np.meshgrid(*(np.arange(0, extent, stride) for extent in shape), indexing="ij"))
    points = corners + rng.integers(stride, size=corners.shape)
    last = np.reshape(np.array(shape) - 1, (-1, *[1] * len(shape)))
    return np.ravel_multi_index(tuple(np.minimum(points, last)), shape).ravel()
