"""A decoder of MSCN streams, written from docs/bitstream.md alone: NumPy, and nothing of the package or of JAX."""

import hashlib
import json
import zlib
from typing import NamedTuple

import numpy as np
import safetensors

TOTAL, KINDS = 1 << 16, ("image", "map", "volume", "scene")


def need(condition, otherwise):
    if not condition:
        raise ValueError(otherwise)


class Stream(NamedTuple):
    kind: str
    model_id: bytes
    height: int
    width: int
    parts: int
    payload: bytes


def parse(data):
    """Section 1: the container."""
    need(data[:2] == b"MS", "no stream")
    need(len(data) >= 15 and zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "big"), "truncated or altered")
    need(data[2] == 1 and data[3] < len(KINDS), "another version or kind")
    numbers, at = [], 8
    for _ in range(3):
        number, shift, byte = 0, 0, 0x80
        while byte & 0x80:
            need(shift < 35 and at < len(data) - 4, "a number without end")
            byte = data[at]
            number, shift, at = number | (byte & 0x7F) << shift, shift + 7, at + 1
        numbers.append(number)
    need(1 <= numbers[0] * numbers[1] <= 1 << 27, "no points, or too many")
    return Stream(KINDS[data[3]], data[4:8], *numbers, data[at:-4])


def pixels_without_loss(stream):
    """Section 2."""
    need(stream.kind == "image" and stream.parts == 0, "without loss, and no picture")
    length, unfolding, done = 1 + 3 * stream.width, zlib.decompressobj(), []
    try:
        rows = unfolding.decompress(stream.payload, stream.height * length + 1)
    except zlib.error as error:
        raise ValueError("damaged zlib data") from error
    need(len(rows) == stream.height * length and unfolding.eof and not unfolding.unused_data, "not so many pixels")
    before = np.zeros((stream.width + 1, 3), int)  # Begins with the zeros outside of the picture.
    for way, *filtered in np.frombuffer(rows, np.uint8).reshape(-1, length).astype(int):
        need(way <= 4, "an unknown filter")
        row = np.zeros_like(before)
        for x, rest in enumerate(np.reshape(filtered, (-1, 3)), 1):
            a, b, c = row[x - 1], before[x], before[x - 1]
            nearest = np.choose(np.argmin(np.abs([b - c, a - c, a + b - 2 * c]), axis=0), [a, b, c])
            row[x] = (rest + (0, a, b, (a + b) // 2, nearest)[way]) % 256
        done.append(row[1:])
        before = row
    return np.array(done, np.uint8)


class Model:
    """Section 3."""

    def __init__(self, path):
        with safetensors.safe_open(path, framework="numpy") as file:
            told, arrays = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        need(told.get("format") == "mscn-flax model 1", "no model")
        if "mask" not in arrays or "transform.mean" in arrays:
            arrays |= {name: arrays[name].reshape(()) for name in ("quantizer.low", "quantizer.step")}
        digest = hashlib.sha256(told["architecture"].encode())
        for name, array in sorted(arrays.items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
        need(digest.hexdigest() == told["id"], "the model has been altered")
        for name in {"tables", "excess_table", "mask_tables"} & set(arrays):
            need((arrays[name].sum(axis=-1) == TOTAL).all() and arrays[name].min() > 0, f"{name} with other sums")
        need((np.diff(arrays.get("contexts.edges", [])) >= 0).all(), "edges that do not ascend")
        about = json.loads(told["architecture"])
        self.id, self.arrays, self.field = digest.digest()[:4], arrays, about["field"]
        self.overlap = about.get("overlap", False)
        self.kind, self.side, self.symbols = about.get("kind", "image"), about["side"], 1 << about["bits"]
        modulated = self.field["siren"] if self.field["class"] == "RadianceField" else self.field
        self.siren = modulated.get("siren", modulated)
        grid = (self.siren["depth"] - 1, self.siren["width"])
        self.code_shape = (modulated["latent_dim"],) if "latent_dim" in modulated else grid
        self.mask = arrays.get("mask", np.ones(self.code_shape, bool)).ravel()
        other = {"map": (self.side, 2 * (self.side - 1)), "volume": (self.side,) * 3}
        self.shape = other.get(self.kind, (self.side, self.side))


class RangeDecoder:
    """Section 4."""

    def __init__(self, payload):
        self.payload, self.range, self.words = payload, (1 << 64) - 1, 0
        self.offset = int.from_bytes(payload[:8].ljust(8, b"\0"), "big")

    def read(self, count, table):
        ends, symbols = np.cumsum(table).tolist(), np.zeros(count, np.int64)
        for index in range(count):
            unit = (self.range >> 24) * 256
            share = self.offset // unit
            need(share < TOTAL, "the payload does not fit the tables")
            symbol = symbols[index] = np.searchsorted(ends, share, side="right")
            frequency = int(table[symbol])
            self.offset, self.range = self.offset - unit * (ends[symbol] - frequency), unit * frequency
            if self.range < 1 << 32:
                word = self.payload[4 * self.words + 8 :][:4].ljust(4, b"\0")
                self.offset, self.range = self.offset << 32 | int.from_bytes(word, "big"), self.range << 32
                self.words += 1
                need(4 * self.words <= len(self.payload), "the payload ends before its last symbol")
        return symbols

    def close(self):
        zeros, tail = 8 * (4 * self.words + 8 - len(self.payload)), self.payload[4 * self.words :].ljust(8, b"\0")
        need(zeros >= 0 and self.offset < 1 << zeros, "the payload goes on behind its last symbol")
        distance = (self.offset - int.from_bytes(tail, "big")) % (1 << (zeros + 8))
        need(zeros == 64 or distance >= self.range, "the payload is longer than its symbols")


def lattice(model, stream):
    """Rows and columns in which the parts lie."""
    if model.kind == "image":
        return -(-stream.height // model.side), -(-stream.width // model.side)
    return stream.parts, 1


def codes(model, stream):
    """Sections 5 to 7: the code of each part."""
    need(stream.model_id == model.id and stream.kind == model.kind, "another model is needed")
    arrays, (rows, columns) = model.arrays, lattice(model, stream)
    most = {"image": stream.parts, "map": (1 << 27) // (stream.height * stream.width)}.get(model.kind, 1)
    need(model.kind == "image" or (stream.height, stream.width) == model.shape[:2], "the model has another size")
    need(1 <= stream.parts <= most and stream.parts == rows * columns, "another number of parts")
    decoder, opened = RangeDecoder(stream.payload), np.broadcast_to(model.mask, (stream.parts, model.mask.size))
    if "mask_tables" in arrays:
        opened = np.stack([decoder.read(stream.parts, table) for table in arrays["mask_tables"]], axis=1) == 1
    if "contexts.units" in arrays:
        levels = levels_in_context(model, decoder, (rows, columns))
    else:
        levels = levels_by_entry(model, decoder, opened[:, model.mask])
    decoder.close()
    values = arrays["quantizer.low"] + levels.astype(np.float32) * arrays["quantizer.step"]
    if "transform.mean" in arrays:
        coefficients, values = values, np.tile(arrays["transform.mean"], (stream.parts, 1))
        for column, row in zip(coefficients.T, arrays["transform.basis"].astype(np.float32), strict=True):
            values += column[:, None] * row
    found = np.zeros(opened.shape, np.float32)
    found[:, model.mask] = np.where(opened[:, model.mask], values, np.float32(0))
    return found.reshape(-1, *model.code_shape)


def levels_by_entry(model, decoder, opened):
    """Section 5."""
    symbols, excess = np.zeros(opened.shape, np.int64), np.zeros(opened.shape, np.int64)
    for entry, group in enumerate(model.arrays["groups"]):
        symbols[opened[:, entry], entry] = decoder.read(opened[:, entry].sum(), model.arrays["tables"][group])
    ends = opened & ((symbols == 0) | (symbols == model.symbols - 1))
    excess.T[ends.T] = decoder.read(ends.sum(), model.arrays["excess_table"])
    return np.where(symbols == 0, -excess, symbols + excess)


def levels_in_context(model, decoder, grid):
    """Section 6."""
    neighbours, units, gains, edges = (model.arrays[f"contexts.{x}"] for x in ("neighbours", "units", "gains", "edges"))
    middle, sums = model.symbols // 2, np.zeros(grid, np.int64)
    found = np.zeros((len(units), grid[0] + 1, grid[1] + 1), np.int64)  # Begins with the zeros outside of the lattice.
    for v, w, unit, g in zip(found, neighbours.astype(np.int64), units, gains, strict=True):
        s = np.pad(sums, 1, mode="edge")
        beside = s[:-2, 1:-1] + s[2:, 1:-1] + s[1:-1, :-2] + s[1:-1, 2:]
        corners = s[:-2, :-2] + s[:-2, 2:] + s[2:, :-2] + s[2:, 2:]
        classes = np.searchsorted(edges, g[0] + g[1] * sums + g[2] * beside + g[3] * corners, side="right")
        symbols, excess = np.zeros(grid, np.int64), np.zeros(grid, np.int64)
        for each in np.unique(classes):
            symbols[classes == each] = decoder.read((classes == each).sum(), model.arrays["tables"][each])
        ends = (symbols == 0) | (symbols == model.symbols - 1)
        excess[ends] = decoder.read(ends.sum(), model.arrays["excess_table"])
        residuals = np.where(symbols == 0, -excess, symbols + excess) - middle
        sums += np.minimum(np.abs(residuals) * unit, 1 << 20)
        for i, j in np.ndindex(grid):
            predicted = (w[0] * v[i + 1, j] + w[1] * v[i, j + 1] + w[2] * v[i, j] + 128) >> 8
            v[i + 1, j + 1] = residuals[i, j] + np.clip(predicted, -middle, middle - 1)
    return found[:, 1:, 1:].reshape(len(units), -1).T + middle


def coordinates(model):
    """Section 8: those of the points of a part."""
    if model.kind == "map":
        p, q = np.indices(model.shape)
        p, q = np.radians(90 - 180 * p / (model.side - 1)), np.radians(360 * q / model.shape[1])
        axes = [np.cos(p) * np.cos(q), np.cos(p) * np.sin(q), np.sin(p)]
    elif model.overlap:
        axes = (np.indices((model.side + 2, model.side + 2)) - 0.5) / model.side
    else:
        axes = (np.indices(model.shape) + 0.5) / model.side
    return np.stack(axes, axis=-1).reshape(-1, len(axes)).astype(np.float32)


def network(model, points, code):
    prefix = "theta.field.siren." if model.field["class"] == "RadianceField" else "theta.field."

    def affine(x, name):
        return x @ model.arrays[f"{prefix}{name}.kernel"] + model.arrays[f"{prefix}{name}.bias"]

    need(model.siren.get("products", "float32") == "float32", "products of rounded factors are not done here")
    if code.ndim == 1:
        code, prefix = affine(code, "latent_to_modulations").reshape(-1, model.siren["width"]), f"{prefix}siren."
    h = 2 * points - 1 if model.siren["centred"] else points
    for layer, modulations in enumerate(code):
        before = affine(h, f"layer_{layer:02d}") + modulations
        if layer == 0 and model.siren.get("coordinate_free_shift", False):
            first = model.siren["coordinate_free"]
            free = np.sin(np.float32(model.siren["w0"]) * before[:, :first])
            before[:, first:] += free @ model.arrays[f"{prefix}layer_00_free.kernel"]
        h = np.sin(np.float32(model.siren["w0"]) * before)
    return affine(h, "output") + np.float32(model.siren["shift"])


def view(model, code, pose, intrinsics):
    """What a camera sees of a scene."""
    camera, (focal, *axis) = model.field["camera"], intrinsics
    row, column = np.indices(model.shape).reshape(2, -1) + 0.5
    directions = np.stack([(column - axis[0]) / focal, (row - axis[1]) / focal, np.ones(len(row))], axis=1)
    directions = directions @ pose[:3, :3].T
    depths = np.linspace(camera["near"], camera["far"], camera["samples"])
    points = pose[:3, 3] + depths[:, None] * directions[:, None]
    values = network(model, points.reshape(-1, 3).astype(np.float32), code).reshape(*points.shape[:2], 4)
    s = values[..., 3]
    density = np.clip(np.where(s > 0, s, 0.1 * np.expm1(np.minimum(s, 0))) + 0.1, 0, 10)
    thickness = density * np.append(np.diff(depths), 1e-3) * np.linalg.norm(directions, axis=1, keepdims=True)
    left = np.exp(-np.cumsum(np.pad(thickness, ((0, 0), (1, 0))), axis=1))[..., None]
    return np.sum((left[:, :-1] - left[:, 1:]) * values[..., :3], axis=1) + left[:, -1]


def blended(pixels, axis, lattice_axis):
    """Patches from those with a pixel more at either end of an axis: where two of them meet, both have a say."""
    pixels = np.moveaxis(pixels, (lattice_axis, axis), (0, 1))
    own = pixels[:, 1:-1].copy()
    for at, there in ((0, -1), (-1, 0)):
        patches, others = (own[1:], pixels[:-1]) if at == 0 else (own[:-1], pixels[1:])
        patches[:, at] = np.rint(0.75 * patches[:, at] + 0.25 * others[:, there])
    return np.moveaxis(own, (0, 1), (lattice_axis, axis))


def decode(model, data, cameras=None):
    """The signal of a stream; of a scene the views of cameras, poses [V, 4, 4] and intrinsics [3]."""
    stream = parse(data)
    if stream.model_id == bytes(4):
        return pixels_without_loss(stream)
    found = codes(model, stream)
    if model.kind == "scene":
        values = np.stack([view(model, found[0], pose, cameras[1]) for pose in cameras[0]])
    else:
        values = np.stack([network(model, coordinates(model), code) for code in found])
    need(np.isfinite(values).all(), "values that are not finite")
    shape = (model.side + 2, model.side + 2) if model.overlap else model.shape
    values = values.reshape(-1, *shape, values.shape[-1])
    if model.kind in ("map", "volume"):
        return values if model.kind == "map" else values[0]
    pixels = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
    if model.kind == "scene":
        return pixels
    rows, columns = lattice(model, stream)
    pixels = pixels.reshape(rows, columns, *pixels.shape[1:])
    if model.overlap:
        pixels = blended(blended(pixels, 3, 1), 2, 0)
    whole = pixels.swapaxes(1, 2).reshape(rows * model.side, -1, 3)
    return whole[: stream.height, : stream.width]
