"""An array as a signal: coordinates [N, d] and targets [N, c], and back.

Images are [H, W, C] uint8; their targets are value / 255 in [0, 1]. Other signals are float32, in [0, 1] as they are.
Coordinates are pixel centres in [0, 1], row first, as in Functa's code (COIN++ and MetaSparseINR space the same grid
from 0 to 1 inclusive or 1 exclusive).
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


def stratified_points(shape: tuple[int, ...], stride: int, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Indices into a grid's points: one drawn uniformly from every cell of `stride` points a side.

    Even coverage makes the loss on these n = N / stride^d points a far better estimate than n independent points.

    Raises:
      ValueError: where `stride` does not divide every extent.
    """
    if any(extent % stride for extent in shape):
        raise ValueError(f"stride {stride} does not divide a grid of shape {shape}")
    cells = tuple(extent // stride for extent in shape)
    corners = np.stack(np.meshgrid(*(np.arange(n) * stride for n in cells), indexing="ij"))
    return np.ravel_multi_index(tuple(corners + rng.integers(stride, size=corners.shape)), shape).ravel()


def image_to_targets(
    images: UInt8[np.ndarray, "*B H W C"] | Float[np.ndarray, "*B H W C"],
) -> Float[np.ndarray, "*B N C"]:
    """8-bit images, or float32 signals in [0, 1], as targets in [0, 1], N = H W.

    Raises:
      ValueError: where the array is neither 8-bit nor float32.
    """
    *batch, height, width, channels = images.shape
    if images.dtype == np.uint8:
        images = images.astype(np.float32) / np.float32(255)
    if images.dtype != np.float32:
        raise ValueError(f"images must be uint8 or float32, got {images.dtype}")
    return images.reshape(*batch, height * width, channels)


def targets_to_image(values: Float[np.ndarray, "*B N C"], height: int, width: int) -> UInt8[np.ndarray, "*B H W C"]:
    """Values clipped to [0, 1] and rounded to 8 bits, the inverse of `image_to_targets` on its range."""
    rounded = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return rounded.reshape(*values.shape[:-2], height, width, values.shape[-1])
