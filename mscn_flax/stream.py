"""The container of a coded signal: its bytes, its parts, and the checks that they are whole.

`docs/bitstream.md` has every byte of it, in sections 1 and 2.
"""

import zlib
from typing import NamedTuple

from mscn_flax import plain
from mscn_flax.modalities import IMAGES, MODALITIES, Modality
from mscn_flax.modalities.base import MAX_POINTS
from mscn_flax.model import ID_BYTES

MAGIC, VERSION = b"MS", 1
_MODALITIES = tuple(MODALITIES.values())


class Stream(NamedTuple):
    """A stream's parts, checked but for the payload.

    Attributes:
      modality: of the signal.
      model_id: first `ID_BYTES` bytes of the id of the model that it needs.
      height: in points, as `Modality.extent` has it.
      width: in points.
      parts: how many have codes of their own; 0 where the payload is the picture itself.
      payload: of the range coder, or the picture itself.
      header_bytes: all the others.
      whole: whether all of it is there, unaltered.
    """

    modality: Modality
    model_id: bytes
    height: int
    width: int
    parts: int
    payload: bytes
    header_bytes: int
    whole: bool

    @property
    def lossless(self) -> bool:
        """Whether the payload is the picture itself, which needs no model."""
        return self.model_id == plain.MODEL_ID

    @property
    def size(self) -> str:
        """Of the signal, for people."""
        if self.lossless:
            return f"{self.width}x{self.height} pixels"
        return self.modality.describe(self.height, self.width, self.parts)

    @property
    def bits(self) -> float:
        """Bits of the whole stream per point of the signal."""
        return 8 * (self.header_bytes + len(self.payload)) / self.modality.points(self.height, self.width, self.parts)

    @property
    def rate(self) -> str:
        """Those bits, for people."""
        return f"{self.bits:.4g} {self.modality.rate}"


def join(modality: Modality, model_id: bytes, height: int, width: int, parts: int, payload: bytes) -> bytes:
    """The stream of these parts, as `Stream` has them; the inverse of `parse`."""
    head = MAGIC + bytes([VERSION, _MODALITIES.index(modality)]) + model_id
    body = head + b"".join(map(_varint, (height, width, parts))) + payload
    return body + zlib.crc32(body).to_bytes(4, "big")


def parse(data: bytes, whole: bool = True) -> Stream:
    """A stream's parts; allocates no more than a copy of it.

    Args:
      data: the stream, or its first bytes.
      whole: whether all of it must be there, unaltered; otherwise the header must, and of a stream that
        is cut the last three bytes are left out: they may be the checksum's.

    Raises:
      ValueError: for what is not such a stream.
    """
    if data[:2] != MAGIC:
        raise ValueError("not an MSCN stream")
    fixed = 4 + ID_BYTES
    complete = len(data) >= fixed + 3 + 4 and zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "big")
    if whole and not complete:
        raise ValueError("the stream is truncated or altered: its checksum differs")
    if len(data) < fixed:
        raise ValueError("the stream ends within its header")
    if data[2] != VERSION or data[3] >= len(_MODALITIES):
        read = f"{VERSION} and kinds below {len(_MODALITIES)}"
        raise ValueError(f"the stream has version {data[2]} and kind {data[3]}, this decoder reads {read}")
    numbers, position, body = [], fixed, data[:-4] if complete else data[:-3]
    for _ in range(3):
        number, position = _read_varint(body if complete else data, position)
        numbers.append(number)
    height, width, parts = numbers
    if not 1 <= height * width <= MAX_POINTS:
        raise ValueError(f"the stream claims {height}x{width} points, of at most {MAX_POINTS}")
    payload = body[position:]
    others = len(data) - len(payload)
    stream = Stream(_MODALITIES[data[3]], data[4:fixed], height, width, parts, payload, others, complete)
    if stream.lossless:
        if stream.modality is not IMAGES or parts:
            raise ValueError(f"the stream claims a {stream.modality.noun} of {parts} parts that needs no model")
        plain.check_size(height, width, len(stream.payload))
    return stream


def kind(head: bytes) -> Modality | None:
    """The modality of a stream by its first 4 bytes, unchecked; None where they are no stream's."""
    return _MODALITIES[head[3]] if head[:2] == MAGIC and len(head) > 3 and head[3] < len(_MODALITIES) else None


def facts(data: bytes, whole: bool = True) -> dict:
    """What a stream says of itself, by name: sizes in points and bytes, bits per point, model; see `parse`."""
    stream = parse(data, whole)
    return {
        "kind": stream.modality.noun,
        "height": stream.height,
        "width": stream.width,
        "parts": stream.parts,
        "bytes": len(data),
        "header_bytes": stream.header_bytes,
        "rate": stream.bits,
        "unit": stream.modality.rate,
        "lossless": stream.lossless,
        "model": None if stream.lossless else stream.model_id.hex(),
    }


def explain(data: bytes) -> str:
    """What a stream says of itself, a line each.

    Raises:
      ValueError: for what is not a whole and unaltered stream.
    """
    stream = parse(data)
    return "\n".join(
        [
            f"MSCN stream, version {VERSION}: a {stream.modality.noun}",
            f"size       {stream.size}",
            f"bytes      {len(data)}: header and checksum {stream.header_bytes}, payload {len(stream.payload)}",
            f"rate       {stream.rate}",
            f"model      {'none: without loss' if stream.lossless else stream.model_id.hex()}",
        ]
    )


def _varint(number: int) -> bytes:
    """7 bits per byte, the lowest first, the highest bit set where more follow."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at `position`, and where it ends."""
    number = 0
    for shift in range(0, 35, 7):
        if position >= len(data):
            break
        number |= (data[position] & 0x7F) << shift
        position += 1
        if data[position - 1] < 0x80:
            return number, position
    raise ValueError("the stream's header has a number without end")
