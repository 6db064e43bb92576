"""Files that people bring and take: pictures in and out; nothing is ever left half written. Imports no JAX."""

import pathlib

import numpy as np
import PIL.Image
import PIL.ImageOps
from jaxtyping import UInt8

from mscn_flax.atomic import replaced

READABLE = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
WRITABLE = (".png", ".tif", ".tiff", ".bmp", ".webp")
"""Formats that hold the decoded pixels as they are."""


def pictures_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """The pictures of a folder and of all folders in it."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in READABLE)


def read_picture(path: pathlib.Path) -> UInt8[np.ndarray, "H W 3"]:
    """A picture as 8-bit RGB, turned as its EXIF orientation says; grey, palette and CMYK pictures are converted.

    Raises:
      ValueError: in one line, for what is not there, is no picture, or holds what RGB cannot: transparency, more than
        8 bits, several frames.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        with PIL.Image.open(path) as opened:
            if getattr(opened, "n_frames", 1) > 1:
                raise ValueError(f"{path} has {opened.n_frames} frames; save the one to encode as a picture of its own")
            if opened.mode.startswith(("I", "F")) or getattr(opened, "tag_v2", {}).get(258, (8,))[0] > 8:
                raise ValueError(f"{path} has more than 8 bits a value; save it with 8 first")
            picture = PIL.ImageOps.exif_transpose(opened)
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
                if np.asarray(picture)[..., 3].min() < 255:
                    raise ValueError(f"{path} has transparent pixels, which cannot be coded; flatten it first")
            return np.array(picture.convert("RGB"))
    except (OSError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error


def write_picture(path: pathlib.Path, image: UInt8[np.ndarray, "H W 3"]) -> None:
    """Writes a picture without loss, atomically, in the format of the path's suffix.

    Raises:
      ValueError: for a suffix that is not of `WRITABLE`.
    """
    if path.suffix.lower() not in WRITABLE:
        raise ValueError(f"{path} must end in one of {', '.join(WRITABLE)}, which hold the pixels as they are")
    formats = {".tif": "TIFF", ".tiff": "TIFF"}
    name = formats.get(path.suffix.lower(), path.suffix[1:].upper())
    with replaced(path, "wb") as out:
        PIL.Image.fromarray(image).save(out, format=name, **({"lossless": True} if name == "WEBP" else {}))
