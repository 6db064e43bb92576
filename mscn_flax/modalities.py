"""A modality: how signals of one kind become coordinates and targets, and which figures of quality they have besides.

Signals on a grid (pictures, maps of the globe, volumes) share their coordinates; scenes have rays of their own. What a
step trains on, and what a test signal is fitted to and judged by, are `Points`.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from mscn_flax import metrics, signals


class Points(NamedTuple):
    """Coordinates and what a field should have there.

    Attributes:
      coords: [*K, N, d], the same for all signals, or [B, *K, N, d].
      targets: [B, *K, N, c]; K as in `MetaLearner.fit`.
    """

    coords: np.ndarray
    targets: np.ndarray


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Which points a step sees.

    Attributes:
      stride: one random point is drawn of every cell of `stride` points a side of a grid; 1 for all points.
      rounds: draws of points a signal: 1, or one an inner step and one for the outer loss.
      views: of a scene, drawn at random.
      rays: of each view, likewise.
    """

    stride: int = 1
    rounds: int = 1
    views: int = 8
    rays: int = 1024


@dataclasses.dataclass(frozen=True)
class Grid:
    """Signals on one grid, arrays [B, *shape, c].

    Attributes:
      dims: d, columns of the coordinates.
      shape: pixels a side, latitudes or voxels a side -> shape of the grid.
      coordinates: shape -> coordinates [N, d].
      quality: (values [N, c], targets [N, c], shape) -> further columns of a result's row.
    """

    dims: int
    shape: Callable[[int], tuple[int, ...]]
    coordinates: Callable[[tuple[int, ...]], np.ndarray]
    quality: Callable[[np.ndarray, np.ndarray, tuple[int, ...]], dict[str, float]]

    def all_coordinates(self, resolution: int) -> Float[np.ndarray, "N d"]:
        """Of the whole grid."""
        return _once(self.coordinates, self.shape(resolution))

    def size(self, resolution: int) -> str:
        """For people."""
        return "x".join(map(str, self.shape(resolution))) + " points"

    def whole(self, arrays: np.ndarray, resolution: int) -> Points:
        """All points."""
        return Points(self.all_coordinates(resolution), signals.array_to_targets(arrays, len(self.shape(resolution))))

    def measured(self, values: np.ndarray, targets: np.ndarray, resolution: int) -> dict[str, float]:
        """What is measured of one signal's values [N, c] besides its PSNR."""
        return self.quality(values, targets, self.shape(resolution))

    def draw(self, arrays: np.ndarray, resolution: int, sampling: Sampling, rng: np.random.Generator) -> Points:
        """Some points, the same for all signals."""
        points = self.whole(arrays, resolution)
        if sampling.stride == 1:
            return points
        shape = self.shape(resolution)
        drawn = [signals.stratified_points(shape, sampling.stride, rng) for _ in range(sampling.rounds)]
        chosen = drawn[0] if sampling.rounds == 1 else np.stack(drawn)
        return Points(points.coords[chosen], points.targets[:, chosen])

    def example(self, batch: int, channels: int, resolution: int, sampling: Sampling) -> np.ndarray:
        """Signals of nothing, for their shapes."""
        del sampling
        return np.zeros((batch, *self.shape(resolution), channels), np.float32)


@functools.cache
def _once(coordinates: Callable, shape: tuple[int, ...]) -> Float[np.ndarray, "N d"]:
    """A grid's coordinates, which every step needs and nobody may change."""
    made = coordinates(shape)
    made.flags.writeable = False
    return made


@dataclasses.dataclass(frozen=True)
class Scene:
    """Views of scenes: arrays `views` [B, V, s, s, 3], `poses` [B, V, 4, 4], `intrinsics` [B, 3] by name."""

    dims: int = 6

    def all_coordinates(self, resolution: int) -> Float[np.ndarray, "N 6"]:
        """Rays of one view, from nowhere: scenes have no coordinates that all share."""
        return np.zeros((resolution**2, 6), np.float32)

    def shape(self, resolution: int) -> tuple[int, int]:
        """Of one view."""
        return _square(resolution)

    def size(self, resolution: int) -> str:
        """For people."""
        return f"views of {resolution}x{resolution} pixels"

    def rays(self, cameras: dict[str, np.ndarray], resolution: int) -> Float[np.ndarray, "V N 6"]:
        """All rays of cameras `poses` [V, 4, 4], `intrinsics` [3]."""
        focal, *centre = cameras["intrinsics"].tolist()
        pixels = np.indices(self.shape(resolution)).reshape(2, -1).T
        every = np.broadcast_to(pixels, (len(cameras["poses"]), *pixels.shape))
        return signals.camera_rays(cameras["poses"], every, focal, tuple(centre))

    def draw(
        self, arrays: dict[str, np.ndarray], resolution: int, sampling: Sampling, rng: np.random.Generator
    ) -> Points:
        """Random rays of random views, of each scene its own."""
        count = arrays["views"].shape[1]
        if count < sampling.views:
            raise ValueError(f"{sampling.views} views are asked for, a scene has {count}")
        coords, targets = [], []
        for scene in range(len(arrays["views"])):
            chosen = rng.choice(count, sampling.views, replace=False)
            pixels = rng.integers(resolution, size=(sampling.views, sampling.rays, 2))
            rays, colours = self._at(arrays, scene, chosen, pixels)
            coords.append(rays.reshape(-1, 6))
            targets.append(colours.reshape(-1, 3))
        return Points(np.stack(coords), np.stack(targets))

    def view(self, arrays: dict[str, np.ndarray], resolution: int, index: int) -> Points:
        """All rays of one view of each scene."""
        pixels = np.indices((resolution, resolution)).reshape(2, -1).T[None]
        parts = [self._at(arrays, scene, [index], pixels) for scene in range(len(arrays["views"]))]
        return Points(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def measured(self, values: np.ndarray, targets: np.ndarray, resolution: int) -> dict[str, float]:
        """Nothing is measured of views besides their PSNR."""
        del values, targets, resolution
        return {}

    def _at(self, arrays, scene: int, views, pixels) -> tuple[np.ndarray, np.ndarray]:
        """Rays [v, n, 6] and colours [v, n, 3] of pixels [v, n, 2] of some views of one scene."""
        focal, *centre = arrays["intrinsics"][scene].tolist()
        rays = signals.camera_rays(arrays["poses"][scene][views], pixels, focal, tuple(centre))
        taken = arrays["views"][scene][views]
        colours = taken[np.arange(len(taken))[:, None], pixels[..., 0], pixels[..., 1]]
        return rays, colours.astype(np.float32) / np.float32(255)

    def example(self, batch: int, channels: int, resolution: int, sampling: Sampling) -> dict[str, np.ndarray]:
        """Scenes of nothing, for their shapes."""
        del channels
        return {
            "views": np.zeros((batch, sampling.views, resolution, resolution, 3), np.uint8),
            "poses": np.zeros((batch, sampling.views, 4, 4), np.float32),
            "intrinsics": np.ones((batch, 3), np.float32),
        }


def _square(side: int) -> tuple[int, int]:
    return side, side


def _globe(height: int) -> tuple[int, int]:
    """181 -> 181 x 360, 46 -> 46 x 90: as far from row to row as from column to column."""
    return height, 2 * (height - 1)


def _cube(side: int) -> tuple[int, int, int]:
    return side, side, side


def _no_more(values, targets, shape) -> dict[str, float]:
    del values, targets, shape
    return {}


def _weighted(values, targets, shape) -> dict[str, float]:
    """PSNR of squared errors weighted by the cosine of the latitude: by the area that a point stands for."""
    weights = np.repeat(np.cos(np.radians(signals.latitudes(shape[0]))), shape[1])
    error = np.average(np.mean(np.square(values - targets, dtype=np.float64), axis=1), weights=weights)
    return {"psnr_weighted_db": -10 * np.log10(error)}


def _accuracy(values, targets, shape) -> dict[str, float]:
    del shape
    return {"voxel_accuracy": metrics.voxel_accuracy(values, targets)}


IMAGES = Grid(2, _square, signals.grid_coordinates, _no_more)
MAPS = Grid(3, _globe, signals.sphere_coordinates, _weighted)
VOLUMES = Grid(3, _cube, signals.grid_coordinates, _accuracy)
SCENES = Scene()
