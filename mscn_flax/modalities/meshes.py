"""Solids between voxels and the meshes that are their surfaces."""

import numpy as np
from jaxtyping import Bool, Float, Int


def surface(values: Float[np.ndarray, "D D D"]) -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, "m 3"]]:
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


def filled(triangles: Float[np.ndarray, "n 3 3"], side: int) -> Bool[np.ndarray, "D D D"]:
    """A closed surface as solid voxels in the middle of a cube, with a margin of a voxel.

    Inside are the voxels that the surface touches, and all that cannot be reached from outside without crossing these.

    Raises:
      ValueError: where the surface is not closed, or is a point, a line or a plane.
    """
    import scipy.ndimage
    import trimesh

    if side < 4:
        raise ValueError(f"a mesh needs 4 voxels per side or more, got {side}")
    if not len(triangles):
        raise ValueError("the mesh has no faces")
    points = np.asarray(triangles, np.float64).reshape(-1, 3)
    if not np.abs(points).max() < 1e30:  # Nor where it is NaN.
        raise ValueError("the mesh has vertices that are not finite, or beyond 1e30")
    low, high = points.min(axis=0), points.max(axis=0)
    points = points - (low + high) / 2
    if (high - low).max() < 1e-30 or np.linalg.matrix_rank(points - points.mean(axis=0), rtol=1e-6) < 3:
        raise ValueError("the mesh is a point, a line or a plane, which no solid is")
    points *= (side - 3) / (high - low).max()
    # Vertices that a thousandth of a voxel parts are one, whatever their textures and normals.
    mesh = trimesh.Trimesh(points, np.arange(len(points)).reshape(-1, 3), process=False)
    mesh.merge_vertices(digits_vertex=3)
    mesh.update_faces((np.diff(np.sort(mesh.faces, axis=1), axis=1) > 0).all(axis=1))
    mesh.update_faces(mesh.unique_faces())
    if edges := len(trimesh.grouping.group_rows(mesh.edges_sorted, require_count=1)):
        raise ValueError(
            f"the mesh is not closed: {edges} edges belong to one face alone; fill its holes first (in Blender: "
            "Select > All by Trait > Non Manifold, then Face > Fill), or give voxels"
        )
    return scipy.ndimage.binary_fill_holes(_touched(np.asarray(mesh.triangles) + (side - 1) / 2, side))


def _touched(triangles: Float[np.ndarray, "n 3 3"], side: int) -> Bool[np.ndarray, "D D D"]:
    """The voxels, centred at whole numbers, that triangles pass through: no way from face to face leads around them.

    Triangles are halved at their longest edge until none is longer than half a voxel, so that wherever the surface
    crosses the line between two neighbours' centres, a vertex lies in one of the two.
    """
    touched, waiting = np.zeros((side,) * 3, bool), [triangles]
    while waiting:
        some = waiting.pop()
        touched[tuple(np.rint(some).astype(int).reshape(-1, 3).T)] = True
        lengths = np.linalg.norm(np.roll(some, -1, axis=1) - some, axis=2)
        long = lengths.max(axis=1) > 0.5
        # Turned so that the longest edge is from the first to the second vertex.
        turns = (lengths[long].argmax(axis=1)[:, None] + np.arange(3)) % 3
        first, second, third = np.take_along_axis(some[long], turns[..., None], axis=1).swapaxes(0, 1)
        middle = (first + second) / 2
        halves = np.concatenate([np.stack([first, middle, third], 1), np.stack([middle, second, third], 1)])
        if len(halves):
            waiting += np.array_split(halves, 1 + len(halves) // 2**18)
    return touched
