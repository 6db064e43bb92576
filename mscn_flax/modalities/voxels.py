"""Solids as voxels [D, D, D, 1], float32, 1 inside and 0 outside, from voxel files and meshes."""

import pathlib

import numpy as np
from jaxtyping import Bool, Float, Int

from mscn_flax.atomic import replaced
from mscn_flax.modalities.grids import Grid


class Voxels(Grid):
    """Solids."""

    name, noun, part, point, rate = "volume", "solid", "solid", "voxels", "bits per voxel"
    dims, axes = 3, 3
    readable = (".binvox", ".npy", ".obj", ".off", ".ply", ".stl", ".glb")
    writable = (".binvox", ".npy", ".ply", ".obj", ".stl")

    def measured(self, values: np.ndarray, targets: np.ndarray, side: int) -> dict[str, float]:
        """Share of voxels on the right side of 0.5."""
        return {"voxel_accuracy": _accuracy(values, targets)}

    def describe(self, height: int, width: int, parts: int) -> str:
        return f"{height}^3 voxels"

    def points(self, height: int, width: int, parts: int) -> int:
        return height**3

    def read(self, path: pathlib.Path, side: int | None = None) -> Float[np.ndarray, "D D D 1"]:
        """The occupied voxels of a file, axes x, y, z.

        Args:
          path: a cube of voxels, .binvox or .npy (occupied where it is above 0.5), or a mesh, which is scaled into the
            cube with a margin of a voxel, its proportions kept, and filled.
          side: voxels per side; a mesh takes 64 where None.
        """
        if path.suffix not in self.readable:
            raise ValueError(f"{path} ends in none of {', '.join(self.readable)}")
        try:
            if path.suffix == ".npy":
                array = np.load(path)
                if array.ndim == 4 and array.shape[-1] == 1:
                    array = array[..., 0]
                voxels = array > 0.5
            else:
                import trimesh  # Takes half a second.

                loaded = trimesh.load(path, force=None if path.suffix == ".binvox" else "mesh")
                voxels = loaded.matrix if path.suffix == ".binvox" else _filled(loaded, side or 64)
        except FileNotFoundError as error:
            raise ValueError(f"there is no file {path}") from error
        except Exception as error:  # trimesh raises whatever its parsers do.
            raise ValueError(f"{path} cannot be read as {path.suffix[1:]}: {error}".splitlines()[0]) from error
        if voxels.ndim != 3 or len(set(voxels.shape)) != 1 or voxels.shape[0] != (side or voxels.shape[0]):
            wanted = "with equal sides" if side is None else f"with sides of {side}"
            raise ValueError(f"{path} has voxels of shape {voxels.shape}, needed is a cube {wanted}")
        return voxels[..., None].astype(np.float32)

    def write(self, path: pathlib.Path, signal: Float[np.ndarray, "D D D 1"]) -> None:
        """Voxels above 0.5, or the surface between them."""
        self.check_writable(path)
        ending, inside = path.suffix.lower(), signal[..., 0] > 0.5
        with replaced(path, "wb") as out:
            if ending == ".npy":
                np.save(out, inside)
                return
            import trimesh  # Takes half a second.

            if ending == ".binvox":
                grid = trimesh.voxel.VoxelGrid(inside, transform=np.diag([1 / len(inside)] * 3 + [1.0]))
                content = trimesh.exchange.binvox.export_binvox(grid)
            else:
                content = trimesh.Trimesh(*surface(signal[..., 0])).export(file_type=ending[1:])
            out.write(content.encode() if isinstance(content, str) else content)

    def error(self, signal: np.ndarray, decoded: np.ndarray) -> str:
        return f"{100 * (1 - _accuracy(decoded, signal)):.2f}% of voxels wrong"

    def shown(self, targets: Float[np.ndarray, "B N 1"], side: int, count: int) -> Int[np.ndarray, " n"]:
        """The solids of most surface: many are flat tiles."""
        inside = targets.reshape(-1, *self.shape(side)) > 0.5
        surfaces = sum(np.count_nonzero(np.diff(inside, axis=axis), axis=(1, 2, 3)) for axis in (1, 2, 3))
        return np.argsort(-surfaces, kind="stable")[:count]

    def compact(self, values: Float[np.ndarray, "n N 1"]) -> np.ndarray:
        """What is inside is all there is: a bit per voxel."""
        return np.packbits(values > 0.5, axis=-2)


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


def _accuracy(values: np.ndarray, targets: np.ndarray) -> float:
    """Share of voxels on the right side of 0.5."""
    return float(np.mean((values > 0.5) == (targets > 0.5)))


VOXELS = Voxels()
