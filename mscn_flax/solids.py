"""Solids as voxels: reading the files people have, and making some up."""

import pathlib

import numpy as np
from jaxtyping import Bool

from mscn_flax import signals

MESHES = (".obj", ".off", ".ply", ".stl", ".glb")

READABLE = (".binvox", ".npy", *MESHES)


def read(path: pathlib.Path, side: int | None = None) -> Bool[np.ndarray, "D D D"]:
    """The occupied voxels of a file, axes x, y, z.

    Args:
      path: a cube of voxels, .binvox or .npy (occupied where it is above 0.5), or a mesh, which is scaled into the cube
        with a voxel's margin, its proportions kept, and filled.
      side: voxels a side that are wanted; a mesh takes 64 where None.

    Raises:
      ValueError: in one line, for a file that is not that, or has another side.
    """
    if path.suffix not in READABLE:
        raise ValueError(f"{path} ends in none of {', '.join(READABLE)}")
    try:
        if path.suffix == ".npy":
            array = np.load(path)
            if array.ndim == 4 and array.shape[-1] == 1:
                array = array[..., 0]
            voxels = array > 0.5
        else:
            import trimesh  # Takes half a second; only these files need it.

            loaded = trimesh.load(path, force=None if path.suffix == ".binvox" else "mesh")
            voxels = loaded.matrix if path.suffix == ".binvox" else _filled(loaded, side or 64)
    except FileNotFoundError as error:
        raise ValueError(f"there is no file {path}") from error
    except Exception as error:  # trimesh raises whatever its parsers do.
        raise ValueError(f"{path} cannot be read as {path.suffix[1:]}: {error}".splitlines()[0]) from error
    if voxels.ndim != 3 or len(set(voxels.shape)) != 1 or voxels.shape[0] != (side or voxels.shape[0]):
        wanted = "of equal sides" if side is None else f"of {side} a side"
        raise ValueError(f"{path} has voxels of shape {voxels.shape}, needed is a cube {wanted}")
    return voxels.astype(bool)


def _filled(mesh, side: int) -> Bool[np.ndarray, "D D D"]:
    """A mesh as solid voxels in the middle of a cube."""
    if not len(mesh.faces):
        raise ValueError("the mesh has no faces")
    mesh.apply_translation(-mesh.bounds.mean(axis=0))
    pitch = mesh.extents.max() / (side - 3)
    inner = mesh.voxelized(pitch).fill().matrix
    voxels = np.zeros((side, side, side), bool)
    start = [(side - extent) // 2 for extent in inner.shape]
    voxels[tuple(slice(a, a + extent) for a, extent in zip(start, inner.shape, strict=True))] = inner
    return voxels


def random_solid(rng: np.random.Generator, side: int) -> Bool[np.ndarray, "D D D"]:
    """A made-up solid: two to four boxes, ellipsoids, cylinders and tori that overlap, in the middle of a cube."""
    points = signals.grid_coordinates((side, side, side)).astype(np.float64) - 0.5
    solid = np.zeros(len(points), bool)
    for _ in range(rng.integers(2, 5)):
        at = (points - rng.uniform(-0.18, 0.18, 3)) / rng.uniform(0.1, 0.26, 3)
        at = at[:, rng.permutation(3)]
        radial = np.hypot(at[:, 0], at[:, 1])
        solid |= (
            (np.abs(at).max(axis=1) < 0.9)
            if (kind := rng.integers(4)) == 0
            else (np.linalg.norm(at, axis=1) < 1)
            if kind == 1
            else (np.maximum(radial, np.abs(at[:, 2])) < 0.95)
            if kind == 2
            else (np.hypot(radial - 0.75, at[:, 2]) < 0.25)
        )
    return solid.reshape(side, side, side)
