"""Made-up signals: maps of temperature, solids, and scenes that are seen exactly."""

import numpy as np
from jaxtyping import Float, UInt8

from mscn_flax.modalities.cameras import camera_rays, look_at_origin, pixels_of
from mscn_flax.modalities.grids import grid_coordinates
from mscn_flax.modalities.maps import latitudes, longitudes
from mscn_flax.modalities.scenes import Scene, record


def random_map(rng: np.random.Generator, shape: tuple[int, int], degree: int = 24) -> Float[np.ndarray, "H W"]:
    """A map in kelvin: a zonal mean and a Gaussian random field of known power spectrum on the sphere.

    The zonal mean is 301 K - 42 K sin(lat)^2, shifted by a random season; the field is a sum of real spherical
    harmonics up to `degree`, whose coefficients of degree l have the variance C_l = 60 K^2 / (2 l + 1) (l + 1)^-2.
    """
    import scipy.special  # Takes a third of a second.

    lat, lon = np.radians(latitudes(shape[0])), np.radians(longitudes(shape[1]))
    made = np.zeros(shape)
    for order in range(degree + 1):
        degrees = np.arange(order, degree + 1)
        # Without the sign of Condon and Shortley.
        harmonics = (-1) ** order * scipy.special.sph_harm_y(degrees[:, None], order, np.pi / 2 - lat, 0.0).real
        spread = np.sqrt(60 / (2 * degrees + 1)) / (degrees + 1)
        # For order 0 the sine vanishes; the others have sqrt(2) for a real basis.
        a, b = rng.normal(size=(2, len(degrees))) * spread * np.sqrt(4 * np.pi * (2 if order else 1))
        made += (a @ harmonics)[:, None] * np.cos(order * lon) + (b @ harmonics)[:, None] * np.sin(order * lon)
    season = np.radians(12) * np.sin(rng.uniform(0, 2 * np.pi))
    return 301 - 42 * np.sin(lat - season)[:, None] ** 2 + made


def random_solid(rng: np.random.Generator, side: int) -> Float[np.ndarray, "D D D 1"]:
    """Two to four boxes, ellipsoids, cylinders and tori that overlap, in the middle of a cube."""
    points = grid_coordinates((side, side, side)).astype(np.float64) - 0.5
    solid = np.zeros(len(points), bool)
    for _ in range(rng.integers(2, 5)):
        at = (points - rng.uniform(-0.18, 0.18, 3)) / rng.uniform(0.1, 0.26, 3)
        at = at[:, rng.permutation(3)]
        radial = np.hypot(at[:, 0], at[:, 1])
        shapes = (
            np.abs(at).max(axis=1) < 0.9,
            np.linalg.norm(at, axis=1) < 1,
            np.maximum(radial, np.abs(at[:, 2])) < 0.95,
            np.hypot(radial - 0.75, at[:, 2]) < 0.25,
        )
        solid |= shapes[rng.integers(4)]
    return solid.reshape(side, side, side, 1).astype(np.float32)


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
