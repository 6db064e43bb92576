"""Images [H, W, c] of 8 bits, from picture files, coded patch by patch (COIN++, appendix A of Dupont et al. 2022b)."""

import io
import math
import pathlib

import numpy as np
import PIL.Image
from jaxtyping import Float, Int, UInt8

from mscn_flax.atomic import replaced
from mscn_flax.modalities.base import MAX_POINTS, Cameras, Signal
from mscn_flax.modalities.grids import Grid
from mscn_flax.modalities.picture_files import read_picture
from mscn_flax.modalities.values import psnr_8_bit, targets_to_8_bit

PATCHES = 8
"""Patches per side, at most, of the crops of training pictures to which contexts are fitted."""


_FLAT = 0.5
"""Share of values that repeat the one to their left, from which a picture's file is made by runs."""


class Images(Grid):
    """Pictures. Patches do not overlap; an image that they do not divide is continued by reflection."""

    name, noun, part, rate = "image", "picture", "patch", "bpp"
    dims = 2
    patch_side = 32  # As in the paper's and COIN++'s experiment on Kodak.
    in_memory = 30_000
    readable = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
    writable = (".png", ".tif", ".tiff", ".bmp", ".webp")
    """Formats that hold the decoded pixels as they are."""

    def split(self, signal: Signal, side: int, channels: int) -> UInt8[np.ndarray, "P s s c"]:
        """The patches, row by row."""
        is_image = isinstance(signal, np.ndarray) and signal.dtype == np.uint8 and signal.ndim == 3
        if not is_image or signal.shape[2] != channels or not signal.size:
            got = f"{list(signal.shape)} {signal.dtype}" if isinstance(signal, np.ndarray) else "a scene"
            raise ValueError(f"need a picture [H, W, {channels}] uint8, got {got}")
        height, width, _ = signal.shape
        if height * width > MAX_POINTS:
            raise ValueError(f"{height}x{width} pixels are more than {MAX_POINTS}")
        rows, columns = -(-height // side), -(-width // side)
        beyond = ((0, rows * side - height), (0, columns * side - width), (0, 0))
        patches = np.pad(signal, beyond, mode="reflect").reshape(rows, side, columns, side, channels)
        return patches.swapaxes(1, 2).reshape(-1, side, side, channels)

    def join(self, values: np.ndarray, height: int, width: int, side: int, cameras: Cameras | None = None) -> Signal:
        rows, columns = -(-height // side), -(-width // side)
        patches = values.reshape(rows, columns, side, side, -1).swapaxes(1, 2)
        return patches.reshape(rows * side, columns * side, -1)[:height, :width]

    def stored(self, values: Float[np.ndarray, "P N c"]) -> UInt8[np.ndarray, "P N c"]:
        return targets_to_8_bit(values)

    def lattice(self, height: int, width: int, parts: int, side: int) -> tuple[int, int]:
        return -(-height // side), -(-width // side)

    def wider_coordinates(self, side: int) -> Float[np.ndarray, "N 2"]:
        axis = (np.arange(-1, side + 1, dtype=np.float32) + 0.5) / side
        return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)

    def blended(self, values: np.ndarray, height: int, width: int, side: int) -> np.ndarray:
        """Three quarters of a patch's own value at its border, and a quarter of what the next patch has there.

        Nearly what least squares gives: 0.77 for a pixel at the border, 0.99 for the one behind it (measured once, on
        five of CID22's validation pictures).
        """
        rows, columns = self.lattice(height, width, len(values), side)
        # [R, C, s + 2, s + 2, c], then the axis of columns first, then rows.
        wider = values.reshape(rows, columns, side + 2, side + 2, -1)
        for lattice_axis, axis in ((1, 3), (0, 2)):
            wider = np.moveaxis(_meet(np.moveaxis(wider, (lattice_axis, axis), (0, 1))), (0, 1), (lattice_axis, axis))
        return wider.reshape(rows * columns, side * side, -1)

    def check_header(self, height: int, width: int, parts: int, side: int) -> None:
        """An image of any size has as many parts as there are patches."""
        patches = math.prod(self.lattice(height, width, parts, side))
        if parts != patches:
            raise ValueError(f"the stream claims {parts} patches where its size makes {patches}")

    def describe(self, height: int, width: int, parts: int) -> str:
        return f"{width}x{height} pixels in {parts} patches"

    def read(self, path: pathlib.Path, side: int | None = None) -> UInt8[np.ndarray, "H W 3"]:
        """A picture as 8-bit sRGB, upright; grey, palette and CMYK pictures are converted.

        What RGB cannot hold is refused: transparency, more than 8 bits, several frames.
        """
        picture = read_picture(path)
        if picture.mode == "RGBA":
            if picture.getchannel("A").getextrema()[0] < 255:
                raise ValueError(f"{path} has transparent pixels, which cannot be coded; flatten it first")
            picture = picture.convert("RGB")
        return np.array(picture)

    def write(self, path: pathlib.Path, signal: UInt8[np.ndarray, "H W 3"]) -> None:
        """Without loss, in the format of the path's ending."""
        self.check_writable(path)
        form = {".tif": "TIFF"}.get(path.suffix.lower(), path.suffix[1:].upper())
        if form == "PNG":
            content = _png(signal)
        else:
            # In memory first: into a file Pillow writes some formats past Python, and does not see that a disk is full.
            file = io.BytesIO()
            PIL.Image.fromarray(signal).save(file, format=form, **({"lossless": True} if form == "WEBP" else {}))
            content = file.getvalue()
        with replaced(path, "wb") as out:
            out.write(content)

    def errors(self, signal: UInt8[np.ndarray, "H W c"], decoded: UInt8[np.ndarray, "H W c"]) -> dict[str, float]:
        return {"psnr_db": psnr_8_bit(decoded, signal)}

    def described(self, errors: dict[str, float]) -> str:
        return f"PSNR {errors['psnr_db']:.2f} dB"

    def shown(self, targets: np.ndarray, side: int, count: int) -> Int[np.ndarray, " n"]:
        """None: no figure shows them."""
        return np.arange(0)


def _png(picture: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """The picture as a PNG file: a tenth longer than Pillow makes it by default, in a tenth of the time.

    To look for repetitions takes a third of that, and finds none but where colours are flat.
    """
    import imagecodecs  # Two in three commands write no picture.

    rows, png = picture[:: max(1, len(picture) // 64)], imagecodecs.PNG
    flat = rows.shape[1] > 1 and (rows[:, 1:] == rows[:, :-1]).mean() > _FLAT
    strategy = png.STRATEGY.RLE if flat else png.STRATEGY.HUFFMAN_ONLY
    options = {"level": 1, "filter": png.FILTER.PAETH, "strategy": strategy}
    return imagecodecs.png_encode(np.ascontiguousarray(picture), **options)


def _meet(wider: np.ndarray) -> np.ndarray:
    """Patches [P, s, ...] in a row from those with a point more at either end, mixed where two of them meet."""
    made = wider[:, 1:-1].copy()
    for own, there, inside, outside in (
        (slice(1, None), slice(None, -1), 0, -1),
        (slice(None, -1), slice(1, None), -1, 0),
    ):
        mixed = 0.75 * np.float32(wider[own, 1:-1][:, inside]) + 0.25 * np.float32(wider[there, outside])
        made[own, inside] = np.rint(mixed) if made.dtype == np.uint8 else mixed
    return made


IMAGES = Images()


def pictures_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """The pictures of a folder and of all folders in it."""
    return sorted(path for path in folder.rglob("*") if IMAGES.takes(path) and not path.name.startswith("."))
