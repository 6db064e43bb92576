"""Splitting large images into square patches, and joining these (COIN++, appendix A of Dupont et al. 2022b).

Patches do not overlap. An image whose sides they do not divide is continued by reflection to the right and below.
"""

import numpy as np
from jaxtyping import UInt8


def count(height: int, width: int, side: int) -> int:
    """Number of patches of an image, including those that reach beyond its edges.

    >>> count(height=512, width=760, side=32)
    384
    """
    return -(-height // side) * -(-width // side)


def split(image: UInt8[np.ndarray, "H W C"], side: int) -> UInt8[np.ndarray, "P side side C"]:
    """The P patches of an image, row by row, each of `side` x `side` pixels."""
    height, width, channels = image.shape
    rows, columns = -(-height // side), -(-width // side)
    reach = ((0, rows * side - height), (0, columns * side - width), (0, 0))
    padded = np.pad(image, reach, mode="reflect")
    tiles = padded.reshape(rows, side, columns, side, channels)
    return tiles.swapaxes(1, 2).reshape(-1, side, side, channels)


def join(patches: np.ndarray, height: int, width: int) -> np.ndarray:
    """The image [H, W, C] made of `patches` [P, side, side, C] of any type: the inverse of `split`.

    Raises:
      ValueError: if such an image has another number of patches.
    """
    number, side, _, channels = patches.shape
    if number != count(height, width, side):
        raise ValueError(f"{height}x{width} pixels have {count(height, width, side)} patches of {side}, got {number}")
    rows, columns = -(-height // side), -(-width // side)
    tiles = patches.reshape(rows, columns, side, side, channels).swapaxes(1, 2)
    return tiles.reshape(rows * side, columns * side, channels)[:height, :width]
