"""Signal -> bytes -> signal. `decode(model, data)` sees the model and the bytes (see `stream.py`), nothing else.

The payload holds, entry by entry of the code, the symbols of all parts of the signal, each entry by its table. Where
each part has its own mask, the payload begins with the mask likewise, and then holds open entries alone. It ends, in
the same order, with how far beyond it an entry lies whose symbol is the first or the last.
"""

import numpy as np
from jaxtyping import Float

from mscn_flax import entropy
from mscn_flax.modalities import Cameras, Signal
from mscn_flax.model import ID_BYTES, Model
from mscn_flax.stream import Stream, join, parse


def encode(model: Model, signal: Signal) -> bytes:
    """The stream of a signal.

    Raises:
      ValueError: for a signal that the model cannot code.
    """
    coder = model.coder
    return pack(model, coder.adapt(coder.split(signal)), *coder.modality.extent(signal))


def decode(model: Model, data: bytes, cameras: Cameras | None = None) -> Signal:
    """The signal of a stream: the image, the field's values of maps or of a solid, or views of a scene.

    Args:
      model: that the stream was made with.
      data: the stream.
      cameras: from which a scene is seen, for scenes alone; None for cameras around it.

    Raises:
      ValueError: for what is not a whole and unaltered stream of this model, or for cameras where it holds no scene.
    """
    stream, coder, modality = parse(data), model.coder, model.coder.modality
    codes = unpack(model, stream)
    coords, cameras = modality.rendered_at(cameras, coder.learner.field, coder.side)

    def stored(values):
        if not np.isfinite(values).all():
            raise ValueError("the model gives values that are not finite")
        return modality.stored(values)

    values = coder.render(codes, coords, stored)
    return modality.join(values, stream.height, stream.width, coder.side, cameras)


def estimated_bits(model: Model, codes: Float[np.ndarray, "P *code"]) -> float:
    """Cross-entropy of a signal's symbols under the model's tables, in bits: the rate that the paper reports."""
    columns, tables = _columns(model, codes)
    counted = zip(columns, tables, strict=True)
    return float(sum(-np.log2(table[column] / entropy.TOTAL).sum() for column, table in counted))


def pack(model: Model, codes: Float[np.ndarray, "P *code"], height: int, width: int) -> bytes:
    """The stream of a signal whose parts have these codes."""
    payload = entropy.encode(*_columns(model, codes))
    return join(model.coder.modality, bytes.fromhex(model.id)[:ID_BYTES], height, width, len(codes), payload)


def unpack(model: Model, stream: Stream) -> Float[np.ndarray, "P *code"]:
    """The codes of a stream's parts; memory is within a constant factor of the payload's.

    Raises:
      ValueError: for a stream of another model, or a payload that is not what the header says.
    """
    if stream.model_id != bytes.fromhex(model.id)[:ID_BYTES]:
        raise ValueError(f"the stream needs model {stream.model_id.hex()}, this is {model.id[: 2 * ID_BYTES]}")
    coder, rows = model.coder, stream.parts
    if stream.modality is not coder.modality:
        raise ValueError(f"the stream holds a {stream.modality.noun}, the model another kind of signal")
    coder.modality.check_header(stream.height, stream.width, rows, coder.side)
    coder.check_work(rows)
    if rows * _fewest_bits(model) > 8 * (len(stream.payload) + 8):
        raise ValueError(f"the stream claims {stream.height}x{stream.width} pixels, too many for its payload")
    decoder = entropy.Decoder(stream.payload)
    if coder.mask is None:
        opened = np.stack([decoder.read(rows, table) for table in model.mask_tables], axis=1).astype(bool)
    else:
        opened = np.broadcast_to(coder.stored, (rows, coder.size))
    symbols = np.zeros((rows, len(model.groups)), np.int32)
    entries = np.flatnonzero(coder.stored)
    for column, (entry, group) in enumerate(zip(entries, model.groups, strict=True)):
        kept = opened[:, entry]
        symbols[kept, column] = decoder.read(int(kept.sum()), model.tables[group])
    excess = np.zeros_like(symbols)
    ends = model.quantizer.is_end(symbols) & opened[:, entries]
    excess.T[ends.T] = decoder.read(int(ends.sum()), model.excess_table)
    decoder.close()
    codes = np.zeros((rows, coder.size), np.float32)
    codes[:, entries] = model.quantizer.dequantize(model.quantizer.join(symbols, excess))
    codes[~opened] = 0
    return codes.reshape(rows, *coder.learner.field.code_shape)


def _columns(model: Model, codes: Float[np.ndarray, "P *code"]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What the payload holds: columns of symbols, and the table of each.

    Raises:
      ValueError: where a code is not finite.
    """
    flat = codes.reshape(len(codes), -1)
    if not np.isfinite(flat).all():
        raise ValueError("the model finds no finite code for this signal; it needs another model")
    symbols, excess = model.quantizer.split(model.quantizer.quantize(flat[:, model.coder.stored]))
    opened = flat != 0 if model.coder.mask is None else np.ones(symbols.shape, bool)
    columns = [column[is_open] for column, is_open in zip(symbols.T, opened.T, strict=True)]
    tables = [model.tables[group] for group in model.groups]
    if model.coder.mask is None:
        columns, tables = [*opened.T.astype(np.int32), *columns], [*model.mask_tables, *tables]
    ends = model.quantizer.is_end(symbols) & opened
    return [*columns, excess.T[ends.T]], [*tables, model.excess_table]


def _fewest_bits(model: Model) -> float:
    """Bits of the cheapest part that there is."""
    tables = model.tables[model.groups] if model.mask_tables is None else model.mask_tables
    return float(-np.log2(tables.max(axis=1) / entropy.TOTAL).sum())
