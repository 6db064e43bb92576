"""The image codecs that rate-distortion benchmarks compare the networks with.

Every codec is configured for the highest PSNR at a given size; the choices below were made on CID22 photographs
(512x512) and CIFAR-10's training images. A codec from outside the repository joins by `register`. Imports no JAX.
"""

import dataclasses
import importlib.metadata
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable

import numpy as np

from benchmarks import payloads
from benchmarks.looks import Look
from mscn_flax.picture_formats import jpeg, opened, save, webp


@dataclasses.dataclass(frozen=True)
class Codec:
    """A lossy image codec.

    Attributes:
      name: key in `CODECS` and `method` of the rows.
      unit: what a setting is, e.g. "quality".
      settings: settings to measure, from the smallest files to the largest.
      encoder: encodes uint8 [H, W, 3] with a setting as a file.
      decoder: decodes a file to uint8 [H, W, 3].
      counter: counts the bytes of a file without its headers; None where the format has no separable headers.
      grey16: whether encoder and decoder also handle uint16 [H, W, 1].
      programs: programs that must be on the PATH.
      revision: version of the encoder's options; with a new one the rows are measured again.
      look: name and style in figures and tables, for a codec from outside the repository.
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
    look: Look | None = None

    def missing(self) -> str:
        """Why the codec cannot run here; empty where it can."""
        absent = [program for program in self.programs if shutil.which(program) is None]
        return f"{self.name} needs {' and '.join(absent)} on the PATH" if absent else ""

    def available(self) -> bool:
        """Whether the codec can run here."""
        return not self.missing()

    def encode(self, image: np.ndarray, setting: float) -> bytes:
        """The file of `image`, uint8 [H, W, 3] with at least one pixel (or uint16 [H, W, 1], see `grey16`).

        Raises:
          ValueError: if the image has another shape or type, or the codec refuses the image or the setting.
          RuntimeError: if the codec is not available.
        """
        taken = {(np.dtype(np.uint8), 3)} | ({(np.dtype(np.uint16), 1)} if self.grey16 else set())
        if image.ndim != 3 or (image.dtype, image.shape[2]) not in taken or not image.size:
            also = " or uint16 [H, W, 1]" if self.grey16 else ""
            raise ValueError(f"{self.name} takes uint8 [H, W, 3]{also}, got {image.dtype} {list(image.shape)}")
        what = f"encode an image {list(image.shape)} at {self.unit} {setting}"
        return self._tried(lambda: self.encoder(np.ascontiguousarray(image), setting), what)

    def decode(self, data: bytes) -> np.ndarray:
        """The image of a file, with the shape and type that were encoded.

        Raises:
          ValueError: if `data` is not a file of this codec.
          RuntimeError: if the codec is not available.
        """
        return self._tried(lambda: self.decoder(data), f"decode these {len(data)} bytes")

    def payload(self, data: bytes) -> int | None:
        """Number of bytes of a file without its headers; None where the format has no separable headers.

        Raises:
          ValueError: if `data` is not a file of this codec.
        """
        return self.counter(data) if self.counter else None

    def _tried(self, work: Callable, what: str):
        if missing := self.missing():
            raise RuntimeError(missing)
        try:
            return work()
        except (OSError, RuntimeError, ValueError) as error:  # What Pillow and imagecodecs raise.
            raise ValueError(f"{self.name} cannot {what}: {error}") from error


def _jpeg2000(image: np.ndarray, ratio: float) -> bytes:
    # Down to a coarsest band of 8 pixels, with at most OpenJPEG's default of 6 resolutions, which at 32x32 would cost
    # 3 dB compared with 3 resolutions.
    resolutions = min(6, max(1, (min(image.shape[:2]) // 8).bit_length()))
    return save(
        image,
        "JPEG2000",
        no_jp2=True,  # The codestream alone.
        irreversible=True,  # The 9/7 wavelet.
        mct=int(image.shape[2] == 3),
        quality_mode="rates",
        quality_layers=[ratio],
        num_resolutions=resolutions,
        comment=" ",  # Instead of OpenJPEG's name, which takes 32 bytes more.
    )


def _avif(image: np.ndarray, quality: int) -> bytes:
    return save(
        image,
        "AVIF",
        quality=quality,
        subsampling="4:4:4",  # The higher PSNR at equal size, at any rate and resolution.
        # At equal size, speeds 3 and 4 are level on photographs (six of CID22, -0.06 to +0.08 dB) and 4 takes 0.55
        # times as long; 5 loses up to 0.26 dB, 6 half a decibel (results/tuning/archive/NOTES.md, "Figure 7"). At
        # 32x32, 4 loses 0.2 dB.
        speed=3 if min(image.shape[:2]) < 256 else 4,
        codec="aom",
        advanced={"tune": "psnr"},  # The default is tuned for perception: 1 dB less.
        autotiling=False,
        max_threads=1,
    )


def _jpeg_xl(image: np.ndarray, distance: float) -> bytes:
    import imagecodecs  # Not everywhere where networks are trained and coded.

    # Effort 9 takes six times as long for -0.1 dB at low rates to +0.1 dB at high ones.
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
    # From libbpg 0.9.8's README: 4:4:4 and the slowest level.
    options = ["-q", str(qp), "-f", "444", "-m", "9"]
    return _converted("bpgenc", options, save(image, "PNG"), "image.png", "image.bpg")


def _bpg_decoded(data: bytes) -> np.ndarray:
    return opened("PNG")(_converted("bpgdec", [], data, "image.bpg", "image.png"))


def _converted(program: str, options: list[str], data: bytes, name: str, to: str) -> bytes:
    """The file `to` that `program` makes of a file `name` with the content `data`."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = pathlib.Path(folder, name), pathlib.Path(folder, to)
        before.write_bytes(data)
        command = [program, *options, "-o", str(after), str(before)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            raise OSError(f"{program} ended with {done.returncode}: {done.stderr.strip()}")
        return after.read_bytes()


CODECS: dict[str, Codec] = {}
"""Name -> codec."""


def register(codec: Codec) -> Codec:
    """Adds a codec to `CODECS` and returns it.

    Raises:
      ValueError: if another codec has its name, or gin could not have it as a scope.
    """
    if not codec.name.isidentifier():
        raise ValueError(f"a codec's name is a gin scope: letters, digits and underscores, not {codec.name!r}")
    if CODECS.setdefault(codec.name, codec) != codec:
        raise ValueError(f"there is another codec {codec.name!r} already; there are {', '.join(CODECS)}")
    return codec


def versions() -> str:
    """Versions of the libraries behind the repository's codecs."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("pillow", "imagecodecs"))


# Settings from the smallest files to the largest.
_JPEG = (1, 4, 7, 10, 14, 20, 28, 38, 50, 60, 70, 80, 88, 94)
register(Codec("jpeg", "quality", _JPEG, jpeg, opened("JPEG"), payloads.jpeg))

_JPEG2000 = (480, 240, 120, 70, 45, 30, 22, 18, 15, 12, 9, 7, 5.5, 4.5)
_open_jpeg2000 = opened("JPEG2000")
register(Codec("jpeg2000", "compression ratio", _JPEG2000, _jpeg2000, _open_jpeg2000, payloads.jpeg2000, grey16=True))

_WEBP = (0, 1, 3, 7, 13, 22, 35, 50, 65, 77, 85, 91, 96, 100)
register(Codec("webp", "quality", _WEBP, webp, opened("WEBP"), payloads.webp))

# As far as the networks' rates go: the slowest codec, 1.2 seconds per megapixel at the lowest rate, 4 at the highest.
_AVIF = (0, 5, 12, 22, 36, 52)
register(Codec("avif", "quality", _AVIF, _avif, opened("AVIF"), payloads.avif, revision=2))

# 25 is the largest distance that libjxl takes; at 20 a file of 32x32 pixels is larger than at 15.
_JPEG_XL = (25, 15, 11, 8, 6, 4.5, 3.4, 2.5, 1.8, 1.2, 0.8, 0.5, 0.3)
register(Codec("jpeg_xl", "distance", _JPEG_XL, _jpeg_xl, _jpeg_xl_decoded, grey16=True))

_BPG = (51, 48, 45, 42, 39, 36, 33, 30, 27, 24, 21, 18, 14, 10)
register(Codec("bpg", "QP", _BPG, _bpg, _bpg_decoded, programs=("bpgenc", "bpgdec")))
