"""The image codecs that figure 7 draws beside the networks: whole files, and their bytes without headers.

Every codec is set as someone who wants the highest PSNR at a size would set it. The choices below were made on CID22
photographs (512x512) and CIFAR-10's training images. Imports no JAX.
"""

import dataclasses
import importlib.metadata
import io
import pathlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFile


@dataclasses.dataclass(frozen=True)
class Codec:
    """A lossy image codec.

    Attributes:
      name: as in `CODECS`.
      unit: what a setting is.
      settings: from the smallest files to the largest.
      encoder: uint8 [H, W, 3] and a setting -> a file.
      decoder: a file -> uint8 [H, W, 3].
      grey16: whether it takes uint16 [H, W, 1], and gives it back, too.
      counter: a file -> its bytes without headers; None where the format leaves nothing to take off.
      programs: what must be on the PATH.
      revision: of the encoder's options: another one makes the rows anew.
    """

    name: str
    unit: str
    settings: tuple[float, ...]
    encoder: Callable[[np.ndarray, float], bytes]
    decoder: Callable[[bytes], np.ndarray]
    counter: Callable[[bytes], int] | None = None
    grey16: bool = False
    programs: tuple[str, ...] = ()
    revision: int = 1

    def missing(self) -> str:
        """Why the codec cannot run here; empty where it can."""
        absent = [program for program in self.programs if shutil.which(program) is None]
        return f"{self.name} needs {' and '.join(absent)} on the PATH" if absent else ""

    def available(self) -> bool:
        """Whether the codec can run here."""
        return not self.missing()

    def encode(self, image: np.ndarray, setting: float) -> bytes:
        """The whole file of `image`, uint8 [H, W, 3] (or 16-bit grey, see `grey16`), of 1x1 pixels or more.

        Raises:
          ValueError: where the image has another shape or type, or the codec refuses it or the setting.
          RuntimeError: where the codec is not available.
        """
        taken = {(np.dtype(np.uint8), 3)} | ({(np.dtype(np.uint16), 1)} if self.grey16 else set())
        if image.ndim != 3 or (image.dtype, image.shape[2]) not in taken or not image.size:
            also = " or uint16 [H, W, 1]" if self.grey16 else ""
            raise ValueError(f"{self.name} takes uint8 [H, W, 3]{also}, got {image.dtype} {list(image.shape)}")
        return self._tried(
            lambda: self.encoder(np.ascontiguousarray(image), setting),
            f"encode an image {list(image.shape)} at {self.unit} {setting}",
        )

    def decode(self, data: bytes) -> np.ndarray:
        """The image of a file, as it was given.

        Raises:
          ValueError: where `data` is not a file of this codec.
          RuntimeError: where the codec is not available.
        """
        return self._tried(lambda: self.decoder(data), f"decode these {len(data)} bytes")

    def payload(self, data: bytes) -> int | None:
        """Bytes of a file without its headers; None where the format has none to take off.

        Raises:
          ValueError: where `data` is not a file of this codec.
        """
        return self.counter(data) if self.counter else None

    def _tried(self, work: Callable, what: str):
        if missing := self.missing():
            raise RuntimeError(missing)
        try:
            return work()
        except (OSError, RuntimeError, ValueError) as error:  # What Pillow and imagecodecs raise.
            raise ValueError(f"{self.name} cannot {what}: {error}") from error


def _save(image: np.ndarray, file_format: str, **options) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image[..., 0] if image.dtype == np.uint16 else image).save(out, file_format, **options)
    return out.getvalue()


def _open(file_format: str) -> Callable[[bytes], np.ndarray]:
    def decode(data):
        with Image.open(io.BytesIO(data), formats=[file_format]) as image:
            return np.array(image)[..., None] if image.mode == "I;16" else np.array(image.convert("RGB"))

    return decode


def _jpeg(image: np.ndarray, quality: int) -> bytes:
    # Pillow gives libjpeg a byte a pixel for a whole file with optimised tables: too few for noise.
    ImageFile.MAXBLOCK = max(ImageFile.MAXBLOCK, 2 * image.size)
    # At equal bytes 4:2:0 has the higher PSNR below quality 75 to 80 on photographs, below 15 to 20 at 32x32.
    subsampling = "4:2:0" if quality <= 60 else "4:4:4"
    # The same pixels in two orders: progressive is smaller on photographs from about 1 bpp on, never at 32x32.
    files = (
        _save(image, "JPEG", quality=quality, subsampling=subsampling, optimize=True, progressive=progressive)
        for progressive in (False, True)
    )
    return min(files, key=len)


_SCAN_END = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""A marker that is neither a stuffed byte nor a restart."""


def _jpeg_payload(data: bytes) -> int:
    """Bytes of the scans: without markers and tables, although the Huffman tables were made for the image."""
    count, at = 0, 2
    while marker := data[at : at + 2]:
        if marker == b"\xff\xd9":  # EOI.
            return count
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == b"\xff\xda" and (end := _SCAN_END.search(data, at)):  # SOS.
            count, at = count + end.start() - at, end.start()
    raise ValueError("not a whole JPEG file")


def _jpeg2000(image: np.ndarray, ratio: float) -> bytes:
    # Down to a coarsest band of 8 pixels, at most OpenJPEG's 6 resolutions: those 6 cost 3 dB at 32x32 against 3.
    resolutions = min(6, max(1, (min(image.shape[:2]) // 8).bit_length()))
    return _save(
        image,
        "JPEG2000",
        no_jp2=True,  # The codestream alone.
        irreversible=True,  # The 9/7 wavelet.
        mct=int(image.shape[2] == 3),
        quality_mode="rates",
        quality_layers=[ratio],
        num_resolutions=resolutions,
        comment=" ",  # In place of OpenJPEG's name, 32 bytes more.
    )


def _jpeg2000_payload(data: bytes) -> int:
    """Bytes behind the SOD markers, tile-part by tile-part (ISO/IEC 15444-1, annex A)."""
    count, at, end = 0, 2, 0
    while marker := data[at : at + 2]:
        if marker == b"\xff\xd9":  # EOC.
            return count
        if marker == b"\xff\x93" and end > at:  # SOD.
            count, at = count + end - (at + 2), end
            continue
        if marker == b"\xff\x90":  # SOT, with the length of its tile-part; 0: all that is left.
            length = int.from_bytes(data[at + 6 : at + 10], "big")
            end = at + length if length else len(data) - 2
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise ValueError("not a whole JPEG 2000 codestream")


def _webp(image: np.ndarray, quality: float) -> bytes:
    return _save(image, "WEBP", quality=quality, method=6)


def _webp_payload(data: bytes) -> int:
    """Bytes of the VP8 chunk."""
    at = 12
    while chunk := data[at : at + 4]:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if chunk == b"VP8 ":
            return length
        at += 8 + length + length % 2
    raise ValueError("not a lossy WebP file")


def _avif(image: np.ndarray, quality: int) -> bytes:
    return _save(
        image,
        "AVIF",
        quality=quality,
        subsampling="4:4:4",  # At equal bytes the higher PSNR, at any rate and size.
        # At equal bytes 3 and 4 are equal on photographs (six of CID22, -0.06 to +0.08 dB:
        # results/quick/fig7_rate_distortion_avif_tuning.csv), 4 in 0.55 times the time; 5 loses up to 0.26 dB, 6 half a
        # decibel. At 32x32 4 loses 0.2 dB.
        speed=3 if min(image.shape[:2]) < 256 else 4,
        codec="aom",
        advanced={"tune": "psnr"},  # By default it tunes for the eye: 1 dB less.
        autotiling=False,
        max_threads=1,
    )


def _avif_payload(data: bytes) -> int:
    """Bytes in the mdat boxes (ISO/IEC 14496-12)."""
    count, at = 0, 0
    while at < len(data):
        length, header = int.from_bytes(data[at : at + 4], "big"), 8
        if length == 1:
            length, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        length = length or len(data) - at  # 0: to the end.
        count += (length - header) * (data[at + 4 : at + 8] == b"mdat")
        at += max(length, header)
    if not count:
        raise ValueError("not an AVIF file")
    return count


def _jpeg_xl(image: np.ndarray, distance: float) -> bytes:
    import imagecodecs  # Not everywhere where networks are trained and coded.

    # Effort 9 takes six times as long, for 0.1 dB less at low rates to 0.1 dB more at high ones.
    return imagecodecs.jpegxl_encode(
        image.squeeze(axis=2) if image.shape[2] == 1 else image,
        distance=distance,
        effort=7,
        lossless=False,
        usecontainer=False,
        numthreads=1,
    )


def _jpeg_xl_decoded(data: bytes) -> np.ndarray:
    import imagecodecs

    image = imagecodecs.jpegxl_decode(data)
    return image[..., None] if image.ndim == 2 else image


def _bpg(image: np.ndarray, qp: int) -> bytes:
    # Options of libbpg 0.9.8's README: 4:4:4, and the slowest of its levels.
    options = ["-q", str(qp), "-f", "444", "-m", "9"]
    return _converted("bpgenc", options, _save(image, "PNG"), "image.png", "image.bpg")


def _bpg_decoded(data: bytes) -> np.ndarray:
    return _open("PNG")(_converted("bpgdec", [], data, "image.bpg", "image.png"))


def _converted(program: str, options: list[str], data: bytes, name: str, to: str) -> bytes:
    """What `program` makes of a file `name` that holds `data`."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = pathlib.Path(folder, name), pathlib.Path(folder, to)
        before.write_bytes(data)
        command = [program, *options, "-o", str(after), str(before)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            raise OSError(f"{program} ended with {done.returncode}: {done.stderr.strip()}")
        return after.read_bytes()


_ALL = (
    Codec(
        "jpeg",
        "quality",
        (1, 4, 7, 10, 14, 20, 28, 38, 50, 60, 70, 80, 88, 94),
        _jpeg,
        _open("JPEG"),
        _jpeg_payload,
    ),
    Codec(
        "jpeg2000",
        "compression ratio",
        (480, 240, 120, 70, 45, 30, 22, 18, 15, 12, 9, 7, 5.5, 4.5),
        _jpeg2000,
        _open("JPEG2000"),
        _jpeg2000_payload,
        grey16=True,
    ),
    Codec(
        "webp",
        "quality",
        (0, 1, 3, 7, 13, 22, 35, 50, 65, 77, 85, 91, 96, 100),
        _webp,
        _open("WEBP"),
        _webp_payload,
    ),
    Codec(
        "avif",
        "quality",
        # As far as the networks go: the slowest of the codecs, 1.2 seconds a megapixel at the lowest, 4 at the highest.
        (0, 5, 12, 22, 36, 52),
        _avif,
        _open("AVIF"),
        _avif_payload,
        revision=2,
    ),
    Codec(
        "jpeg_xl",
        "distance",
        # 25 is the largest libjxl takes; at 20 a file of 32x32 pixels is larger than at 15.
        (25, 15, 11, 8, 6, 4.5, 3.4, 2.5, 1.8, 1.2, 0.8, 0.5, 0.3),
        _jpeg_xl,
        _jpeg_xl_decoded,
        grey16=True,
    ),
    Codec(
        "bpg",
        "QP",
        (51, 48, 45, 42, 39, 36, 33, 30, 27, 24, 21, 18, 14, 10),
        _bpg,
        _bpg_decoded,
        programs=("bpgenc", "bpgdec"),
    ),
)

CODECS: dict[str, Codec] = {codec.name: codec for codec in _ALL}


def versions() -> str:
    """Of the libraries behind the codecs."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("pillow", "imagecodecs"))
