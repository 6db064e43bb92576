import struct
import zlib

import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.ImageOps
import pytest

from mscn_flax.modalities import IMAGES
from mscn_flax.modalities.values import array_to_targets


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (7, 9), (16, 24), (3, 20), (33, 8)])
def test_join_is_the_inverse_of_split(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    patches = IMAGES.split(image, 8, 3)
    assert patches.shape[1:] == (8, 8, 3)
    IMAGES.check_header(*shape, len(patches), 8)
    values = IMAGES.stored(array_to_targets(patches, 2))
    np.testing.assert_array_equal(IMAGES.join(values, *shape, 8), image)


def test_patches_are_the_image_row_by_row():
    image = np.arange(16 * 24 * 1, dtype=np.uint16).astype(np.uint8).reshape(16, 24, 1)
    patches = IMAGES.split(image, 8, 1)
    np.testing.assert_array_equal(patches[1], image[:8, 8:16])
    np.testing.assert_array_equal(patches[3], image[8:, :8])


def test_the_image_goes_on_by_reflection():
    image = np.random.default_rng(0).integers(0, 256, (8, 5, 3)).astype(np.uint8)
    (patch,) = IMAGES.split(image, 8, 3)
    np.testing.assert_array_equal(patch[:, 5:], image[:, 1:4][:, ::-1])


def test_a_wrong_number_of_patches_is_refused():
    with pytest.raises(ValueError, match="3 patches where its size makes 4"):
        IMAGES.check_header(16, 16, 3, 8)


RNG = np.random.default_rng(0)
PICTURE = PIL.Image.fromarray(np.kron(RNG.integers(0, 256, (5, 3, 3)), np.ones((8, 8, 1))).astype(np.uint8))


def _png(depth: int, colour: int, channels: int, text: bytes = b"", size: tuple[int, int] = (3, 2)) -> bytes:
    """A PNG file by its specification: Pillow writes no colours of 16 bits."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = (b"\0" + b"\1" * (3 * channels * depth // 8)) * 2
    head = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"zTXt", text), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks if each[1] or each[0] == b"IEND")


def _tiff(bits: tuple[int, ...], order: str) -> bytes:
    """A TIFF file of one pixel of three values, each of so many bits."""
    tags = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 3, 122), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 128)]
    tags += [(277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, sum(bits) // 8)]
    short = {"<": lambda value: value, ">": lambda value: value << 16}[order]
    entries = [struct.pack(f"{order}HHII", t, k, n, short(v) if k == 3 and n == 1 else v) for t, k, n, v in tags]
    head = struct.pack(f"{order}2sHIH", {"<": b"II", ">": b"MM"}[order], 42, 8, len(tags))
    body = head + b"".join(entries) + bytes(4)
    return body.ljust(122, b"\0") + struct.pack(f"{order}3H", *bits) + bytes(sum(bits) // 8)


DEEP = {
    "grey.png": _png(16, 0, 1),
    "grey_alpha.png": _png(16, 4, 2),
    "rgb.PNG": _png(16, 2, 3),
    "rgba.png": _png(16, 6, 4),
    "rgb.tif": _tiff((16, 16, 16), "<"),
    "rgb.TIFF": _tiff((16, 16, 16), ">"),
}


@pytest.mark.parametrize("name", DEEP)
def test_more_than_8_bits_are_refused_in_any_mode(name, tmp_path):
    (tmp_path / name).write_bytes(DEEP[name])
    assert IMAGES.takes(tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name} has more than 8 bits per value"):
        IMAGES.read(tmp_path / name)


def test_8_bits_by_the_same_headers_are_read(tmp_path):
    for name, data in {"a.png": _png(8, 2, 3), "b.tif": _tiff((8, 8, 8), "<"), "c.tif": _tiff((8, 8, 8), ">")}.items():
        (tmp_path / name).write_bytes(data)
        assert IMAGES.read(tmp_path / name).shape[2] == 3


@pytest.mark.parametrize("name", ["16 pixels.PNG", "photo.JPG", "photo.Webp", "photo.TIF", "photo.BMP"])
def test_capital_endings_are_as_small_ones(name, tmp_path):
    PICTURE.save(tmp_path / name)
    assert IMAGES.takes(tmp_path / name)
    assert IMAGES.read(tmp_path / name).shape == (40, 24, 3)


def test_the_first_picture_of_an_mpo_is_read(tmp_path):
    PICTURE.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[PICTURE.resize((6, 10))], quality=95)
    PICTURE.save(tmp_path / "b.jpg", quality=95)
    np.testing.assert_array_equal(IMAGES.read(tmp_path / "a.jpg"), IMAGES.read(tmp_path / "b.jpg"))


@pytest.mark.parametrize("orientation", range(10))
def test_pictures_are_upright_by_their_exif_data(orientation, tmp_path):
    exif = PIL.Image.Exif()
    exif[274] = orientation
    PICTURE.save(tmp_path / "a.png", exif=exif)
    with PIL.Image.open(tmp_path / "a.png") as opened:
        wanted = PIL.ImageOps.exif_transpose(opened)
    np.testing.assert_array_equal(IMAGES.read(tmp_path / "a.png"), np.asarray(wanted))


@pytest.mark.parametrize("exif", [b"Exif\0\0MM\0*\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0no"])
def test_broken_exif_data_are_ignored_with_a_warning(exif, tmp_path, caplog):
    PICTURE.save(tmp_path / "a.jpg", exif=exif)
    assert IMAGES.read(tmp_path / "a.jpg").shape == (40, 24, 3)
    assert [record.message for record in caplog.records] == [
        f"{tmp_path / 'a.jpg'}: its EXIF data are broken; at most the orientation is used"
    ]


def _swapped_profile() -> bytes:
    """A profile whose red is the blue of sRGB."""
    icc = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    icc = icc.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    return icc.replace(b"rXYZ", b"tXYZ", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tXYZ", b"bXYZ", 1)


@pytest.mark.parametrize(
    ("mode", "ending"), [("RGB", "png"), ("RGB", "tif"), ("RGBA", "png"), ("P", "png"), ("L", "png")]
)
def test_colours_are_converted_to_srgb_and_that_is_said(mode, ending, tmp_path, caplog):
    picture, path = PICTURE.convert(mode), tmp_path / f"a.{ending}"
    picture.save(path, icc_profile=_swapped_profile())
    np.testing.assert_allclose(IMAGES.read(path), np.asarray(picture.convert("RGB"))[..., ::-1].astype(int), atol=2)
    (record,) = caplog.records
    assert record.message.startswith(f"{path}: colours converted to sRGB from the profile swap")


def test_srgb_stays_as_it_is_and_a_useless_profile_is_ignored_with_a_warning(tmp_path, caplog):
    path, icc = tmp_path / "a.png", PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    PICTURE.save(path, icc_profile=icc)
    np.testing.assert_array_equal(IMAGES.read(path), np.asarray(PICTURE))
    assert not caplog.records
    for broken in (b"no profile", icc[: len(icc) // 2], _swapped_profile().replace(b"RGB ", b"CMYK", 1)):
        caplog.clear()
        PICTURE.save(path, icc_profile=broken)
        np.testing.assert_array_equal(IMAGES.read(path), np.asarray(PICTURE))
        assert "broken or does not fit, and is ignored" in caplog.text


@pytest.mark.parametrize(
    "data",
    [
        _png(8, 2, 3, size=(30_000, 30_000)),
        _png(8, 2, 3, size=(12_000, 12_000)),
        _png(8, 2, 3, text=b"a\0\0" + zlib.compress(bytes(1 << 27))),
        _png(8, 2, 3)[:-30],
        b"",
        b"GIF89a" + bytes(20),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"P6 1 1 65535\n" + bytes(6),
    ],
    ids=["bomb", "too large", "text bomb", "cut", "empty", "gif", "postscript", "ppm"],
)
def test_bombs_and_other_files_are_refused_in_one_line(data, tmp_path):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.png (cannot be read|has 12000x12000 pixels)") as error:
        IMAGES.read(tmp_path / "a.png")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp", "bmp"])
def test_damaged_files_are_read_or_refused_in_one_line(ending, tmp_path):
    path, rng = tmp_path / f"a.{ending}", np.random.default_rng(0)
    PICTURE.save(path, exif=PICTURE.getexif(), icc_profile=_swapped_profile())
    whole, refusals = path.read_bytes(), []
    for _ in range(60):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(len(data) if rng.random() < 0.5 else min(200, len(data)), size=4)] = rng.integers(256, size=4)
        path.write_bytes(data[: rng.integers(1, len(data)) if rng.random() < 0.3 else None].tobytes())
        try:
            IMAGES.read(path)
        except ValueError as error:
            refusals.append(str(error))
    assert refusals
    assert all(refusal.startswith(str(path)) and refusal.isprintable() for refusal in refusals)


def test_pictures_that_people_have(field_files, caplog):
    assert IMAGES.read(field_files / "grey_7.5MP.png").shape == (2500, 3000, 3)
    assert IMAGES.read(field_files / "phone_mpo.jpg").shape == (40, 48, 3)
    assert not caplog.records
    assert IMAGES.read(field_files / "exif_signed_rational.jpg").shape == (48, 40, 3)
    assert "EXIF data are broken" in caplog.text
    with pytest.raises(ValueError, match="more than 8 bits"):
        IMAGES.read(field_files / "rgb16.png")
