"""Made-up solids."""

import numpy as np
from jaxtyping import Float

from mscn_flax.modalities.grids import grid_coordinates


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
