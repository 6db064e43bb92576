"""Readers on files that other libraries wrote, and what they say of files that are not right."""

import pathlib

import numpy as np
import PIL.Image
import pytest
import trimesh
import xarray

from mscn_flax import data, fields, signals, solids, views


def kelvin(lat, lon):
    """A map whose value tells its place."""
    return 200.0 + lat[:, None] / 3 + 30 + (lon % 360)[None, :] / 10


def netcdf(path, lat, lon, **more):
    array = kelvin(lat, lon)[None]
    xarray.Dataset(
        {"t2m": (("valid_time", "latitude", "longitude"), np.concatenate([array, array + 1]))},
        coords={"valid_time": [0, 1], "latitude": lat, "longitude": lon},
    ).to_netcdf(path, engine="h5netcdf", **more)


def test_netcdf_maps_come_north_first_and_from_greenwich(tmp_path):
    # South first, and from the date line: an order that files do have.
    lat, lon = np.linspace(-90, 90, 181), np.arange(-180.0, 180.0)
    netcdf(tmp_path / "a.nc", lat, lon)
    first, second = fields.read(tmp_path / "a.nc", (181, 360))
    np.testing.assert_allclose(first, kelvin(signals.latitudes(181), signals.longitudes(360)), atol=1e-4)
    np.testing.assert_allclose(second, first + 1, atol=1e-4)
    # Every fourth point is COIN++'s grid, exactly.
    small = next(fields.read(tmp_path / "a.nc", (46, 90)))
    np.testing.assert_array_equal(small, first[::4, ::4])
    np.testing.assert_array_equal(next(fields.read(tmp_path / "a.nc")), first)


def test_npz_maps_of_coin_pp_are_read(tmp_path):
    lat, lon = signals.latitudes(46), signals.longitudes(90)
    np.savez(tmp_path / "a.npz", temperature=kelvin(lat, lon), latitude=lat, longitude=lon)
    (field,) = fields.read(tmp_path / "a.npz", (46, 90))
    np.testing.assert_allclose(field, kelvin(lat, lon), atol=1e-4)
    np.testing.assert_allclose(fields.to_kelvin(fields.to_unit(field)), field, atol=1e-3)
    assert fields.to_unit(np.array([fields.LOW_K, fields.HIGH_K])).tolist() == [0, 1]


def test_another_grid_is_interpolated_around_the_globe(tmp_path):
    """As climate models have it: rows without poles, columns half a step off."""
    lat, lon = np.linspace(88.5, -88.5, 60), 1.5 + np.arange(120) * 3.0
    field = 280 + lat[:, None] / 9 + 10 * np.cos(np.radians(lon))[None, :]
    np.savez(tmp_path / "a.npz", tas_K=field, lat=lat, lon=lon)
    (found,) = fields.read(tmp_path / "a.npz", (46, 90))
    wanted = signals.latitudes(46), np.radians(signals.longitudes(90))
    expected = 280 + np.clip(wanted[0], -88.5, 88.5)[:, None] / 9 + 10 * np.cos(wanted[1])[None, :]
    np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "there is no file"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n cut short"), "cannot be read as nc"),
        (lambda path: xarray.Dataset({"u10": ("x", np.zeros(3))}).to_netcdf(path, engine="h5netcdf"), "no temperature"),
        (lambda path: netcdf(path, np.linspace(90, -90, 5), np.arange(0, 360, 40.0) * np.nan), "NaN|finite|shape|grid"),
    ],
)
def test_wrong_netcdf_is_named(make, says, tmp_path):
    path = tmp_path / "a.nc"
    make(path)
    with pytest.raises(ValueError, match=says) as raised:
        list(fields.read(path, (5, 8)))
    assert "\n" not in str(raised.value)


def test_celsius_is_not_kelvin(tmp_path):
    np.savez(
        tmp_path / "a.npz", temperature=np.zeros((5, 8)), latitude=signals.latitudes(5), longitude=signals.longitudes(8)
    )
    with pytest.raises(ValueError, match="kelvin between 100 and 400"):
        list(fields.read(tmp_path / "a.npz", (5, 8)))


def solid():
    """No two axes alike."""
    voxels = np.zeros((16, 16, 16), bool)
    voxels[2:12, 3:6, 4] = True
    voxels[2, 3:14, 4:6] = True
    return voxels


def test_binvox_has_its_axes_in_order(tmp_path):
    grid = trimesh.voxel.VoxelGrid(solid())
    (tmp_path / "a.binvox").write_bytes(trimesh.exchange.binvox.export_binvox(grid))
    np.testing.assert_array_equal(solids.read(tmp_path / "a.binvox", 16), solid())


def test_npy_voxels_are_read(tmp_path):
    np.save(tmp_path / "a.npy", solid().astype(np.float32)[..., None])
    np.testing.assert_array_equal(solids.read(tmp_path / "a.npy", 16), solid())


@pytest.mark.parametrize("ending", ["obj", "stl", "ply", "off"])
def test_meshes_are_filled(ending, tmp_path):
    trimesh.creation.icosphere(subdivisions=3, radius=7).apply_translation([5, 0, 1]).export(tmp_path / f"a.{ending}")
    voxels = solids.read(tmp_path / f"a.{ending}", 32)
    # The ball is 29 voxels wide and solid; those that its surface touches belong to it.
    assert 14.5 < (voxels.sum() / (4 / 3 * np.pi)) ** (1 / 3) < 15.5
    assert voxels[16, 16, 16]
    outside = np.ones_like(voxels)
    outside[1:-1, 1:-1, 1:-1] = False
    assert not voxels[outside].any()


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
        solids.read(tmp_path / name, 16)
    assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match="there is no file"):
        solids.read(tmp_path / "b.npy", 16)
    np.save(tmp_path / "c.npy", np.zeros((16, 16, 8)))
    with pytest.raises(ValueError, match=r"shape \(16, 16, 8\), needed is a cube of 16"):
        solids.read(tmp_path / "c.npy", 16)


def scene(folder: pathlib.Path, made: views.Views) -> None:
    """Writes SRN's format with Pillow."""
    for part in ("rgb", "pose"):
        (folder / part).mkdir(parents=True)
    for index, (picture, pose) in enumerate(zip(made.pictures, made.poses, strict=True)):
        PIL.Image.fromarray(picture).save(folder / "rgb" / f"{index:06}.png")
        (folder / "pose" / f"{index:06}.txt").write_text(" ".join(map(repr, pose.ravel().tolist())) + "\n")
    # As SRN has it, for pictures of 128 pixels whatever their own size.
    factor = 128 / made.pictures.shape[1]
    numbers = [factor * made.focal, factor * made.cx, factor * made.cy, 0.0]
    text = " ".join(map(str, numbers)) + "\n0. 0. 0.\n1.\n128 128\n"
    (folder / "intrinsics.txt").write_text(text)


def test_scenes_of_srn_are_read(tmp_path):
    made = views.random_scene(np.random.default_rng(0), 16, count=3)
    scene(tmp_path / "s", made)
    found = views.read(tmp_path / "s")
    np.testing.assert_array_equal(found.pictures, made.pictures)
    np.testing.assert_allclose(found.poses, made.poses, atol=1e-6)
    np.testing.assert_allclose([found.focal, found.cx, found.cy], [made.focal, made.cx, made.cy], rtol=1e-6)
    small = found.reduced(8)
    assert small.pictures.shape == (3, 8, 8, 3)
    assert small.focal == pytest.approx(made.focal / 2)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "pose" / "000001.txt").unlink(), "000001.txt is missing"),
        (lambda folder: (folder / "pose" / "000001.txt").write_text("1 2 3"), "has 3 numbers, needed are 16"),
        (lambda folder: (folder / "intrinsics.txt").write_text("f 1"), "not a number"),
        (lambda folder: (folder / "intrinsics.txt").write_text("131.25"), "1 numbers, too few"),
        (lambda folder: (folder / "rgb" / "000001.png").write_bytes(b"\x89PNG"), "cannot be read"),
        (lambda folder: PIL.Image.new("RGB", (8, 9)).save(folder / "rgb" / "000001.png"), "squares of one size"),
        (lambda folder: [path.unlink() for path in (folder / "rgb").iterdir()], "no rgb/"),
    ],
)
def test_wrong_scenes_are_named(spoil, says, tmp_path):
    scene(tmp_path / "s", views.random_scene(np.random.default_rng(0), 16, count=3))
    spoil(tmp_path / "s")
    with pytest.raises(ValueError, match=says) as raised:
        views.read(tmp_path / "s")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("era5", "cds.climate.copernicus.eu"),
        ("shapenet10", "shapenet.org"),
        ("srn_cars", "cars_train"),
        ("kaykit_voxels", "kaykit_voxels_64.npz"),
        ("kaykit_scenes", "kaykit_multiview_128.npz"),
    ],
)
def test_missing_data_name_the_remedy_and_a_stand_in(name, says, tmp_path):
    known = data.DATA_SETS[name]
    with pytest.raises(data.MissingDataError, match=says) as raised:
        data.load(name, "train", resolution=known.resolution, data_dir=str(tmp_path))
    assert "\n" not in str(raised.value)
    standin = str(raised.value).rsplit("`", 2)[1]
    assert data.DATA_SETS[standin].embedded


def test_folders_of_ones_own_become_data_sets(tmp_path):
    rng = np.random.default_rng(0)
    lat, lon = signals.latitudes(10), signals.longitudes(18)
    for index, split in enumerate(("train", "validation", "test")):
        for folder in ("era5", "shapenet10/chair"):
            (tmp_path / folder.split("/")[0] / split / folder.partition("/")[2]).mkdir(parents=True, exist_ok=True)
        netcdf(tmp_path / "era5" / split / "a.nc", lat + 0.0, lon)
        np.save(tmp_path / "shapenet10" / split / "chair" / f"{index}.npy", np.roll(solid(), index, axis=0))
        scene(
            tmp_path / "srn_cars" / f"cars_{split.replace('validation', 'val')}" / "s", views.random_scene(rng, 16, 3)
        )
    maps = data.load("era5", "test", resolution=10, data_dir=str(tmp_path))
    assert (maps.name, maps.source, len(maps)) == ("era5", "real", 2)
    np.testing.assert_allclose(fields.to_kelvin(maps[0][..., 0]), kelvin(lat, lon), atol=1e-3)
    volumes = data.load("shapenet10", "validation", resolution=16, data_dir=str(tmp_path))
    np.testing.assert_array_equal(volumes[0][..., 0], np.roll(solid(), 1, axis=0))
    seen = data.load("srn_cars", "train", resolution=8, data_dir=str(tmp_path))
    assert seen[0]["views"].shape == (3, 8, 8, 3)
    assert seen.source == "real"


def test_no_kind_of_object_is_in_two_splits(data_dir):
    from mscn_flax.data.voxels.voxels_dataset_builder import KAYKIT, split_of

    with np.load(pathlib.Path(data_dir) / KAYKIT) as arrays:
        names = list(map(str, arrays["name"]))
    kinds = {}
    for name in names:
        kinds.setdefault(split_of(name, names), set()).add(name.split("_")[0])
    assert not kinds["train"] & kinds["test"]
    assert not kinds["train"] & kinds["validation"]
    assert not kinds["validation"] & kinds["test"]


def test_real_maps_stand_beside_those_they_are_trained_on(data_dir):
    train = data.load("era5", "train", resolution=46, data_dir=data_dir)
    test = data.load("era5", "test", resolution=46, data_dir=data_dir)
    assert (train.name, train.source, len(train)) == ("cmip6", "standin", 48)
    assert (test.name, test.source, len(test)) == ("era5", "subset", 13)
    # January in both: colder in the north; temperatures agree to a few degrees on average.
    january = fields.to_kelvin(test[1][..., 0])
    assert january[5].mean() < january[40].mean()
    assert np.mean(january) == pytest.approx(np.mean(fields.to_kelvin(train[0][..., 0])), abs=4)
