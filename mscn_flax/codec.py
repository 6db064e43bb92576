"""Image -> bytes -> image. `decode(model, data)` sees the model and the bytes, nothing else.

A stream is

    magic     2 bytes  b"MS"
    version   1 byte   1
    kind      1 byte   0: an image
    model     4 bytes  the first of the model's id
    height    varint   pixels, 7 bits a byte, the lowest first
    width     varint
    patches   varint   how many follow
    payload            the range coder's, see `entropy.py`
    checksum  4 bytes  CRC-32 of all the above, big endian

The payload holds, entry by entry of the code, the symbols of all patches, each entry by its table. Where each signal
has its own mask, a first part holds the mask likewise.
"""

import zlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from mscn_flax import entropy, patches, signals
from mscn_flax.model import ID_BYTES, Model

MAGIC, VERSION, IMAGE = b"MS", 1, 0

MAX_PIXELS = 1 << 27
"""Larger images are refused, by the encoder and by the decoder."""


class Stream(NamedTuple):
    """A stream's parts, checked but for the payload.

    Attributes:
      model_id: first `ID_BYTES` bytes of the id of the model that it needs.
      height: in pixels.
      width: in pixels.
      patches: how many.
      payload: of the range coder.
      header_bytes: all the others.
    """

    model_id: bytes
    height: int
    width: int
    patches: int
    payload: bytes
    header_bytes: int


def encode(model: Model, image: UInt8[np.ndarray, "H W C"]) -> bytes:
    """The image's stream.

    Raises:
      ValueError: for an image that the model cannot code.
    """
    return pack(model, model.network.adapt(split(model, image)), *image.shape[:2])


def decode(model: Model, data: bytes) -> UInt8[np.ndarray, "H W C"]:
    """The image of a stream.

    Raises:
      ValueError: for what is not a whole and unaltered stream of this model.
    """
    stream = parse(data)
    values = model.network.render(unpack(model, stream))
    return signals.targets_to_image(
        model.network.assemble(values, stream.height, stream.width), stream.height, stream.width
    )


def split(model: Model, image: UInt8[np.ndarray, "H W C"]) -> UInt8[np.ndarray, "P s s C"]:
    """The image's patches.

    Raises:
      ValueError: for an image that the model cannot code.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != model.network.channels or not image.size:
        raise ValueError(f"need [H, W, {model.network.channels}] uint8, got {list(image.shape)} {image.dtype}")
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise ValueError(f"{image.shape[0]}x{image.shape[1]} pixels are more than {MAX_PIXELS}")
    return patches.split(image, model.network.side)


def estimated_bits(model: Model, codes: Float[np.ndarray, "P *code"]) -> float:
    """Cross-entropy of an image's symbols under the model's tables, in bits: the rate that the paper reports."""
    columns, tables = _columns(model, codes)
    counted = zip(columns, tables, strict=True)
    return float(sum(-np.log2(table[column] / entropy.TOTAL).sum() for column, table in counted))


def pack(model: Model, codes: Float[np.ndarray, "P *code"], height: int, width: int) -> bytes:
    """The stream of an image whose patches have these codes."""
    head = MAGIC + bytes([VERSION, IMAGE]) + bytes.fromhex(model.id)[:ID_BYTES]
    head += b"".join(map(_varint, (height, width, len(codes))))
    body = head + entropy.encode(*_columns(model, codes))
    return body + zlib.crc32(body).to_bytes(4, "big")


def parse(data: bytes) -> Stream:
    """A stream's parts; allocates no more than a copy of it.

    Raises:
      ValueError: for what is not a whole and unaltered stream.
    """
    if data[:2] != MAGIC:
        raise ValueError("not an MSCN stream")
    fixed = 4 + ID_BYTES
    if len(data) < fixed + 3 + 4 or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "big"):
        raise ValueError("the stream is truncated or altered: its checksum differs")
    if data[2:4] != bytes([VERSION, IMAGE]):
        raise ValueError(
            f"the stream has version {data[2]} and kind {data[3]}, this decoder reads {VERSION} and {IMAGE}"
        )
    numbers, position = [], fixed
    for _ in range(3):
        number, position = _read_varint(data[:-4], position)
        numbers.append(number)
    height, width, number = numbers
    if not 1 <= height * width <= MAX_PIXELS:
        raise ValueError(f"the stream claims {height}x{width} pixels, of at most {MAX_PIXELS}")
    return Stream(data[4:fixed], height, width, number, data[position:-4], position + 4)


def unpack(model: Model, stream: Stream) -> Float[np.ndarray, "P *code"]:
    """The codes of a stream's patches; memory is within a constant factor of the payload's.

    Raises:
      ValueError: for a stream of another model, or a payload that is not what the header says.
    """
    if stream.model_id != bytes.fromhex(model.id)[:ID_BYTES]:
        raise ValueError(f"the stream needs model {stream.model_id.hex()}, this is {model.id[: 2 * ID_BYTES]}")
    rows = patches.count(stream.height, stream.width, model.network.side)
    if stream.patches != rows:
        raise ValueError(f"the stream claims {stream.patches} patches where its size makes {rows}")
    if rows * _fewest_bits(model) > 8 * (len(stream.payload) + 8):
        raise ValueError(f"the stream claims {stream.height}x{stream.width} pixels, too many for its payload")
    decoder = entropy.Decoder(stream.payload)
    if model.network.mask is None:
        opened = np.stack([decoder.read(rows, table) for table in model.mask_tables], axis=1).astype(bool)
    else:
        opened = np.broadcast_to(model.network.stored, (rows, model.network.size))
    symbols = np.zeros((rows, len(model.groups)), np.int32)
    entries = np.flatnonzero(model.network.stored)
    for column, (entry, group) in enumerate(zip(entries, model.groups, strict=True)):
        kept = opened[:, entry]
        symbols[kept, column] = decoder.read(int(kept.sum()), model.tables[group])
    decoder.close()
    codes = np.zeros((rows, model.network.size), np.float32)
    codes[:, entries] = model.quantizer.dequantize(symbols)
    codes[~opened] = 0
    return codes.reshape(rows, *model.network.learner.field.code_shape)


def explain(data: bytes) -> str:
    """What a stream says of itself, a line each.

    Raises:
      ValueError: for what is not a whole and unaltered stream.
    """
    stream = parse(data)
    return "\n".join(
        [
            f"MSCN stream, version {VERSION}: an image",
            f"size       {stream.width}x{stream.height} pixels in {stream.patches} patches",
            f"bytes      {len(data)}: header and checksum {stream.header_bytes}, payload {len(stream.payload)}",
            f"rate       {8 * len(data) / (stream.width * stream.height):.4f} bits a pixel",
            f"model      {stream.model_id.hex()}",
        ]
    )


def _columns(model: Model, codes: Float[np.ndarray, "P *code"]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What the payload holds: columns of symbols, and the table of each."""
    flat = codes.reshape(len(codes), -1)
    symbols = model.quantizer.quantize(flat[:, model.network.stored])
    tables = [model.tables[group] for group in model.groups]
    if model.network.mask is not None:
        return list(symbols.T), tables
    opened = flat != 0
    kept = [column[is_open] for column, is_open in zip(symbols.T, opened.T, strict=True)]
    return [*opened.T.astype(np.int32), *kept], [*model.mask_tables, *tables]


def _fewest_bits(model: Model) -> float:
    """Bits of the cheapest patch that there is."""
    tables = model.tables[model.groups] if model.mask_tables is None else model.mask_tables
    return float(-np.log2(tables.max(axis=1) / entropy.TOTAL).sum())


def _varint(number: int) -> bytes:
    """7 bits a byte, the lowest first, the highest bit set where more follow."""
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
