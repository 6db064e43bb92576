"""Signal -> bytes -> signal. `decode(model, data)` sees the model and the bytes (see `stream.py`), nothing else.

The payload holds, entry by entry of the code, the symbols of all patches, each entry by its table. Where each signal
has its own mask, a first part holds the mask likewise, and the rest open entries alone. A last part holds, in the same
order, how far beyond it an entry lies whose symbol is the first or the last; models without `excess_table` have none.
"""

import numpy as np
from jaxtyping import Float, UInt8

from mscn_flax import entropy, patches, signals, views
from mscn_flax.kinds import KINDS
from mscn_flax.model import ID_BYTES, Model
from mscn_flax.network import Network
from mscn_flax.stream import MAX_PIXELS, Stream, join, parse

Signal = UInt8[np.ndarray, "H W C"] | Float[np.ndarray, "*shape C"] | dict[str, np.ndarray]
"""An image, maps, a solid or a scene, as `kinds` has them."""


def encode(model: Model, signal: Signal) -> bytes:
    """The stream of a signal.

    Raises:
      ValueError: for a signal that the model cannot code.
    """
    size = signal.shape[:2] if model.network.kind == "image" else model.network.shape[:2]
    return pack(model, model.network.adapt(split(model.network, signal)), *size)


def decode(model: Model, data: bytes, cameras: dict[str, np.ndarray] | None = None) -> Signal:
    """The signal of a stream: the image, the field's values of maps or of a solid, or views of a scene.

    Args:
      model: that the stream was made with.
      data: the stream.
      cameras: `poses` [V, 4, 4] and `intrinsics` [3], of scenes alone; None for those around it (`views.turntable`).

    Raises:
      ValueError: for what is not a whole and unaltered stream of this model.
    """
    stream, network = parse(data), model.network
    codes = unpack(model, stream)
    if network.kind == "scene":
        return _seen(network, codes[0], cameras)
    if cameras is not None:
        raise ValueError(f"cameras are for scenes; the stream holds a {KINDS[stream.kind].name}")
    if network.kind == "image":
        return patches.join(network.pictures(codes), stream.height, stream.width)
    values = network.render(codes)
    count = () if network.kind == "volume" else (stream.patches,)
    return values.reshape(*count, *network.shape, network.channels)


def _seen(network: Network, code: np.ndarray, cameras: dict[str, np.ndarray] | None) -> dict[str, np.ndarray]:
    """Views [V, s, s, 3] of 8 bits of one scene, with their cameras."""
    if cameras is None:
        lens = network.learner.field.camera
        cameras = views.turntable(lens.near, lens.far, network.side)
    values = network.views(code, cameras)
    taken = [signals.targets_to_image(view, network.side, network.side) for view in values]
    return {"views": np.stack(taken), "poses": cameras["poses"], "intrinsics": cameras["intrinsics"]}


def split(
    network: Network, signal: Signal
) -> UInt8[np.ndarray, "P s s C"] | Float[np.ndarray, "P *grid C"] | dict[str, np.ndarray]:
    """The image's patches, the maps, the solid or the scene, with an axis of what has a code of its own.

    Raises:
      ValueError: for a signal that the network cannot code.
    """
    if network.kind == "scene":
        return _scene(network, signal)
    if isinstance(signal, dict):
        raise ValueError(f"need a {KINDS[network.kind].name}, got a scene")
    return _patches(network, signal) if network.kind == "image" else _whole(network, signal)


def _whole(network: Network, signal: np.ndarray) -> Float[np.ndarray, "P *grid C"]:
    maps = network.kind == "map"
    wanted = (*network.shape, network.channels)
    if signal.dtype != np.float32 or signal.shape[maps:] != wanted or not signal.size:
        one = "maps" if maps else "a solid"
        raise ValueError(f"need {one} of {list(wanted)} float32, got {list(signal.shape)} {signal.dtype}")
    if not np.isfinite(signal).all():
        raise ValueError("the signal has values that are not finite")
    if signal.size > MAX_PIXELS:
        raise ValueError(f"{signal.size} values are more than {MAX_PIXELS}")
    return signal if maps else signal[None]


def _scene(network: Network, signal: Signal) -> dict[str, np.ndarray]:
    side = network.side
    if not (isinstance(signal, dict) and signal["views"].shape[1:] == (side, side, 3) and len(signal["views"])):
        raise ValueError(f"need a scene of views of {side}x{side} pixels")
    if not all(np.isfinite(signal[name]).all() for name in ("poses", "intrinsics")):
        raise ValueError("the scene's cameras have values that are not finite")
    if signal["views"].size > 3 * MAX_PIXELS:
        raise ValueError(f"{len(signal['views'])} views have more than {MAX_PIXELS} pixels")
    return {name: value[None] for name, value in signal.items()}


def _patches(network: Network, image: np.ndarray) -> UInt8[np.ndarray, "P s s C"]:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != network.channels or not image.size:
        raise ValueError(f"need [H, W, {network.channels}] uint8, got {list(image.shape)} {image.dtype}")
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise ValueError(f"{image.shape[0]}x{image.shape[1]} pixels are more than {MAX_PIXELS}")
    return patches.split(image, network.side)


def estimated_bits(model: Model, codes: Float[np.ndarray, "P *code"]) -> float:
    """Cross-entropy of a signal's symbols under the model's tables, in bits: the rate that the paper reports."""
    columns, tables = _columns(model, codes)
    counted = zip(columns, tables, strict=True)
    return float(sum(-np.log2(table[column] / entropy.TOTAL).sum() for column, table in counted))


def pack(model: Model, codes: Float[np.ndarray, "P *code"], height: int, width: int) -> bytes:
    """The stream of a signal whose patches, maps or one solid have these codes."""
    payload = entropy.encode(*_columns(model, codes))
    return join(model.network.kind, bytes.fromhex(model.id)[:ID_BYTES], height, width, len(codes), payload)


def unpack(model: Model, stream: Stream) -> Float[np.ndarray, "P *code"]:
    """The codes of a stream's patches; memory is within a constant factor of the payload's.

    Raises:
      ValueError: for a stream of another model, or a payload that is not what the header says.
    """
    if stream.model_id != bytes.fromhex(model.id)[:ID_BYTES]:
        raise ValueError(f"the stream needs model {stream.model_id.hex()}, this is {model.id[: 2 * ID_BYTES]}")
    if stream.kind != model.network.kind:
        raise ValueError(f"the stream holds a {KINDS[stream.kind].name}, the model another kind of signal")
    rows = _rows(model, stream)
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
    excess = np.zeros_like(symbols)
    if model.excess_table is not None:
        ends = model.quantizer.is_end(symbols) & opened[:, entries]
        excess.T[ends.T] = decoder.read(int(ends.sum()), model.excess_table)
    decoder.close()
    codes = np.zeros((rows, model.network.size), np.float32)
    codes[:, entries] = model.quantizer.dequantize(model.quantizer.join(symbols, excess))
    codes[~opened] = 0
    return codes.reshape(rows, *model.network.learner.field.code_shape)


def _rows(model: Model, stream: Stream) -> int:
    """How many codes a stream holds, after checks that its header allows them.

    Raises:
      ValueError: where it does not.
    """
    network = model.network
    if network.kind != "image" and (stream.height, stream.width) != network.shape[:2]:
        size = f"{network.shape[0]}x{network.shape[1]}"
        raise ValueError(f"the stream claims {stream.height}x{stream.width} points, the model has {size}")
    if network.kind == "map":
        if not 1 <= stream.patches <= MAX_PIXELS // (stream.height * stream.width):
            raise ValueError(f"the stream claims {stream.patches} maps")
        return stream.patches
    rows = patches.count(stream.height, stream.width, network.side) if network.kind == "image" else 1
    if stream.patches != rows:
        raise ValueError(f"the stream claims {stream.patches} patches where its size makes {rows}")
    return rows


def _columns(model: Model, codes: Float[np.ndarray, "P *code"]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What the payload holds: columns of symbols, and the table of each.

    Raises:
      ValueError: where a code is not finite.
    """
    flat = codes.reshape(len(codes), -1)
    if not np.isfinite(flat).all():
        raise ValueError("the model finds no finite code for this signal; it needs another model")
    symbols, excess = model.quantizer.split(model.quantizer.quantize(flat[:, model.network.stored]))
    opened = flat != 0 if model.network.mask is None else np.ones(symbols.shape, bool)
    columns = [column[is_open] for column, is_open in zip(symbols.T, opened.T, strict=True)]
    tables = [model.tables[group] for group in model.groups]
    if model.network.mask is None:
        columns, tables = [*opened.T.astype(np.int32), *columns], [*model.mask_tables, *tables]
    if model.excess_table is not None:
        ends = model.quantizer.is_end(symbols) & opened
        columns, tables = [*columns, excess.T[ends.T]], [*tables, model.excess_table]
    return columns, tables


def _fewest_bits(model: Model) -> float:
    """Bits of the cheapest patch that there is."""
    tables = model.tables[model.groups] if model.mask_tables is None else model.mask_tables
    return float(-np.log2(tables.max(axis=1) / entropy.TOTAL).sum())
