"""Solids: voxels and meshes that other libraries wrote, and the surfaces that ours become."""

import pickle

import numpy as np
import pytest
import trimesh

from mscn_flax.data.local_copy import files_below
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
    assert VOXELS.described(VOXELS.errors(targets, values)) == "25.00% of voxels wrong"


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


@pytest.mark.parametrize("side", [4, 7, 16, 33])
def test_no_surface_leaks(side, tmp_path):
    """Where a gap in the touched voxels let the flood in, the middle would be empty."""
    for seed in range(5):
        turned = trimesh.transformations.random_rotation_matrix(np.random.default_rng(seed).uniform(size=3))
        trimesh.creation.cylinder(0.7, 2, sections=7).apply_transform(turned).export(tmp_path / "a.stl")
        voxels = VOXELS.read(tmp_path / "a.stl", side)[..., 0] > 0
        assert voxels[side // 2, side // 2, side // 2]
        # A convex solid has no gap along any axis.
        assert all(np.count_nonzero(np.diff(voxels, axis=axis), axis=axis).max() == 2 for axis in range(3))


def test_what_is_outside_stays_outside(tmp_path):
    """The hole of a torus whatever its axis, as its voxels say."""
    for axis in range(3):
        ring = trimesh.creation.torus(1, 0.3)
        ring.vertices = np.roll(ring.vertices, axis, axis=1)
        ring.export(tmp_path / "a.ply")
        voxels = np.moveaxis(VOXELS.read(tmp_path / "a.ply", 32)[..., 0] > 0, (axis + 2) % 3, 2)
        assert not voxels[16, 16].any()
        assert voxels.any(axis=2).sum() < 30**2 * np.pi / 4


def test_seams_are_no_holes(tmp_path):
    """Vertices of each face's own, bodies that touch, a wall inside, a face turned and a face twice."""
    box, side = trimesh.creation.box((1, 1, 1)), 32
    apart = box.copy()
    apart.unmerge_vertices()
    apart.visual = trimesh.visual.TextureVisuals(uv=np.random.default_rng(0).uniform(size=(36, 2)))
    half = trimesh.creation.box((1, 1, 0.5)).apply_translation([0, 0, 0.25])
    wall = trimesh.util.concatenate([half, half.copy().apply_translation([0, 0, -0.5])])
    turned = trimesh.Trimesh(box.vertices, [box.faces[0][::-1], *box.faces[1:], box.faces[3]], process=False)
    for name, mesh in {"apart": apart, "wall": wall, "turned": turned}.items():
        mesh.export(tmp_path / f"{name}.glb")
        assert VOXELS.read(tmp_path / f"{name}.glb", side).sum() == (side - 2) ** 3


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_units_and_places_of_meshes_are_of_no_account(unit, tmp_path):
    shape = trimesh.creation.torus(1, 0.3)
    shape.export(tmp_path / "a.obj")
    shape.apply_translation([3, -2, 1]).apply_scale(unit).export(tmp_path / "b.obj", digits=16)
    voxels, same = (VOXELS.read(tmp_path / name, 16) for name in ("a.obj", "b.obj"))
    # But for rounding where a vertex lies between two voxels.
    assert np.mean(voxels != same) < 0.005


def open_meshes():
    """Surfaces that are no boundary of a solid."""
    for mesh in (trimesh.creation.box((1, 1, 1)), trimesh.creation.icosphere(1), trimesh.creation.cylinder(1, 3)):
        for removed in (1, 2, len(mesh.faces) // 2):
            yield trimesh.Trimesh(mesh.vertices, mesh.faces[removed:], process=False)
    bowl = trimesh.Trimesh(mesh.vertices, mesh.faces[9:], process=False)
    yield trimesh.Trimesh(mesh.vertices, [*bowl.faces, *bowl.faces[:, ::-1]], process=False)
    yield trimesh.util.concatenate([mesh.copy().apply_translation([9, 0, 0]), bowl])


@pytest.mark.parametrize("ending", ["obj", "stl", "glb"])
def test_open_meshes_are_refused(ending, tmp_path):
    for mesh in open_meshes():
        mesh.export(tmp_path / f"a.{ending}")
        with pytest.raises(ValueError, match=f"a.{ending} .* not closed: [0-9]+ edges .* fill its holes first"):
            VOXELS.read(tmp_path / f"a.{ending}", 16)


@pytest.mark.parametrize("flat", [(1, 1, 0), (1, 0, 0), (0, 0, 0)])
def test_meshes_without_extent_are_refused(flat, tmp_path):
    turned = trimesh.transformations.random_rotation_matrix(np.array([0.2, 0.7, 0.4]))
    for matrix in (np.eye(4), turned):
        mesh = trimesh.creation.box((1, 1, 1))
        mesh.vertices = mesh.vertices * flat + 3.0
        mesh.apply_transform(matrix).export(tmp_path / "a.obj")
        with pytest.raises(ValueError, match=r"a.obj .* is a point, a line or a plane"):
            VOXELS.read(tmp_path / "a.obj", 16)


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


@pytest.mark.parametrize("kind", ["npy", "binvox", "occupancy"])
@pytest.mark.parametrize(("have", "side"), [(12, 4), (6, 12), (9, 6), (5, 8), (16, 5), (6, 2)])
def test_other_sides_are_brought_to_the_models(have, side, kind, tmp_path):
    """A voxel is inside where more than half of it is occupied."""
    rng = np.random.default_rng(have)
    cube = rng.uniform(size=(have,) * 3)
    cube = cube if kind == "occupancy" else cube > 0.45
    path = tmp_path / f"a.{'binvox' if kind == 'binvox' else 'npy'}"
    if kind == "binvox":
        path.write_bytes(trimesh.exchange.binvox.export_binvox(trimesh.voxel.VoxelGrid(cube)))
    else:
        np.save(path, cube)
    # Cubes so small that both grids' voxels consist of them.
    fine = cube.astype(np.float64).repeat(side, 0).repeat(side, 1).repeat(side, 2)
    share = fine.reshape(side, have, side, have, side, have).mean(axis=(1, 3, 5))
    np.testing.assert_array_equal(VOXELS.read(path, side)[..., 0], share > 0.5)
    assert len(VOXELS.read(path)) == have


def write(path):
    """The solid in any format that is read."""
    if path.suffix in VOXELS.writable:
        VOXELS.write(path, solid())
    else:
        VOXELS.write(path.with_suffix(".ply"), solid())
        trimesh.load(path.with_suffix(".ply")).export(path)


@pytest.mark.parametrize("ending", VOXELS.readable)
def test_capitals_are_alike_and_hidden_files_skipped(ending, tmp_path):
    small, large = tmp_path / f"a{ending}", tmp_path / f"B{ending.upper()}"
    write(small)
    for path in (large, tmp_path / f"._a{ending}", tmp_path / ".hidden" / f"a{ending}"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(small.read_bytes())
    assert VOXELS.takes(large)
    np.testing.assert_array_equal(VOXELS.read(large, 16), VOXELS.read(small, 16))
    assert files_below(tmp_path, (ending,)) == [large, small]


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.full((4, 4, 4), np.nan), "from nan to nan"),
        (np.where(np.eye(4)[0] > 0, np.nan, np.ones((4, 4, 4))), "from nan to nan"),
        (np.full((4, 4, 4), 255, np.uint8), "from 255 to 255"),
        (np.full((4, 4, 4), -0.5), "from -0.5 to -0.5"),
        (np.linspace(-1, 1, 64).reshape(4, 4, 4), "from -1.0 to 1.0"),
        (np.ones((4, 4, 4), complex), "complex128"),
        (np.full((4, 4, 4), "1"), "<U1"),
        (np.full((4, 4, 4), None), "Python objects"),
        (np.ones((4, 4, 5)), r"shape \(4, 4, 5\)"),
        (np.ones((4, 4)), r"shape \(4, 4\)"),
        (np.ones((4, 4, 4, 2)), r"shape \(4, 4, 4, 2\)"),
        (np.ones((0, 0, 0)), r"shape \(0, 0, 0\)"),
        (np.zeros((4, 4, 4)), "none of 4\\^3 voxels is inside"),
    ],
)
def test_arrays_that_are_no_solid_are_named(array, says, tmp_path):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match=f"a.npy cannot be read as npy: .*{says}"):
        VOXELS.read(tmp_path / "a.npy", 4)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, ">f4", np.float64])
def test_booleans_and_occupancies_are_read(dtype, tmp_path):
    np.save(tmp_path / "a.npy", np.asfortranarray(solid()[..., 0].astype(dtype)))
    np.testing.assert_array_equal(VOXELS.read(tmp_path / "a.npy", 16), solid())


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.binvox", b"#binvox 1\ndim 16 16", "cannot be read as binvox"),
        ("a.obj", b"v 0 0 0\n", "cannot be read as obj"),
        ("a.npy", b"", "cannot be read as npy"),
        ("a.npy", pickle.dumps(solid()), "cannot be read as npy"),
        ("a.binvox", b"#binvox 1\ndim 4 4 4\ndata\n\x01\x3f", "63 voxels, its header says 4x4x4"),
        ("a.binvox", b"#binvox 1\ndim 9999999 9999999 9999999\ndata\n\x01\x40", "needed is a cube"),
        ("a.binvox", b"#binvox 1\ndim 4 4 8\ndata\n\x01\x80", "needed is a cube"),
        ("a.obj", b"", "no faces"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "cannot be read as obj"),
        ("a.stl", b"solid", "no faces"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex 9\nend_header\n", "cannot be read as ply"),
        ("a.off", b"OFF\n1", "cannot be read as off"),
        ("a.glb", b"glTF", "cannot be read as glb"),
        ("a.txt", b"", "ends in none of .binvox"),
    ],
)
def test_wrong_voxels_are_named(name, content, says, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=says) as raised:
        VOXELS.read(tmp_path / name, 16)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("ending", VOXELS.readable)
def test_damaged_solids_are_one_line(ending, tmp_path):
    path, rng = tmp_path / f"b{ending}", np.random.default_rng(0)
    write(path)
    whole = path.read_bytes()
    for _ in range(15):
        content = bytearray(whole[: rng.integers(len(whole))] if rng.uniform() < 0.5 else whole)
        for at in rng.integers(max(len(content), 1), size=3 if content else 0):
            content[at] = rng.integers(256)
        path.write_bytes(content)
        try:
            assert VOXELS.read(path, 8).shape == (8, 8, 8, 1)
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017


def test_files_that_people_have(field_files):
    assert VOXELS.read(field_files / "solid128.binvox", 32).shape == (32, 32, 32, 1)
    assert VOXELS.read(field_files / "CUBE.OBJ", 32).sum() == 30**3
    with pytest.raises(ValueError, match=r"open_box.obj .* not closed: 4 edges"):
        VOXELS.read(field_files / "open_box.obj", 32)
