"""An array as a signal: coordinates [N, d] and targets [N, c], and back.

Images are [H, W, C] uint8; their targets are value / 255 in [0, 1]. Other signals are float32, in [0, 1] as they are.
Coordinates of images and volumes are pixel centres in [0, 1], row first, as in Functa's code (COIN++ and MetaSparseINR
space the same grid from 0 to 1 inclusive or 1 exclusive); of maps of the globe points of the unit sphere, as in
COIN++'s; of views of a scene the rays through the pixels' centres, as in Functa's.
"""

import numpy as np
from jaxtyping import Float, Int, UInt8


def grid_coordinates(shape: tuple[int, ...]) -> Float[np.ndarray, "N d"]:
    """Pixel centres of a regular grid over the unit cube, N = prod(shape), d = len(shape), axis 0 slowest.

    Raises:
      ValueError: where an extent is not positive.
    """
    if not shape or min(shape) < 1:
        raise ValueError(f"a grid needs positive extents, got {shape}")
    axes = [(np.arange(n, dtype=np.float32) + 0.5) / n for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(shape)).astype(np.float32)


def sphere_coordinates(shape: tuple[int, int]) -> Float[np.ndarray, "N 3"]:
    """Points of the unit sphere at a regular grid of latitudes and longitudes, row by row from the north pole.

    x = cos(lat) cos(lon), y = cos(lat) sin(lon), z = sin(lat), with H latitudes from 90 to -90 degrees, poles included,
    and W longitudes from 0 to 360 (1 - 1 / W): as the Copernicus store has its fields, and as in COIN++'s code.

    Raises:
      ValueError: where there are fewer than two latitudes or no longitude.
    """
    height, width = shape
    if height < 2 or width < 1:
        raise ValueError(f"a map of the globe needs at least 2 x 1 points, got {height} x {width}")
    lat, lon = np.meshgrid(np.radians(latitudes(height)), np.radians(longitudes(width)), indexing="ij")
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    return points.reshape(-1, 3).astype(np.float32)


def latitudes(height: int) -> Float[np.ndarray, " H"]:
    """Degrees north of the rows of a map, 90 first."""
    return np.linspace(90, -90, height)


def longitudes(width: int) -> Float[np.ndarray, " W"]:
    """Degrees east of the columns of a map, 0 first."""
    return np.arange(width) * (360 / width)


def camera_rays(
    poses: Float[np.ndarray, "*V 4 4"], pixels: Int[np.ndarray, "*V n 2"], focal: float, centre: tuple[float, float]
) -> Float[np.ndarray, "*V n 6"]:
    """Origin and direction of the rays through the centres of pixels.

    Args:
      poses: camera to world, in the convention of SRN's files and OpenCV: x right, y down, z into the scene.
      pixels: row and column.
      focal: in pixels.
      centre: column and row, in pixels, of the optical axis.

    Returns:
      Origin [3], the camera's place, and direction [3], of length 1 along the optical axis and longer off it.
    """
    x = (pixels[..., 1] + 0.5 - centre[0]) / focal
    y = (pixels[..., 0] + 0.5 - centre[1]) / focal
    directions = np.einsum("...ij,...nj->...ni", poses[..., :3, :3], np.stack([x, y, np.ones_like(x)], axis=-1))
    origins = np.broadcast_to(poses[..., None, :3, 3], directions.shape)
    return np.concatenate([origins, directions], axis=-1).astype(np.float32)


def stratified_points(shape: tuple[int, ...], stride: int, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Indices into a grid's points: one drawn uniformly from every cell of `stride` points a side.

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


def image_to_targets(
    images: UInt8[np.ndarray, "*B H W C"] | Float[np.ndarray, "*B H W C"],
) -> Float[np.ndarray, "*B N C"]:
    """`array_to_targets` of two axes: N = H W."""
    return array_to_targets(images, 2)


def array_to_targets(
    arrays: UInt8[np.ndarray, "..."] | Float[np.ndarray, "..."], axes: int
) -> Float[np.ndarray, "*B N C"]:
    """8-bit arrays, or float32 ones as they are, as targets; `axes` are the grid's, between batch and channels.

    Raises:
      ValueError: where the array is neither 8-bit nor float32.
    """
    if arrays.dtype == np.uint8:
        arrays = arrays.astype(np.float32) / np.float32(255)
    if arrays.dtype != np.float32:
        raise ValueError(f"images must be uint8 or float32, got {arrays.dtype}")
    return arrays.reshape(*arrays.shape[: -axes - 1], -1, arrays.shape[-1])


def targets_to_image(values: Float[np.ndarray, "*B N C"], height: int, width: int) -> UInt8[np.ndarray, "*B H W C"]:
    """Values clipped to [0, 1] and rounded to 8 bits, the inverse of `image_to_targets` on its range."""
    rounded = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return rounded.reshape(*values.shape[:-2], height, width, values.shape[-1])
