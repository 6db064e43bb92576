"""Cameras around a scene: their poses, the rays through their pixels, and SRN's files of them.

Poses are camera to world, in the convention of SRN's files and OpenCV: x right, y down, z into the scene. Intrinsics
are focal length, and column and row of the optical axis, in pixels.
"""

import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from mscn_flax.modalities.base import Cameras

_FARTHEST = 1e6
"""Places beyond have no digits left for a scene in float32."""

_TOLERANCE = 1e-3
"""Of a rotation's products, as files have them in 4 digits or more."""


def camera_rays(
    poses: Float[np.ndarray, "*V 4 4"], pixels: Int[np.ndarray, "*V n 2"], intrinsics: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "*V n 6"]:
    """Origin and direction of the rays through the centres of pixels, given by row and column.

    The origin [3] is the camera's place, the direction [3] of length 1 along the optical axis and longer off it: as in
    Functa's code.
    """
    focal, *centre = intrinsics.tolist()
    x = (pixels[..., 1] + 0.5 - centre[0]) / focal
    y = (pixels[..., 0] + 0.5 - centre[1]) / focal
    directions = np.einsum("...ij,...nj->...ni", poses[..., :3, :3], np.stack([x, y, np.ones_like(x)], axis=-1))
    origins = np.broadcast_to(poses[..., None, :3, 3], directions.shape)
    return np.concatenate([origins, directions], axis=-1).astype(np.float32)


def look_at_origin(position: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "4 4"]:
    """The pose of a camera that looks from `position` at the origin, with the z axis of the world up."""
    forward = -position / np.linalg.norm(position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = position
    return pose


def ring(distance: float | np.floating, height: float | np.floating, count: int) -> Float[np.ndarray, "V 4 4"]:
    """Poses of cameras that look at the origin from a circle around it, at this distance and height."""
    radius = np.sqrt(max(distance**2 - height**2, (distance / 2) ** 2))
    angles = 2 * np.pi * np.arange(count) / count
    return np.stack([look_at_origin(np.array([radius * np.cos(a), radius * np.sin(a), height])) for a in angles])


def turntable(near: float, far: float, side: int, count: int = 24) -> Cameras:
    """Cameras, 30 degrees above, around the ball that lies between two depths, which just fills their views.

    Args:
      near: depth of the ball's first point.
      far: depth of its last point.
      side: pixels per side of a view.
      count: V.
    """
    distance, radius = (near + far) / 2, (far - near) / 2
    # The cone that touches the ball.
    focal = side / 2 * np.sqrt(max(distance**2 - radius**2, 1e-6)) / radius
    intrinsics = np.array([focal, side / 2, side / 2], np.float32)
    return {"poses": ring(distance, distance / 2, count).astype(np.float32), "intrinsics": intrinsics}


def pixels_of(side: int) -> Int[np.ndarray, "N 2"]:
    """Row and column of all pixels of a view."""
    return np.indices((side, side)).reshape(2, -1).T


def read_cameras(folder: pathlib.Path, side: int, names: Sequence[str] | None = None) -> Cameras:
    """The cameras of a scene's folder, for views of `side` pixels per side; pictures are not needed.

    Args:
      folder: with `pose/` (16 numbers per file, camera to world) and `intrinsics.txt`.
      side: pixels per side of a view.
      names: of the poses, without ending; None for all.

    Raises:
      ValueError: in one line, for a folder that has none, or has them in another format.
    """
    paths = {path.stem: path for path in visible(folder / "pose", ".txt")}
    if not paths and names is None:
        raise ValueError(f"{folder} has no pose/*.txt: cameras are pose/ and intrinsics.txt")
    wanted = [paths.get(name, folder / "pose" / f"{name}.txt") for name in (paths if names is None else names)]
    intrinsics, world_to_camera = _read_intrinsics(folder / "intrinsics.txt", side)
    poses = np.stack([_read_pose(path) for path in wanted])
    poses = np.linalg.inv(poses) if world_to_camera else poses
    return {"poses": poses.astype(np.float32), "intrinsics": intrinsics.astype(np.float32)}


def visible(folder: pathlib.Path, ending: str) -> list[pathlib.Path]:
    """The files of a folder with this ending, capitals alike; those whose names begin with a dot are the system's."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.suffix.lower() == ending and not path.name.startswith("."))


def _read_intrinsics(path: pathlib.Path, side: int) -> tuple[Float[np.ndarray, " 3"], bool]:
    """Focal length and column and row of the axis in pixels, for views of this side; whether poses are inverted.

    The file has the lines of SRN: `focal column row 0`, an origin, a scale (DeepVoxels has near plane and scale),
    `height width`, and perhaps 1 where poses are world to camera.
    """
    lines = [line for line in _read_numbers(path) if len(line)]
    lengths = [len(line) for line in lines]
    if lengths[:1] not in ([3], [4]) or lengths[1:] not in ([3, 1, 2], [3, 1, 2, 1], [3, 1, 1, 2], [3, 1, 1, 2, 1]):
        raise ValueError(
            f"{path} has lines of {', '.join(map(str, lengths)) or 'no'} numbers, needed are SRN's: focal length, "
            "column, row and 0; an origin of 3; a scale; height and width; perhaps a flag"
        )
    lens, size = lines[0][:3], lines[lengths.index(2)]
    flag = lines[-1][0] if lengths[-1] == 1 else 0.0
    said = " ".join(f"{number:g}" for number in lines[0])
    if size[0] != size[1] or size[0] < 1 or size[0] % 1:
        raise ValueError(f"{path} is for views of {size[0]:g} x {size[1]:g} pixels, needed are squares of whole pixels")
    # Other formats have a second focal length, or a matrix.
    if lines[0][3:].any() or lens[1:].min() <= 0 or lens[1:].max() >= size[0]:
        raise ValueError(f"{path} begins with {said}: needed are a focal length, a column and row of the view, and 0")
    if not size[0] / 1000 <= lens[0] <= 1000 * size[0]:
        raise ValueError(f"{path} has the focal length {lens[0]:g}, needed are 1/1000 to 1000 of {size[0]:g} pixels")
    if flag not in (0, 1):
        raise ValueError(f"{path} has the flag {flag:g}, there are 0 (camera to world) and 1 (world to camera)")
    return side / size[0] * lens, bool(flag)


def _read_pose(path: pathlib.Path) -> Float[np.ndarray, "4 4"]:
    """A rotation and a place."""
    numbers = np.concatenate([*_read_numbers(path), []])
    if len(numbers) != 16:
        raise ValueError(f"{path} has {len(numbers)} numbers, needed are 16")
    pose = numbers.reshape(4, 4)
    if (largest := np.abs(pose).max()) > _FARTHEST:
        raise ValueError(f"{path} has the number {largest:g}, {_FARTHEST:g} is the largest")
    if not np.allclose(pose[3], [0, 0, 0, 1], atol=1e-6):
        raise ValueError(f"{path} has the last row {' '.join(f'{x:g}' for x in pose[3])}, needed is 0 0 0 1")
    rotation = pose[:3, :3]
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=_TOLERANCE) or np.linalg.det(rotation) < 0:
        raise ValueError(f"{path} has no rotation in its first 3 rows and columns, it scales, shears or mirrors")
    return pose


def _read_numbers(path: pathlib.Path) -> list[Float[np.ndarray, " n"]]:
    """The finite numbers of each line of a text file."""
    try:
        lines = [np.array(line.split(), np.float64) for line in path.read_text("utf-8-sig").splitlines()]
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path} has something that is not a number") from error
    if not all(np.isfinite(line).all() for line in lines):
        raise ValueError(f"{path} has numbers that are not finite")
    return lines
