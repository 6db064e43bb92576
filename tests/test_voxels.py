"""Solids: voxels and meshes that other libraries wrote, and the surfaces that ours become."""

import numpy as np
import pytest
import trimesh

from mscn_flax.modalities import VOXELS
from mscn_flax.modalities.grids import grid_coordinates


def solid():
    """No two axes alike."""
    voxels = np.zeros((16, 16, 16, 1), np.float32)
    voxels[2:12, 3:6, 4] = 1
    voxels[2, 3:14, 4:6] = 1
    return voxels


def test_voxel_accuracy_counts_the_right_side():
    targets = np.array([[0.0], [1.0], [1.0], [0.0]], np.float32)
    values = np.array([[0.49], [0.51], [0.2], [-3.0]], np.float32)
    assert VOXELS.measured(values, targets, 1) == {"voxel_accuracy": 0.75}
    assert VOXELS.error(targets, values) == "25.00% of voxels wrong"


def test_the_solids_of_most_surface_are_shown():
    flat, scattered = np.zeros((2, 8, 8, 8), np.float32)
    flat[:, :, :4], scattered[::2, ::2, ::2] = 1, 1
    targets = np.stack([flat, scattered, flat]).reshape(3, -1, 1)
    assert VOXELS.shown(targets, 8, 2).tolist() == [1, 0]
    kept = VOXELS.compact(targets[1:2])
    np.testing.assert_array_equal(np.unpackbits(kept, axis=-2), targets[1:2] > 0.5)


def test_binvox_has_its_axes_in_order(tmp_path):
    grid = trimesh.voxel.VoxelGrid(solid()[..., 0] > 0)
    (tmp_path / "a.binvox").write_bytes(trimesh.exchange.binvox.export_binvox(grid))
    np.testing.assert_array_equal(VOXELS.read(tmp_path / "a.binvox", 16), solid())


def test_npy_voxels_are_read(tmp_path):
    np.save(tmp_path / "a.npy", solid())
    np.testing.assert_array_equal(VOXELS.read(tmp_path / "a.npy", 16), solid())


@pytest.mark.parametrize("ending", ["obj", "stl", "ply", "off"])
def test_meshes_are_filled(ending, tmp_path):
    trimesh.creation.icosphere(subdivisions=3, radius=7).apply_translation([5, 0, 1]).export(tmp_path / f"a.{ending}")
    voxels = VOXELS.read(tmp_path / f"a.{ending}", 32)[..., 0] > 0
    # The ball is 29 voxels wide and solid; those that its surface touches belong to it.
    assert 14.5 < (voxels.sum() / (4 / 3 * np.pi)) ** (1 / 3) < 15.5
    assert voxels[16, 16, 16]
    outside = np.ones_like(voxels)
    outside[1:-1, 1:-1, 1:-1] = False
    assert not voxels[outside].any()


@pytest.mark.parametrize("name", ["a.ply", "a.obj", "a.stl"])
def test_surfaces_are_closed_and_where_the_solid_is(name, tmp_path):
    side = 24
    distance = np.linalg.norm(grid_coordinates((side,) * 3) - 0.5, axis=1).reshape((side,) * 3 + (1,))
    VOXELS.write(tmp_path / name, (0.5 + 10 * (0.3 - distance)).astype(np.float32))
    mesh = trimesh.load(tmp_path / name, force="mesh")
    assert mesh.is_watertight
    # Seen from outside, in the unit cube, of the ball's volume.
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.3**3, rel=0.02)
    np.testing.assert_allclose(mesh.bounds, [[0.2] * 3, [0.8] * 3], atol=0.005)
    with pytest.raises(ValueError, match="empty"):
        VOXELS.write(tmp_path / f"new-{name}", np.zeros((4, 4, 4, 1), np.float32))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.binvox", b"#binvox 1\ndim 16 16", "cannot be read as binvox"),
        ("a.obj", b"v 0 0 0\n", "cannot be read as obj"),
        ("a.npy", b"", "cannot be read as npy"),
        ("a.txt", b"", "ends in none of .binvox"),
    ],
)
def test_wrong_voxels_are_named(name, content, says, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=says) as raised:
        VOXELS.read(tmp_path / name, 16)
    assert "\n" not in str(raised.value)


def test_voxels_of_another_shape_are_named(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((16, 16, 8)))
    with pytest.raises(ValueError, match=r"shape \(16, 16, 8\), needed is a cube with sides of 16"):
        VOXELS.read(tmp_path / "a.npy", 16)
