"""Made-up scenes, seen exactly."""

import numpy as np
from jaxtyping import Float, UInt8

from mscn_flax.modalities.cameras import camera_rays, look_at_origin, pixels_of
from mscn_flax.modalities.scenes import Scene, record


def random_scene(rng: np.random.Generator, side: int, count: int = 24) -> Scene:
    """Three to six shaded balls within half of the unit ball, in `count` views from a sphere of radius 1.3."""
    balls = [
        (rng.uniform(-0.22, 0.22, 3), rng.uniform(0.08, 0.22), rng.uniform(0.1, 0.9, 3))
        for _ in range(rng.integers(3, 7))
    ]
    intrinsics = np.array([131.25 / 128 * side, side / 2, side / 2])
    poses, views = [], []
    for _ in range(count):
        angle, height = rng.uniform(0, 2 * np.pi), rng.uniform(-0.2, 0.9)
        radius = np.sqrt(1 - height**2)
        poses.append(look_at_origin(1.3 * np.array([radius * np.cos(angle), radius * np.sin(angle), height])))
        rays = camera_rays(poses[-1], pixels_of(side), intrinsics)
        views.append(_seen(balls, rays.astype(np.float64)).reshape(side, side, 3))
    return record(np.stack(views), np.stack(poses), intrinsics)


def _seen(balls: list, rays: Float[np.ndarray, "N 6"]) -> UInt8[np.ndarray, "N 3"]:
    """What rays meet first, lit from above; white where they meet nothing."""
    origins, directions = rays[:, :3], rays[:, 3:] / np.linalg.norm(rays[:, 3:], axis=1, keepdims=True)
    nearest, colours = np.full(len(rays), np.inf), np.ones((len(rays), 3))
    for centre, radius, colour in balls:
        along = np.einsum("ni,ni->n", centre - origins, directions)
        inside = radius**2 - np.sum((origins + along[:, None] * directions - centre) ** 2, axis=1)
        depth = along - np.sqrt(np.maximum(inside, 0))
        hit = (inside > 0) & (depth > 0) & (depth < nearest)
        normal = (origins + depth[:, None] * directions - centre) / radius
        light = 0.55 + 0.45 * normal @ np.array([0.3, 0.2, 0.93])
        colours[hit], nearest[hit] = np.clip(light[:, None] * colour, 0, 1)[hit], depth[hit]
    return np.rint(255 * colours).astype(np.uint8)
