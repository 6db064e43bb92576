"""Pictures as they are, without loss and without a model: what takes the place of a code that would be longer."""

import io
import struct
import warnings
import zlib

import numpy as np
import PIL.Image
from jaxtyping import UInt8

from mscn_flax.text import first_line

MODEL_ID = bytes(4)
"""What a stream has in place of a model's id where its payload is the picture itself."""

_DEFLATE = 1032
"""Most bytes that one byte of zlib's data can stand for."""

_BLOCK = 1 << 16
"""Bytes that are unfolded at a time when a payload is checked."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode(picture: UInt8[np.ndarray, "H W 3"], limit: int) -> bytes | None:
    """The picture as zlib's data in a PNG file of 8-bit RGB has it: rows, each with its filter.

    Args:
      picture: to be coded.
      limit: None is returned instead of `limit` bytes or more; the work ends as soon as they are that many.
    """
    file = _Limited(limit + limit // 1000 + 1024)  # Beyond what is left over from a PNG file without its payload.
    try:
        PIL.Image.fromarray(picture).save(file, format="PNG", optimize=True)
    except _TooLongError:
        return None
    payload = b"".join(content for kind, content in _chunks(file.getvalue()) if kind == b"IDAT")
    return payload if len(payload) < limit else None


def check_size(height: int, width: int, payload: int) -> None:
    """Raises a ValueError where so many bytes cannot hold so many pixels; needs no memory."""
    if _unfolded(height, width) > _DEFLATE * payload:
        raise ValueError(f"the stream claims {height}x{width} pixels, too many for its payload")


def decode(payload: bytes, height: int, width: int) -> UInt8[np.ndarray, "H W 3"]:
    """The inverse of `encode`; memory is within a constant factor of the payload's and the picture's.

    Raises:
      ValueError: where the payload is not the zlib data of just so many pixels.
    """
    check_size(height, width, len(payload))
    try:
        whole = _is_whole(payload, _unfolded(height, width))
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        file = io.BytesIO(_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", payload) + _chunk(b"IEND", b""))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of many pixels, which are as many as the payload holds.
            if whole:
                with PIL.Image.open(file, formats=["PNG"]) as opened:
                    return np.array(opened)
    except (zlib.error, OSError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise ValueError(f"the stream's picture is damaged: {first_line(error)}") from error
    raise ValueError(f"the stream's payload is not that of {height}x{width} pixels")


class _TooLongError(Exception):
    pass


class _Limited(io.BytesIO):
    """A file that refuses to grow beyond a number of bytes."""

    def __init__(self, limit: int):
        super().__init__()
        self._limit = limit

    def write(self, data) -> int:
        if self.tell() + len(data) > self._limit:
            raise _TooLongError
        return super().write(data)


def _unfolded(height: int, width: int) -> int:
    """Bytes of a picture's rows, each of which begins with its filter."""
    return height * (1 + 3 * width)


def _is_whole(payload: bytes, wanted: int) -> bool:
    """Whether zlib's data end where the payload does and stand for just so many bytes, none of which is kept."""
    unfolding, count, rest = zlib.decompressobj(), 0, payload
    while count <= wanted and not unfolding.eof:
        got = len(unfolding.decompress(rest, _BLOCK))
        if not (got or unfolding.unconsumed_tail):
            break
        count, rest = count + got, unfolding.unconsumed_tail
    return count == wanted and unfolding.eof and not unfolding.unused_data


def _chunks(file: bytes):
    """Kind and content of the chunks of a PNG file."""
    at = len(_SIGNATURE)
    while at < len(file):
        length = int.from_bytes(file[at : at + 4], "big")
        yield file[at + 4 : at + 8], file[at + 8 : at + 8 + length]
        at += length + 12


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
