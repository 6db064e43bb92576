"""Cameras around a scene: their poses and the rays through their pixels.

Poses are camera to world, in the convention of SRN's files and OpenCV: x right, y down, z into the scene. Intrinsics
are focal length, and column and row of the optical axis, in pixels.
"""

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
