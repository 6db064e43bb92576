"""The kinds of signals that the codec takes: how each comes from a file and goes into one, and what its error is.

A signal is an array as its modality has it: a picture [H, W, 3] of 8 bits, maps [T, H, W, 1] scaled to [0, 1], a solid
[D, D, D, 1], 1 inside and 0 outside; or arrays by name, of a scene (`Views.as_record`).
"""

import dataclasses
import io
import pathlib
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from mscn_flax import fields, files, metrics, signals, solids, views
from mscn_flax.modalities import IMAGES, MAPS, SCENES, VOLUMES, Grid, Scene

_MESHES = (".ply", ".obj", ".stl")


@dataclasses.dataclass(frozen=True)
class Kind:
    """One of them.

    Attributes:
      name: for people.
      rate: unit of a rate.
      modality: of its arrays.
      readable: endings of the files that it comes from; none of what is a folder.
      writable: endings of those that it goes into; the first is the usual one.
      read: (path, side) -> array; raises a ValueError of one line for a file that is not that.
      write: (path, array), atomically.
      error: (array, decoded) -> how far off, in the signal's own unit.
    """

    name: str
    rate: str
    modality: Grid | Scene
    readable: tuple[str, ...]
    writable: tuple[str, ...]
    read: Callable[[pathlib.Path, int], np.ndarray]
    write: Callable[[pathlib.Path, np.ndarray], None]
    error: Callable[[np.ndarray, np.ndarray], str]

    def check_writable(self, path: pathlib.Path) -> None:
        """Raises a ValueError where `write` could not write such a file."""
        if path.suffix.lower() in self.writable:
            return
        if "" in self.writable:
            raise ValueError(f"{path} must be a folder, without an ending: a {self.name} is one")
        raise ValueError(f"{path} must end in one of {', '.join(self.writable)}, which hold a {self.name}")

    def replaceable(self, path: pathlib.Path) -> bool:
        """Whether `write` can take the place of what is there."""
        return views.is_only_a_scene(path) if "" in self.writable else not path.is_dir()

    def takes(self, path: pathlib.Path) -> bool:
        """Whether a path looks like one signal of the kind."""
        if not self.readable:
            return (path / "intrinsics.txt").is_file()
        return path.suffix.lower() in self.readable


def points(signal: np.ndarray | dict[str, np.ndarray]) -> int:
    """How many points a signal has, for its rate: pixels of one view of a scene."""
    array = signal["views"][0] if isinstance(signal, dict) else signal
    return array.size // array.shape[-1]


def _picture_error(image: np.ndarray, decoded: np.ndarray) -> str:
    # Row by row: a large picture's numbers in floating point take gigabytes.
    rows = zip(image, decoded, strict=True)
    squares = sum(int(np.square(row.astype(np.int32) - seen).sum()) for row, seen in rows)
    return f"PSNR {float(metrics.psnr(jnp.asarray(squares / (255**2 * image.size), np.float32))):.2f} dB"


def _read_maps(path: pathlib.Path, side: int) -> Float[np.ndarray, "T H W 1"]:
    return fields.to_unit(np.stack(list(fields.read(path, MAPS.shape(side)))))[..., None]


def _write_maps(path: pathlib.Path, maps: Float[np.ndarray, "T H W 1"]) -> None:
    fields.write(path, fields.to_kelvin(maps[..., 0]))


def _maps_error(maps: np.ndarray, decoded: np.ndarray) -> str:
    kelvin = fields.to_kelvin(decoded) - fields.to_kelvin(maps)
    return f"RMSE {np.sqrt(np.mean(np.square(kelvin))):.2f} K, largest error {np.abs(kelvin).max():.2f} K"


def _read_solid(path: pathlib.Path, side: int) -> Float[np.ndarray, "D D D 1"]:
    return solids.read(path, side)[..., None].astype(np.float32)


def _write_solid(path: pathlib.Path, values: Float[np.ndarray, "D D D 1"]) -> None:
    """Voxels above 0.5, or the surface between them."""
    inside = values[..., 0] > 0.5
    if path.suffix.lower() == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, inside)
        content = buffer.getvalue()
    else:
        import trimesh  # Takes half a second.

        if path.suffix.lower() == ".binvox":
            grid = trimesh.voxel.VoxelGrid(inside, transform=np.diag([1 / len(inside)] * 3 + [1.0]))
            content = trimesh.exchange.binvox.export_binvox(grid)
        else:
            vertices, faces = surface(values[..., 0])
            content = trimesh.Trimesh(vertices, faces).export(file_type=path.suffix.lower()[1:])
    with files.replaced(path, "wb") as out:
        out.write(content.encode() if isinstance(content, str) else content)


def surface(
    values: Float[np.ndarray, "D D D"],
) -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, "m 3"]]:
    """The surface where values are 0.5 by marching cubes: vertices in the unit cube, and triangles seen from outside.

    Raises:
      ValueError: where nothing is inside.
    """
    import skimage.measure  # Takes a second.

    # Closed where the solid meets the side of the cube.
    padded = np.pad(values, 1, constant_values=min(0.0, float(values.min())))
    if padded.max() <= 0.5:
        raise ValueError("the solid is empty: it has no surface")
    vertices, faces, _, _ = skimage.measure.marching_cubes(padded, 0.5, gradient_direction="ascent")
    return (vertices - 0.5) / len(values), faces


def _solid_error(solid: np.ndarray, decoded: np.ndarray) -> str:
    return f"{100 * (1 - metrics.voxel_accuracy(decoded.reshape(-1, 1), solid.reshape(-1, 1))):.2f}% of voxels wrong"


def _write_scene(path: pathlib.Path, scene: dict[str, np.ndarray]) -> None:
    views.write(path, views.Views(scene["views"], scene["poses"], *scene["intrinsics"].tolist()))


def _scene_error(scene: dict[str, np.ndarray], decoded: dict[str, np.ndarray]) -> str:
    targets, values = (jnp.asarray(signals.array_to_targets(one["views"], 2)) for one in (scene, decoded))
    return f"PSNR {float(jnp.mean(metrics.psnr(metrics.mse(values, targets)))):.2f} dB of {len(targets)} views"


KINDS = {
    "image": Kind(
        "picture",
        "bpp",
        IMAGES,
        files.READABLE,
        files.WRITABLE,
        lambda path, side: files.read_picture(path),
        files.write_picture,
        _picture_error,
    ),
    "map": Kind(
        "map of the globe", "bits a value", MAPS, fields.READABLE, fields.READABLE, _read_maps, _write_maps, _maps_error
    ),
    "volume": Kind(
        "solid",
        "bits a voxel",
        VOLUMES,
        solids.READABLE,
        (".binvox", ".npy", *_MESHES),
        _read_solid,
        _write_solid,
        _solid_error,
    ),
    "scene": Kind(
        "scene",
        "bits a pixel of one view",
        SCENES,
        (),
        ("", ".decoded"),
        lambda path, side: views.read(path).reduced(side).as_record(),
        _write_scene,
        _scene_error,
    ),
}
"""Name in streams and models, in the order of their numbers there -> kind."""


def of(modality) -> str:
    """The name of a modality's kind.

    Raises:
      ValueError: where the codec does not take it.
    """
    for name, kind in KINDS.items():
        if kind.modality is modality:
            return name
    raise ValueError(f"the codec takes {', '.join(kind.name for kind in KINDS.values())}, not signals of this kind")
