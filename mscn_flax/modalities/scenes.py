"""Scenes seen by cameras, from the folders of SRN's data sets: coordinates are rays, and each scene has its own.

A scene is a dictionary of `views` [V, s, s, 3] of 8 bits, on white, and the `poses` [V, 4, 4] and `intrinsics` [3] of
their cameras.
"""

import dataclasses
import pathlib
import tempfile
from collections.abc import Callable

import gin
import numpy as np
import PIL.Image
from jaxtyping import Float, UInt8

from mscn_flax.modalities.base import MAX_POINTS, Cameras, Modality, Points, Sampling, Signal
from mscn_flax.modalities.cameras import camera_rays, pixels_of, read_cameras, ring, turntable, visible
from mscn_flax.modalities.values import psnr_8_bit, targets_to_8_bit
from mscn_flax.text import first_line

Scene = dict[str, np.ndarray]
"""One scene, or several with an axis in front."""

_RAYS = 1024
"""Rays that an inner step of encoding sees at least, divided over all views."""


@gin.configurable
@dataclasses.dataclass(frozen=True)
class NovelViews:
    """Which views of a test scene are given, and which are asked for.

    Attributes:
      context: views that are given.
      rays: random rays of each of these, drawn afresh for every inner step.
      novel: views that are asked for.
    """

    context: tuple[int, ...] = (0, 31, 63, 127)
    rays: int = 1024
    novel: tuple[int, ...] = (23, 55, 82, 119)


class Scenes(Modality):
    """Scenes. The base network maps points of space to colour and density; rays are rendered through it."""

    name, noun, part, rate = "scene", "scene", "scene", "bits per pixel of one view"
    dims, in_dim, extra_channels = 6, 3, 1
    in_memory = 100  # All views of 100 scenes are a gigabyte.
    readable = ()
    writable = ("", ".decoded")

    def size(self, side: int) -> str:
        return f"views of {super().size(side)}"

    def all_coordinates(self, side: int) -> Float[np.ndarray, "N 6"]:
        """As many rays as a view has, from nowhere."""
        return np.zeros((side**2, 6), np.float32)

    def example(self, count: int, channels: int, side: int, sampling: Sampling) -> Scene:
        return {
            "views": np.zeros((count, sampling.views, side, side, 3), np.uint8),
            "poses": np.zeros((count, sampling.views, 4, 4), np.float32),
            "intrinsics": np.ones((count, 3), np.float32),
        }

    def drawn(self, side: int, sampling: Sampling) -> int:
        del side
        return sampling.views * sampling.rays

    def draw(self, signals: Scene, side: int, sampling: Sampling, rng: np.random.Generator) -> Points:
        """Random rays of random views of each scene, others in each round."""
        count = signals["views"].shape[1]
        if count < sampling.views:
            raise ValueError(f"{sampling.views} views are asked for, a scene has {count}")
        drawn = []
        for scene in np.repeat(np.arange(len(signals["views"])), sampling.rounds).tolist():
            chosen = rng.choice(count, sampling.views, replace=False)
            pixels = rng.integers(side, size=(sampling.views, sampling.rays, 2))
            rays, colours = _at(signals, scene, chosen, pixels)
            drawn.append((rays.reshape(-1, 6), colours.reshape(-1, 3)))
        points = map(np.stack, zip(*drawn, strict=True))
        if sampling.rounds == 1:
            return Points(*points)
        return Points(*(part.reshape(-1, sampling.rounds, *part.shape[1:]) for part in points))

    def observed(
        self, signals: Scene, side: int, steps: int, stride: int = 1, evaluation: NovelViews | None = None
    ) -> Points:
        """Random rays [B, steps, N, 6] of all views, or of the given ones, drawn afresh for each inner step."""
        count, rng = signals["views"].shape[1], np.random.default_rng(0)
        how = evaluation or NovelViews(context=tuple(range(count)), rays=-(-_RAYS // count))
        cameras = {name: signals[name][:, _checked(how.context, count)] for name in ("views", "poses")}
        sampling = Sampling(views=len(how.context), rays=how.rays)
        drawn = [self.draw(signals | cameras, side, sampling, rng) for _ in range(steps)]
        return Points(*(np.stack(part, axis=1) for part in zip(*drawn, strict=True)))

    def whole(self, signals: Scene, side: int, evaluation: NovelViews | None = None) -> Points:
        """All rays [B, V, N, 6] of all views, or of those asked for."""
        count = signals["views"].shape[1]
        views = _checked(range(count) if evaluation is None else evaluation.novel, count)
        pixels = np.broadcast_to(pixels_of(side), (len(views), side**2, 2))
        parts = [_at(signals, scene, views, pixels) for scene in range(len(signals["views"]))]
        return Points(*map(np.stack, zip(*parts, strict=True)))

    def evaluation(self) -> NovelViews:
        return NovelViews()

    def field(self, network: Callable) -> Callable:
        """What a camera sees of the network's colours and density."""
        from mscn_flax.rendering import RadianceField  # Imports JAX.

        return RadianceField(siren=network)

    def values(self, signal: Scene) -> UInt8[np.ndarray, "*B V s s 3"]:
        return signal["views"]

    def split(self, signal: Signal, side: int, channels: int) -> Scene:
        is_scene = isinstance(signal, dict) and len(signal["views"])
        if not is_scene or signal["views"].shape[1:] != (side, side, channels):
            raise ValueError(f"need a scene of views of {side}x{side} pixels")
        if not all(np.isfinite(signal[name]).all() for name in ("poses", "intrinsics")):
            raise ValueError("the scene's cameras have values that are not finite")
        if signal["views"].size > channels * MAX_POINTS:
            raise ValueError(f"{len(signal['views'])} views have more than {MAX_POINTS} pixels")
        return {name: value[None] for name, value in signal.items()}

    def describe(self, height: int, width: int, parts: int) -> str:
        return self.size(height)

    def cameras(self, signal: Scene) -> Cameras:
        return {name: signal[name] for name in ("poses", "intrinsics")}

    def rendered_at(
        self, cameras: Cameras | None, field: Callable, side: int
    ) -> tuple[Float[np.ndarray, "V N 6"], Cameras]:
        """All rays of the cameras; None for cameras around the scene."""
        cameras = turntable(field.camera.near, field.camera.far, side) if cameras is None else cameras
        return _all_rays(cameras, side), cameras

    def join(self, values: np.ndarray, height: int, width: int, side: int, cameras: Cameras | None = None) -> Signal:
        return {"views": values.reshape(len(values), height, width, -1)} | cameras

    def stored(self, values: Float[np.ndarray, "V N 3"]) -> UInt8[np.ndarray, "V N 3"]:
        return targets_to_8_bit(values)

    def takes(self, path: pathlib.Path) -> bool:
        return (path / "intrinsics.txt").is_file()

    def read(self, path: pathlib.Path, side: int | None = None) -> Scene:
        """A folder in SRN's format: rgb/*.png and the cameras that `read_cameras` reads."""
        pictures = visible(path / "rgb", ".png")
        if not pictures:
            raise ValueError(f"{path} has no rgb/*.png: a scene is a folder with rgb/, pose/ and intrinsics.txt")
        views = [_read_view(picture) for picture in pictures]
        shapes = {view.shape for view in views}
        if len(shapes) != 1 or views[0].shape[0] != views[0].shape[1]:
            raise ValueError(f"{path} has views of shapes {sorted(shapes)}, needed are squares of one size")
        cameras = read_cameras(path, len(views[0]), [picture.stem for picture in pictures])
        try:
            return record(np.stack(views), cameras["poses"], cameras["intrinsics"], side)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def check_writable(self, path: pathlib.Path) -> None:
        if path.suffix not in self.writable:
            raise ValueError(f"{path} must be a folder, without an ending: a scene is one")

    def replaceable(self, path: pathlib.Path) -> bool:
        """Whether a folder holds what `write` writes and nothing else."""
        return path.is_dir() and {inside.name for inside in path.iterdir()} == {"rgb", "pose", "intrinsics.txt"}

    def write(self, path: pathlib.Path, signal: Scene) -> None:
        """The folder that `read` reads; takes the place of another scene.

        Raises:
          FileExistsError: where there is anything else already.
        """
        if path.exists() and not self.replaceable(path):
            raise FileExistsError(f"{path} exists already; name another folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as unfinished:
            made = pathlib.Path(unfinished) / "new"
            for part in ("rgb", "pose"):
                (made / part).mkdir(parents=True)
            for index, (view, pose) in enumerate(zip(signal["views"], signal["poses"], strict=True)):
                PIL.Image.fromarray(view).save(made / "rgb" / f"{index:06d}.png")
                (made / "pose" / f"{index:06d}.txt").write_text(" ".join(f"{x:.8g}" for x in pose.ravel()) + "\n")
            side, lens = signal["views"].shape[1], " ".join(f"{number:.8g}" for number in signal["intrinsics"])
            (made / "intrinsics.txt").write_text(f"{lens} 0.\n0. 0. 0.\n1.\n{side} {side}\n")
            if path.exists():
                path.rename(pathlib.Path(unfinished) / "old")
            made.rename(path)

    def errors(self, signal: Scene, decoded: Scene) -> dict[str, float]:
        views = list(zip(decoded["views"], signal["views"], strict=True))
        return {"psnr_db": float(np.mean([psnr_8_bit(*pair) for pair in views])), "views": len(views)}

    def described(self, errors: dict[str, float]) -> str:
        return f"PSNR {errors['psnr_db']:.2f} dB of {errors['views']:g} views"

    def film(self, signals: Scene, side: int, frames: int) -> Float[np.ndarray, "F N 6"]:
        """Rays from a ring around the scene, as high and as far away as its cameras on average, at half its size."""
        places = signals["poses"][0, :, :3, 3]
        poses = ring(np.linalg.norm(places, axis=1).mean(), places[:, 2].mean(), frames)
        return _all_rays({"poses": poses, "intrinsics": signals["intrinsics"][0] / 2}, side // 2)


def _read_view(path: pathlib.Path) -> UInt8[np.ndarray, "h w 3"]:
    """A picture of 8 bits per value, of any mode, on white."""
    try:
        with PIL.Image.open(path, formats=["PNG"]) as opened:
            # Pillow would cut RGB of 16 bits to 8, and all greys of 16 to white.
            if opened.mode.startswith(("I", "F")) or any(";16" in str(tile) for tile in opened.tile):
                raise ValueError("it has more than 8 bits per value; save it with 8 first")
            view = opened.convert("RGBA")
    except Exception as error:  # Pillow raises whatever its decoders do.
        raise ValueError(f"{path} cannot be read: {first_line(error)}") from error
    white = PIL.Image.new("RGBA", view.size, "white")
    return np.asarray(PIL.Image.alpha_composite(white, view).convert("RGB"))


def record(
    views: UInt8[np.ndarray, "V s s 3"],
    poses: Float[np.ndarray, "V 4 4"],
    intrinsics: Float[np.ndarray, " 3"],
    side: int | None = None,
) -> Scene:
    """A scene as data sets store it, its views reduced by area to a side where one is given.

    Raises:
      ValueError: where the views are smaller.
    """
    have = views.shape[1]
    if side not in (None, have):
        if have < side:
            raise ValueError(f"views of {have}x{have} pixels cannot become {side}x{side}")
        area = PIL.Image.Resampling.BOX
        views = np.stack([np.asarray(PIL.Image.fromarray(view).resize((side, side), area)) for view in views])
        intrinsics = intrinsics * (side / have)
    return {"views": views, "poses": poses.astype(np.float32), "intrinsics": intrinsics.astype(np.float32)}


def _all_rays(cameras: Cameras, side: int) -> Float[np.ndarray, "V N 6"]:
    pixels = np.broadcast_to(pixels_of(side), (len(cameras["poses"]), side**2, 2))
    return camera_rays(cameras["poses"], pixels, cameras["intrinsics"])


def _checked(views, count: int) -> list[int]:
    """Views of a scene that has so many.

    Raises:
      ValueError: where there is no such view.
    """
    if wrong := [view for view in views if view >= count]:
        raise ValueError(f"NovelViews has view {wrong[0]}, a scene has {count}")
    return list(views)


def _at(
    signals: Scene, scene: int, views: list[int] | np.ndarray, pixels: np.ndarray
) -> tuple[Float[np.ndarray, "v n 6"], Float[np.ndarray, "v n 3"]]:
    """Rays and colours of pixels of some views of one scene."""
    rays = camera_rays(signals["poses"][scene][views], pixels, signals["intrinsics"][scene])
    taken = signals["views"][scene][views]
    colours = taken[np.arange(len(taken))[:, None], pixels[..., 0], pixels[..., 1]]
    return rays, colours.astype(np.float32) / np.float32(255)


SCENES = Scenes()
