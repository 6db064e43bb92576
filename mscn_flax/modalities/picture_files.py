"""Picture files as people have them, read as upright pictures of 8 bits in sRGB, or refused in one line.

What is ignored in a file, or changed beyond the encoding of its pixels, is logged as a warning.
"""

import io
import logging
import pathlib
import warnings

import PIL.Image
import PIL.ImageCms

from mscn_flax.inputs import check_file
from mscn_flax.modalities.base import MAX_POINTS
from mscn_flax.text import first_line, printable

_LOG = logging.getLogger(__name__)

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
"""JPEG stands for MPO too. Of Pillow's many other readers some cut 16 bits silently, or start other programs."""

_BITS_PER_SAMPLE, _ORIENTATION = 258, 274
"""Tags of TIFF and of EXIF data."""

_PNG_DEPTH = 24
"""Position of the byte that says how many bits a value has in a PNG file."""

_TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
"""What brings a picture of an EXIF orientation upright; orientation 1 is upright, and others mean nothing."""

_MODES = {"RGB": ("RGB", "P", "L", "1"), "GRAY": ("L", "1"), "CMYK": ("CMYK",)}
"""Modes of pictures that a profile of this colour space may describe, the one that it is applied in first."""


def read_picture(path: pathlib.Path) -> PIL.Image.Image:
    """The picture of a file, of mode RGB, or RGBA where the file has transparency.

    Of an MPO, as telephones write it, the first picture: the others are previews, depths or a second eye's view.

    Raises:
      ValueError: in one line with the file's name, for a file that is no whole picture, is larger than `MAX_POINTS`,
        has several frames or more than 8 bits per value.
    """
    check_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's: what matters is found, refused or logged here.
        try:
            with PIL.Image.open(path, formats=_FORMATS) as opened:
                fault = _fault(opened, path)
                picture = opened if fault else _upright(_in_srgb(opened, path), opened, path)
        except PIL.UnidentifiedImageError as error:
            raise ValueError(f"{path} cannot be read: it is no whole PNG, JPEG, WebP, TIFF or BMP file") from error
        except Exception as error:  # Of a broken file, Pillow raises whatever its parsers stumble over.
            raise ValueError(f"{path} cannot be read as a picture: {first_line(error)}") from error
    if fault:
        raise ValueError(f"{path} has {fault}")
    return picture


def _fault(opened: PIL.Image.Image, path: pathlib.Path) -> str:
    """What a file has, by its header, that cannot be coded; nothing where it has no such thing."""
    if opened.width * opened.height > MAX_POINTS:
        return f"{opened.width}x{opened.height} pixels, more than {MAX_POINTS}"
    if opened.format != "MPO" and getattr(opened, "n_frames", 1) > 1:
        return f"{opened.n_frames} frames; save the one to encode by itself"
    if opened.mode.startswith(("I", "F")) or _bits(opened, path) > 8:
        return "more than 8 bits per value; save it with 8 first"
    return ""


def _bits(opened: PIL.Image.Image, path: pathlib.Path) -> int:
    """Bits per value in the file: Pillow opens 16-bit colours as if they had 8."""
    if opened.format == "PNG":
        with path.open("rb") as file:
            return file.read(_PNG_DEPTH + 1)[_PNG_DEPTH]
    if opened.format == "TIFF":
        return max(opened.tag_v2.get(_BITS_PER_SAMPLE, (1,)))
    return 8  # JPEG, WebP and BMP as Pillow reads them have no more.


def _in_srgb(opened: PIL.Image.Image, path: pathlib.Path) -> PIL.Image.Image:
    """The picture in mode RGB or RGBA, its colours converted where it has a profile other than sRGB."""
    alpha = opened.convert("RGBA").getchannel("A") if opened.has_transparency_data else None
    icc = opened.info.get("icc_profile")
    picture = (_converted(opened, icc, path) if icc else None) or opened.convert("RGB")
    if alpha is not None:
        picture.putalpha(alpha)
    return picture


def _converted(opened: PIL.Image.Image, icc: bytes, path: pathlib.Path) -> PIL.Image.Image | None:
    """The picture in sRGB; None where it is so already, or its profile is of no use."""
    try:
        profile = PIL.ImageCms.ImageCmsProfile(io.BytesIO(icc))
        name = printable(PIL.ImageCms.getProfileDescription(profile).strip())
        if "sRGB" in name:
            return None
        modes, base = _MODES[profile.profile.xcolor_space.strip()], opened.mode
        if opened.has_transparency_data:
            base = {"LA": "L", "La": "L", "L": "L"}.get(base, "RGB")
        if base not in modes:
            raise ValueError("the profile is of another colour space than the picture")
        srgb = PIL.ImageCms.createProfile("sRGB")
        converted = PIL.ImageCms.profileToProfile(opened.convert(modes[0]), profile, srgb, outputMode="RGB")
    except Exception:  # As many kinds as for broken pictures.
        _LOG.warning("%s: its colour profile is broken or does not fit, and is ignored", printable(str(path)))
        return None
    _LOG.warning("%s: colours converted to sRGB from the profile %s", printable(str(path)), name or "without a name")
    return converted


def _upright(picture: PIL.Image.Image, opened: PIL.Image.Image, path: pathlib.Path) -> PIL.Image.Image:
    """The picture turned as the orientation in the file's EXIF data says, if that can be read."""
    turn = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Data cut short are only warned of.
            turn = _TURNS.get(opened.getexif().get(_ORIENTATION))
            # What is broken, Pillow has skipped when it opened the file, or stumbles over when it writes it again.
            exif = PIL.Image.Exif()
            exif.load(opened.info.get("exif", b""))
            exif.tobytes()
    except Exception:
        _LOG.warning("%s: its EXIF data are broken; at most the orientation is used", printable(str(path)))
    return picture.transpose(turn) if turn is not None else picture
