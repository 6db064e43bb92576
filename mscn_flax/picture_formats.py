"""JPEG and WebP at their best PSNR for a given size, and the file of either that is as small as a stream. No JAX."""

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFile


def save(image: np.ndarray, file_format: str, **options) -> bytes:
    """The file that Pillow makes of uint8 [H, W, 3] or uint16 [H, W, 1]."""
    out = io.BytesIO()
    Image.fromarray(image[..., 0] if image.dtype == np.uint16 else image).save(out, file_format, **options)
    return out.getvalue()


def opened(file_format: str) -> Callable[[bytes], np.ndarray]:
    """Function that gives the image of a file of `save`."""

    def decode(data):
        with Image.open(io.BytesIO(data), formats=[file_format]) as image:
            return np.array(image)[..., None] if image.mode == "I;16" else np.array(image.convert("RGB"))

    return decode


def jpeg(image: UInt8[np.ndarray, "H W 3"], quality: int) -> bytes:
    """A JPEG file, of quality 1 to 100."""
    # Pillow gives libjpeg one byte per pixel for a whole file with optimised tables: too few for noise.
    ImageFile.MAXBLOCK = max(ImageFile.MAXBLOCK, 2 * image.size)
    # At equal size 4:2:0 has the higher PSNR below quality 75 to 80 on photographs, below 15 to 20 at 32x32.
    subsampling = "4:2:0" if quality <= 60 else "4:4:4"
    # The same coefficients in two orders: progressive is smaller on photographs above about 1 bpp, never at 32x32.
    files = (
        save(image, "JPEG", quality=quality, subsampling=subsampling, optimize=True, progressive=progressive)
        for progressive in (False, True)
    )
    return min(files, key=len)


def webp(image: UInt8[np.ndarray, "H W 3"], quality: int) -> bytes:
    """A lossy WebP file, of quality 0 to 100."""
    return save(image, "WEBP", quality=quality, method=6)


class File(NamedTuple):
    """A file and the quality that it was made with."""

    quality: int
    content: bytes


_QUALITIES = {"jpeg": (jpeg, range(1, 101)), "webp": (webp, range(101))}
"""Format -> encoder and qualities. Sizes rise with the quality, but for a few bytes here and there."""

FORMATS = {"jpeg": opened("JPEG"), "webp": opened("WEBP")}
"""Format -> decoder."""


def largest(file_format: str, image: UInt8[np.ndarray, "H W 3"], limit: int) -> File | None:
    """The file of the highest quality that a bisection finds at no more than `limit` bytes; None where none is small.

    Args:
      file_format: one of `FORMATS`.
      image: to be coded.
      limit: in bytes.
    """
    encoder, qualities = _QUALITIES[file_format]
    found, low, high = None, qualities[0], qualities[-1]
    while low <= high:
        middle = (low + high) // 2
        try:
            content = encoder(image, middle)
        except (OSError, ValueError):  # WebP has at most 16,383 pixels per side.
            return None
        if len(content) <= limit:
            found, low = File(middle, content), middle + 1
        else:
            high = middle - 1
    return found
