"""Cameras around a scene: their poses, the rays through their pixels, and SRN's files of them.

Poses are camera to world, in the convention of SRN's files and OpenCV: x right, y down, z into the scene. Intrinsics
are focal length, and column and row of the optical axis, in pixels.
"""

import pathlib

import numpy as np
from jaxtyping import Float, Int

from mscn_flax.modalities.base import Cameras


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


def read_cameras(folder: pathlib.Path, side: int) -> Cameras:
    """The cameras of a scene's folder, for views of `side` pixels per side; pictures are not needed.

    Raises:
      ValueError: in one line, for a folder that has none.
    """
    paths = sorted((folder / "pose").glob("*.txt"))
    if not paths:
        raise ValueError(f"{folder} has no pose/*.txt: cameras are pose/ and intrinsics.txt")
    poses = np.stack([read_numbers(path, 16).reshape(4, 4) for path in paths])
    return {"poses": poses.astype(np.float32), "intrinsics": read_intrinsics(folder, side).astype(np.float32)}


def read_intrinsics(folder: pathlib.Path, side: int) -> Float[np.ndarray, " 3"]:
    """Focal length and column and row of the axis in pixels, for views of this side."""
    # The first line; the last one tells for which size of view it holds.
    camera = read_numbers(folder / "intrinsics.txt", None)
    if len(camera) < 5:
        raise ValueError(f"{folder / 'intrinsics.txt'} has {len(camera)} numbers, too few for focal length and size")
    return side / camera[-1] * camera[:3]


def read_numbers(path: pathlib.Path, count: int | None) -> Float[np.ndarray, " n"]:
    """All numbers of a text file, `count` of them where that is given."""
    try:
        numbers = np.array(path.read_text().split(), np.float64)
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing") from error
    except ValueError as error:
        raise ValueError(f"{path} has something that is not a number") from error
    if (count is not None and len(numbers) != count) or not np.isfinite(numbers).all():
        raise ValueError(f"{path} has {len(numbers)} numbers, needed are {count} finite ones")
    return numbers
