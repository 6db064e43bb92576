import dataclasses
import io
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import skimage.data
from PIL import Image

from benchmarks import codecs
from benchmarks.codecs import CODECS

BUILT_IN = ("jpeg", "jpeg2000", "webp", "avif", "jpeg_xl")
WITH_HEADERS = ("jpeg", "jpeg2000", "webp", "avif")


@pytest.fixture(scope="module")
def photo():
    return skimage.data.astronaut()[60:188, 160:320]  # A face, 128x160.


def psnr(image, other):
    return -10 * np.log10(np.mean(((image.astype(float) - other) / 255) ** 2) + 1e-12)


def usable(name):
    codec = CODECS[name]
    if not codec.available():
        pytest.skip(codec.missing())
    return codec


@pytest.mark.parametrize("name", CODECS)
def test_more_bytes_give_higher_psnr(name, photo):
    codec = usable(name)
    chosen = (codec.settings[0], codec.settings[len(codec.settings) // 2], codec.settings[-1])
    files = [codec.encode(photo, setting) for setting in chosen]
    images = [codec.decode(data) for data in files]
    for image in images:
        assert image.shape == photo.shape
        assert image.dtype == np.uint8
    worst, middle, best = (psnr(image, photo) for image in images)
    assert worst + 3 < middle < best - 3
    assert best > 33
    assert 2 * len(files[0]) < len(files[1]) < len(files[2]) / 2
    assert len(files[0]) * 8 < 0.8 * photo.shape[0] * photo.shape[1]


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (5, 17), (32, 32)])
def test_small_images(name, shape, photo):
    codec = usable(name)
    image = photo[: shape[0], : shape[1]]  # Not contiguous.
    data = codec.encode(image, codec.settings[-1])
    decoded = codec.decode(data)
    assert decoded.shape == image.shape
    assert psnr(decoded, image) > 25
    assert codec.payload(data) is None or 0 < codec.payload(data) < len(data)


@pytest.mark.parametrize("name", [name for name, codec in CODECS.items() if codec.grey16])
def test_maps_of_16_bits(name):
    y, x = np.mgrid[:46, :90] / 90
    smooth = np.rint(65535 * (0.5 + 0.4 * np.sin(5 * x) * np.cos(7 * y)))[..., None].astype(np.uint16)
    codec = CODECS[name]
    decoded = [codec.decode(codec.encode(smooth, setting)) for setting in (codec.settings[3], codec.settings[-1])]
    assert {(image.shape, image.dtype) for image in decoded} == {(smooth.shape, smooth.dtype)}
    coarse, fine = (np.sqrt(np.mean((image.astype(float) - smooth) ** 2)) for image in decoded)
    assert fine < coarse / 3
    # Finer than 8 bits, whose rounding alone errs by 74 of these levels.
    assert fine < 60


@pytest.mark.parametrize("name", BUILT_IN)
def test_noise_and_repeats(name):
    noise = np.random.default_rng(0).integers(0, 256, (128, 192, 3), np.uint8)
    codec = CODECS[name]
    data = codec.encode(noise, codec.settings[-1])
    assert codec.decode(data).shape == noise.shape
    assert codec.encode(noise, codec.settings[-1]) == data


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 3)),
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((8, 8, 3), np.uint16),
        np.zeros((8, 8, 1), np.uint8),
    ],
)
def test_other_arrays_are_refused(name, image):
    with pytest.raises(ValueError, match=f"{name} takes uint8"):
        CODECS[name].encode(image, CODECS[name].settings[0])


@pytest.mark.parametrize(("name", "side"), [("jpeg", 1 << 16), ("webp", 1 << 14)])
def test_too_large_images_are_refused(name, side):
    with pytest.raises(ValueError, match=f"{name} cannot encode an image"):
        CODECS[name].encode(np.zeros((side, 1, 3), np.uint8), CODECS[name].settings[0])


@pytest.mark.parametrize("name", BUILT_IN)
def test_other_files_are_refused(name, photo):
    for data in (b"", b"nothing of the kind", CODECS["webp" if name != "webp" else "jpeg"].encode(photo, 50)):
        with pytest.raises(ValueError, match=f"{name} cannot decode"):
            CODECS[name].decode(data)
        if name in WITH_HEADERS:
            with pytest.raises(ValueError, match="not a"):
                CODECS[name].payload(data)


@pytest.mark.parametrize("name", WITH_HEADERS)
def test_payload_grows_with_the_file_and_headers_hardly(name, photo):
    codec = CODECS[name]
    files = [codec.encode(photo, setting) for setting in codec.settings]
    headers = [len(data) - codec.payload(data) for data in files]
    # JPEG: the tables of as many scans as there are.
    assert all(18 < count < (1000 if name == "jpeg" else 400) for count in headers)
    assert codec.payload(files[-1]) > 5 * codec.payload(files[0])
    small = codec.encode(photo[:8, :8], codec.settings[4])
    assert codec.payload(small) < (len(small) - codec.payload(small)) * (2 if name == "webp" else 0.5)


def test_payload_of_jpeg(photo):
    def save(progressive):
        out = io.BytesIO()
        Image.fromarray(photo).save(out, "JPEG", quality=70, optimize=True, progressive=progressive)
        return out.getvalue()

    baseline, progressive = save(False), save(True)
    at = baseline.rindex(b"\xff\xda")  # The one scan reaches from its header, 2 + 12 bytes, to EOI.
    assert CODECS["jpeg"].payload(baseline) == len(baseline) - at - 14 - 2
    # Cut apart at the markers, all of whose segments give their length.
    parts = re.split(rb"(?s)(\xff[\xc0-\xcf\xd8-\xfe])", progressive)
    segments = list(zip(parts[1::2], parts[2::2], strict=True))
    assert sum(marker == b"\xff\xda" for marker, _ in segments) == 10
    scans = sum(len(rest) - int.from_bytes(rest[:2], "big") for marker, rest in segments if marker == b"\xff\xda")
    assert CODECS["jpeg"].payload(progressive) == scans


def test_jpeg_is_the_smaller_of_baseline_and_progressive(photo):
    codec, progressive = CODECS["jpeg"], b"\xff\xc2"
    assert progressive not in codec.encode(photo[:32, :32], codec.settings[-1])
    large = np.tile(photo, (4, 4, 1))
    data = codec.encode(large, codec.settings[-1])
    assert progressive in data
    out = io.BytesIO()
    Image.fromarray(large).save(out, "JPEG", quality=codec.settings[-1], subsampling="4:4:4", optimize=True)
    assert len(data) < len(out.getvalue())
    np.testing.assert_array_equal(codec.decode(data), codec.decode(out.getvalue()))


def test_payload_of_jpeg2000(photo):
    codec = CODECS["jpeg2000"]
    data = codec.encode(photo, 20)
    assert data[:2] == b"\xff\x4f"  # The bare codestream.
    assert codec.payload(data) == len(data) - data.index(b"\xff\x93") - 4
    out = io.BytesIO()
    Image.fromarray(photo).save(out, "JPEG2000", no_jp2=True, tile_size=(64, 64))
    tiles = re.findall(rb"\xff\x90\x00\x0a..(.{4})..\xff\x93", out.getvalue(), re.DOTALL)
    assert len(tiles) == 6
    assert codec.payload(out.getvalue()) == sum(int.from_bytes(length, "big") - 14 for length in tiles)


def test_jpeg2000_keeps_its_rate(photo):
    for ratio in (100, 25, 8):
        size = len(CODECS["jpeg2000"].encode(photo, ratio))
        assert 0.9 * photo.size / ratio < size < 1.05 * photo.size / ratio + 20


def test_payload_of_webp(photo):
    data = CODECS["webp"].encode(photo, 50)
    assert data[12:16] == b"VP8 "
    assert len(data) - 20 - CODECS["webp"].payload(data) in (0, 1)  # 12 of RIFF, 8 of the chunk, and to an even length.
    length = (len(data) - 8 + 10).to_bytes(4, "little")
    other = b"RIFF" + length + b"WEBP" + b"JUNK\x01\x00\x00\x00x\x00" + data[12:]
    assert CODECS["webp"].payload(other) == CODECS["webp"].payload(data)


def test_payload_of_avif(photo):
    codec = CODECS["avif"]
    data = codec.encode(photo, 50)
    at = data.index(b"mdat") - 4
    assert codec.payload(data) == len(data) - at - 8
    content = data[at + 8 :]
    assert codec.payload(data[:at] + bytes(4) + b"mdat" + content) == len(content)
    assert codec.payload(data[:at] + b"\0\0\0\1mdat" + (len(content) + 16).to_bytes(8, "big") + content) == len(content)


def test_nothing_to_take_off():
    assert CODECS["jpeg_xl"].payload(b"any") is None
    assert CODECS["bpg"].payload(b"any") is None


PROGRAM = """#!{python}
import pathlib, shutil, sys
arguments = sys.argv[1:]
with open("{log}", "a") as log:
    print(pathlib.Path(sys.argv[0]).name, *arguments, file=log)
shutil.copy(arguments[-1], arguments[arguments.index("-o") + 1])
"""


def put_on_path(folder, monkeypatch, text):
    for name in ("bpgenc", "bpgdec"):
        program = folder / name
        program.write_text(text)
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_command_line_of_bpg(tmp_path, monkeypatch, photo):
    log = tmp_path / "log"
    put_on_path(tmp_path, monkeypatch, PROGRAM.format(python=sys.executable, log=log))
    codec = CODECS["bpg"]
    assert codec.available()
    data = codec.encode(photo, 30)
    assert data[1:4] == b"PNG"  # As the program copied it.
    np.testing.assert_array_equal(codec.decode(data), photo)
    encoder, decoder = log.read_text().splitlines()
    assert re.fullmatch(r"bpgenc -q 30 -f 444 -m 9 -o \S+\.bpg \S+\.png", encoder)
    assert re.fullmatch(r"bpgdec -o \S+\.png \S+\.bpg", decoder)
    assert not pathlib.Path(encoder.split()[-1]).parent.exists()


def test_bpg_that_fails_or_is_missing(tmp_path, monkeypatch, photo):
    put_on_path(tmp_path, monkeypatch, "#!/bin/sh\necho no such luck >&2\nexit 3\n")
    with pytest.raises(ValueError, match="bpgenc ended with 3: no such luck"):
        CODECS["bpg"].encode(photo, 30)
    (tmp_path / "bpgdec").unlink()
    assert not CODECS["bpg"].available()
    assert CODECS["bpg"].missing() == "bpg needs bpgdec on the PATH"
    with pytest.raises(RuntimeError, match="bpg needs bpgdec"):
        CODECS["bpg"].encode(photo, 30)


def test_a_codec_from_outside_joins(monkeypatch, photo):
    monkeypatch.setattr(codecs, "CODECS", dict(CODECS))
    raw = codecs.Codec("raw", "bits", (8,), lambda image, _: image.tobytes(), lambda data: np.frombuffer(data, "u1"))
    assert codecs.register(raw) is codecs.register(raw)
    np.testing.assert_array_equal(codecs.CODECS["raw"].decode(raw.encode(photo, 8)), photo.ravel())
    with pytest.raises(ValueError, match="another codec 'raw'"):
        codecs.register(dataclasses.replace(raw, unit="bytes"))


def test_no_jax():
    subprocess.run(
        [sys.executable, "-c", "import sys, benchmarks.codecs; assert 'jax' not in sys.modules"],
        cwd=pathlib.Path(__file__).parent.parent,
        check=True,
    )
