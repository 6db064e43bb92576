"""Signal -> bytes -> signal. `decode(model, data)` sees the model and the bytes (see `stream.py`), nothing else.

`docs/bitstream.md` says which symbols a payload holds, and in which order: section 5 without contexts, section 6 with.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from mscn_flax import entropy, plain
from mscn_flax.modalities import IMAGES, Cameras, Signal
from mscn_flax.model import ID_BYTES, Model
from mscn_flax.progress import Shown
from mscn_flax.stream import Stream, join, parse


def encode(model: Model, signal: Signal, effort: int | None = None, show: Shown | None = None) -> bytes:
    """The stream of a signal: its codes, or the picture itself where that is shorter.

    Args:
      model: that the decoder will have.
      signal: as its modality has it.
      effort: steps with momentum that codes are refined by, see `refine.py`; None for the model's own number. Of
        no effect on scenes, each of whose steps sees other rays.
      show: told how many parts are coded, of how many.

    Raises:
      ValueError: for a signal that the model cannot code.
    """
    coder, modality = model.coder, model.coder.modality
    if effort is not None and not (isinstance(effort, int) and effort >= 0):
        raise ValueError(f"effort is a number of steps, 0 or more, not {effort!r}")
    coder = coder if effort is None else dataclasses.replace(coder, refined=effort)
    codes, extent = coder.adapt(coder.split(signal), show), modality.extent(signal)
    coded = pack(model, codes, *extent)
    if modality is IMAGES and coder.channels == 3:
        pixels = plain.encode(signal, len(coded) - len(join(modality, plain.MODEL_ID, *extent, 0, b"")))
        if pixels is not None:
            return join(modality, plain.MODEL_ID, *extent, 0, pixels)
    return coded


def decode(
    model: Model | None,
    data: bytes,
    cameras: Cameras | None = None,
    whole: bool = True,
    show: Shown | None = None,
) -> Signal:
    """The signal of a stream: the image, the field's values of maps or of a solid, or views of a scene.

    Args:
      model: that the stream was made with; a picture that is there without loss needs none.
      data: the stream.
      cameras: from which a scene is seen, for scenes alone; None for cameras around it.
      whole: whether the stream must be whole and unaltered. Of a stream's first bytes (False) so many numbers of each
        part are read as they hold, the others are those of the mean: a lower rate. For models with contexts alone,
        whose payload has one number of all parts after the other.
      show: told how many parts, or views, are decoded, of how many.

    Raises:
      ValueError: for what is no such stream of this model, or for cameras where it holds no scene.
    """
    stream = parse(data, whole)
    if stream.lossless and not stream.whole:
        raise ValueError("of a picture without loss nothing can be decoded but all")
    if stream.lossless:
        if cameras is not None:
            raise ValueError("cameras are for scenes; the stream holds a picture")
        return plain.decode(stream.payload, stream.height, stream.width)
    if model is None:
        raise ValueError(f"the stream needs model {stream.model_id.hex()}")
    coder, modality = model.coder, model.coder.modality
    codes = unpack(model, stream)

    def stored(values):
        if not np.isfinite(values).all():
            raise ValueError("the model gives values that are not finite")
        return modality.stored(values)

    values, cameras = coder.values(codes, stream.height, stream.width, cameras, stored, show)
    return modality.join(values, stream.height, stream.width, coder.side, cameras)


def pack(model: Model, codes: Float[np.ndarray, "P *code"], height: int, width: int) -> bytes:
    """The stream of a signal whose parts have these codes.

    Raises:
      ValueError: where a code is not finite.
    """
    return _joined(model, list(_columns(model, codes, height, width)), len(codes), height, width)


def pack_with_estimate(
    model: Model, codes: Float[np.ndarray, "P *code"], height: int, width: int
) -> tuple[bytes, float]:
    """What `pack` returns, and the cross-entropy of its symbols under the model's tables: the paper's rate, in bits."""
    columns = list(_columns(model, codes, height, width))
    estimate = sum(-np.log2(table[column] / entropy.TOTAL).sum() for column, table in columns)
    return _joined(model, columns, len(codes), height, width), float(estimate)


def _joined(model: Model, columns: list, parts: int, height: int, width: int) -> bytes:
    payload = entropy.encode(*zip(*columns, strict=True))
    return join(model.coder.modality, bytes.fromhex(model.id)[:ID_BYTES], height, width, parts, payload)


def unpack(model: Model, stream: Stream) -> Float[np.ndarray, "P *code"]:
    """The codes of a stream's parts; memory is within a constant factor of the payload's, where that must be whole.

    Raises:
      ValueError: for a stream of another model, or a payload that is not what the header says.
    """
    if stream.model_id != bytes.fromhex(model.id)[:ID_BYTES]:
        raise ValueError(f"the stream needs model {stream.model_id.hex()}, this is {model.id[: 2 * ID_BYTES]}")
    coder, rows, whole = model.coder, stream.parts, stream.whole
    if stream.modality is not coder.modality:
        raise ValueError(f"the stream holds a {stream.modality.noun}, the model another kind of signal")
    coder.modality.check_header(stream.height, stream.width, rows, coder.side)
    coder.check_work(rows)
    if not whole and model.contexts is None:
        raise ValueError("the first bytes of a stream say nothing without contexts in its model")
    if whole and rows * _fewest_bits(model) > 8 * (len(stream.payload) + 8):
        raise ValueError(f"the stream claims {stream.height}x{stream.width} pixels, too many for its payload")
    decoder = entropy.Decoder(stream.payload, whole)
    if coder.mask is None:
        opened = np.stack([decoder.read(rows, table) for table in model.mask_tables], axis=1).astype(bool)
    else:
        opened = np.broadcast_to(coder.stored, (rows, coder.size))
    if model.contexts is None:
        levels = _read(model, decoder, opened[:, coder.stored])
    else:
        lattice = coder.modality.lattice(stream.height, stream.width, rows, coder.side)
        levels = _read_in_context(model, decoder, lattice, whole)
    if whole:
        decoder.close()
    codes = np.zeros((rows, coder.size), np.float32)
    codes[:, coder.stored] = model.values(levels)
    codes[~opened] = 0
    return codes.reshape(rows, *coder.learner.field.code_shape)


Columns = Iterator[tuple[np.ndarray, np.ndarray]]
"""What the payload holds: columns of symbols, and the table of each."""


def _columns(model: Model, codes: Float[np.ndarray, "P *code"], height: int, width: int) -> Columns:
    if not np.isfinite(codes).all():
        raise ValueError("the model finds no finite code for this signal; it needs another model")
    if model.contexts is not None:
        lattice = model.coder.modality.lattice(height, width, len(codes), model.coder.side)
        yield from _columns_in_context(model, codes, lattice)
        return
    levels = model.levels(codes)
    symbols, excess = model.quantizer.split(levels)
    opened = np.ones(symbols.shape, bool)
    if model.coder.mask is None:
        opened = codes.reshape(len(codes), -1) != 0
        yield from zip(opened.T.astype(np.int32), model.mask_tables, strict=True)
    for column, kept, group in zip(symbols.T, opened.T, model.groups, strict=True):
        yield column[kept], model.tables[group]
    ends = model.quantizer.is_end(symbols) & opened
    yield excess.T[ends.T], model.excess_table


def _read(model: Model, decoder: entropy.Decoder, opened: Bool[np.ndarray, "P n"]) -> Int[np.ndarray, "P n"]:
    """The levels that `_columns` wrote, of the entries that are open."""
    symbols = np.zeros(opened.shape, np.int32)
    for column, (kept, group) in enumerate(zip(opened.T, model.groups, strict=True)):
        symbols[kept, column] = decoder.read(int(kept.sum()), model.tables[group])
    excess = np.zeros_like(symbols)
    ends = model.quantizer.is_end(symbols) & opened
    excess.T[ends.T] = decoder.read(int(ends.sum()), model.excess_table)
    return model.quantizer.join(symbols, excess)


def _columns_in_context(model: Model, codes: Float[np.ndarray, "P *code"], lattice: tuple[int, int]) -> Columns:
    quantizer, middle = model.quantizer, model.quantizer.levels // 2
    levels = model.levels(codes).reshape(*lattice, -1) - middle
    for residuals, classes in model.contexts.walk(levels, middle):
        symbols, excess = quantizer.split(residuals + middle)
        for chosen in np.unique(classes):
            yield symbols[classes == chosen], model.tables[chosen]
        yield excess[quantizer.is_end(symbols)], model.excess_table


def _read_in_context(
    model: Model, decoder: entropy.Decoder, lattice: tuple[int, int], whole: bool
) -> Int[np.ndarray, "P n"]:
    """The levels that `_columns_in_context` wrote, those of the mean for entries behind the end where there may be."""
    contexts, middle = model.contexts, model.quantizer.levels // 2
    sizes, residuals = contexts.sizes(lattice), np.zeros((*lattice, len(contexts.units)), np.int64)
    entries = residuals.shape[-1]
    for entry in range(entries):
        try:
            residuals[..., entry] = _read_entry(model, decoder, contexts.classes(entry, sizes))
        except ValueError:
            if whole:
                raise
            entries = entry
            break
        sizes.add(residuals[..., entry], contexts.units[entry])
    levels = contexts.levels(residuals, middle)
    levels[..., entries:] = 0
    return levels.reshape(-1, residuals.shape[-1]) + middle


def _read_entry(model: Model, decoder: entropy.Decoder, classes: Int[np.ndarray, "R C"]) -> Int[np.ndarray, "R C"]:
    """The residuals of an entry."""
    quantizer, symbols = model.quantizer, np.zeros(classes.shape, np.int32)
    for chosen in np.unique(classes):
        found = classes == chosen
        symbols[found] = decoder.read(int(found.sum()), model.tables[chosen])
    ends, excess = quantizer.is_end(symbols), np.zeros_like(symbols)
    excess[ends] = decoder.read(int(ends.sum()), model.excess_table)
    return quantizer.join(symbols, excess).astype(np.int64) - quantizer.levels // 2


def _fewest_bits(model: Model) -> float:
    """Bits of the cheapest part that there is."""
    if model.contexts is not None:
        return len(model.groups) * float(-np.log2(model.tables.max() / entropy.TOTAL))
    tables = model.tables[model.groups] if model.mask_tables is None else model.mask_tables
    return float(-np.log2(tables.max(axis=1) / entropy.TOTAL).sum())
