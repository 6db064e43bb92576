"""Solids as voxels [D, D, D, 1], float32, 1 inside and 0 outside, from voxel files and meshes."""

import pathlib

import numpy as np
from jaxtyping import Bool, Float, Int

from mscn_flax.atomic import replaced
from mscn_flax.inputs import check_file
from mscn_flax.modalities.base import MAX_POINTS
from mscn_flax.modalities.grids import Grid
from mscn_flax.modalities.meshes import filled, surface
from mscn_flax.text import first_line


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
          path: a cube of voxels, .binvox or .npy (booleans, or occupancies in [0, 1], occupied above 0.5), or a closed
            mesh, which is scaled into the cube with a margin of a voxel, its proportions kept, and filled (`filled`).
          side: voxels per side, to which other cubes are brought (`_resized`); a mesh takes 64 where None.
        """
        ending = path.suffix.lower()
        if ending not in self.readable:
            raise ValueError(f"{path} ends in none of {', '.join(self.readable)}")
        check_file(path)
        try:
            if ending in (".npy", ".binvox"):
                cube = _npy(path) if ending == ".npy" else _binvox(path)
                inside = _resized(cube, side or len(cube))
            else:
                import trimesh  # Takes half a second.

                mesh = trimesh.load(path, file_type=ending[1:], force="mesh", process=False)
                inside = filled(getattr(mesh, "triangles", np.zeros((0, 3, 3))), side or 64)
            if not inside.any():
                raise ValueError(f"it is empty: none of {len(inside)}^3 voxels is inside")
        except Exception as error:  # trimesh raises whatever its parsers do.
            raise ValueError(f"{path} cannot be read as {ending[1:]}: {first_line(error)}") from error
        return inside[..., None].astype(np.float32)

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

    def errors(self, signal: np.ndarray, decoded: np.ndarray) -> dict[str, float]:
        return {"wrong_voxels": 1 - _accuracy(decoded, signal)}

    def described(self, errors: dict[str, float]) -> str:
        return f"{100 * errors['wrong_voxels']:.2f}% of voxels wrong"

    def shown(self, targets: Float[np.ndarray, "B N 1"], side: int, count: int) -> Int[np.ndarray, " n"]:
        """The solids of most surface: many are flat tiles."""
        inside = targets.reshape(-1, *self.shape(side)) > 0.5
        surfaces = sum(np.count_nonzero(np.diff(inside, axis=axis), axis=(1, 2, 3)) for axis in (1, 2, 3))
        return np.argsort(-surfaces, kind="stable")[:count]

    def compact(self, values: Float[np.ndarray, "n N 1"]) -> np.ndarray:
        """What is inside is all there is: a bit per voxel."""
        return np.packbits(values > 0.5, axis=-2)


def _npy(path: pathlib.Path) -> np.ndarray:
    """A cube [D, D, D] of booleans or occupancies, mapped from its file; nothing is unpickled."""
    array = np.lib.format.open_memmap(path, mode="r")
    _check_cube(array.shape[:3] if array.ndim == 4 and array.shape[3] == 1 else array.shape)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"it has values of the kind {array.dtype}, needed are booleans or occupancies in [0, 1]")
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 1):  # Nor where they are NaN.
        raise ValueError(f"it has values from {low} to {high}, needed are booleans or occupancies in [0, 1]")
    return array.reshape(array.shape[:3])


def _binvox(path: pathlib.Path) -> Bool[np.ndarray, "D D D"]:
    """The voxels of a file that counts runs of equal ones, in the order x, z, y."""
    import trimesh  # Takes half a second.

    with path.open("rb") as opened:
        runs, shape, _, _ = trimesh.exchange.binvox.parse_binvox(opened)
    _check_cube(tuple(shape.tolist()))
    values, counts = runs[::2], runs[1::2]
    if len(values) != len(counts) or counts.sum(dtype=np.int64) != shape.prod():
        raise ValueError(f"it has {counts.sum(dtype=np.int64)} voxels, its header says {'x'.join(map(str, shape))}")
    return np.repeat(values > 0, counts).reshape(shape).swapaxes(1, 2)


def _check_cube(shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or len(set(shape)) != 1 or not 1 <= shape[0] ** 3 <= MAX_POINTS:
        raise ValueError(f"it has voxels of shape {shape}, needed is a cube of at most {MAX_POINTS:,} voxels")


def _resized(cube: np.ndarray, side: int) -> Bool[np.ndarray, "s s s"]:
    """A cube of occupancies at another side: inside is a voxel of which more than half is occupied.

    Exact for booleans: the overlaps of old and new voxels along an axis are counted in units of 1 / (old side * side).
    """
    have = len(cube)
    if have == side:
        return np.asarray(cube > 0.5)
    new, old = np.arange(side)[:, None], np.arange(have)
    overlap = np.minimum((new + 1) * have, (old + 1) * side) - np.maximum(new * have, old * side)
    weights = np.maximum(overlap, 0).astype(np.float64)
    # Plane by plane: a large cube of floats would take a gigabyte.
    planes = (np.tensordot(row[row > 0], cube[row > 0].astype(np.float64), 1) for row in weights)
    return np.stack([2 * (weights @ plane @ weights.T) > have**3 for plane in planes])


def _accuracy(values: np.ndarray, targets: np.ndarray) -> float:
    """Share of voxels on the right side of 0.5."""
    return float(np.mean((values > 0.5) == (targets > 0.5)))


VOXELS = Voxels()
