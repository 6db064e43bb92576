"""Arrays as targets [N, c] of a field, values as arrays of 8 bits, and how far two of these are apart."""

import math

import numpy as np
from jaxtyping import Float, UInt8


def psnr_8_bit(values: UInt8[np.ndarray, "H W c"], targets: UInt8[np.ndarray, "H W c"]) -> float:
    """PSNR in dB, as `metrics.psnr` has it; inf where nothing differs.

    Added up row by row, as a large picture's numbers in floating point take gigabytes; without JAX, which would compile
    a logarithm.
    """
    rows = zip(values, targets, strict=True)
    squares = sum(int(np.square(row.astype(np.int32) - wanted).sum()) for row, wanted in rows)
    return -10 * math.log10(squares / (255**2 * values.size)) if squares else math.inf


def array_to_targets(arrays: np.ndarray, axes: int) -> Float[np.ndarray, "*B N c"]:
    """8-bit arrays, scaled to [0, 1], or float32 ones as they are, as targets.

    Args:
      arrays: [*B, *shape, c].
      axes: extents of the shape.

    Raises:
      ValueError: where the arrays are neither 8-bit nor float32.
    """
    if arrays.dtype == np.uint8:
        arrays = arrays.astype(np.float32) / np.float32(255)
    if arrays.dtype != np.float32:
        raise ValueError(f"signals must be uint8 or float32, got {arrays.dtype}")
    return arrays.reshape(*arrays.shape[: -axes - 1], -1, arrays.shape[-1])


def targets_to_8_bit(values: Float[np.ndarray, "..."]) -> np.ndarray:
    """Values clipped to [0, 1] and rounded to 8 bits, the inverse of `array_to_targets` on its range."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
