"""Maps of the globe: their grid, files that other libraries wrote, and made-up maps."""

import numpy as np
import pytest
import scipy.special
import xarray

from mscn_flax.data.made_up import random_map
from mscn_flax.modalities import MAPS
from mscn_flax.modalities.maps import HIGH_K, LOW_K, latitudes, longitudes, sphere_coordinates, to_kelvin, to_unit


def kelvin(lat, lon):
    """A map whose value tells its place."""
    return 200.0 + lat[:, None] / 3 + 30 + (lon % 360)[None, :] / 10


def netcdf(path, lat, lon):
    array = kelvin(lat, lon)[None]
    xarray.Dataset(
        {"t2m": (("valid_time", "latitude", "longitude"), np.concatenate([array, array + 1]))},
        coords={"valid_time": [0, 1], "latitude": lat, "longitude": lon},
    ).to_netcdf(path, engine="h5netcdf")


def test_the_sphere_has_its_poles_and_no_seam():
    points = sphere_coordinates((181, 360)).reshape(181, 360, 3)
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(points[0], np.broadcast_to([0, 0, 1], (360, 3)), atol=1e-6)
    np.testing.assert_allclose(points[-1], np.broadcast_to([0, 0, -1], (360, 3)), atol=1e-6)
    np.testing.assert_allclose(points[90, 0], [1, 0, 0], atol=1e-6)  # Equator, Greenwich.
    np.testing.assert_allclose(points[90, 90], [0, 1, 0], atol=1e-6)  # 90 degrees east.
    # From the last column to the first, over the date line or Greenwich, is one step like all others.
    steps = np.linalg.norm(np.roll(points, -1, axis=1) - points, axis=-1)
    np.testing.assert_allclose(steps[90], steps[90, 0], rtol=1e-4)
    with pytest.raises(ValueError, match="at least 2"):
        sphere_coordinates((1, 4))


def test_weighted_psnr_knows_where_the_poles_are():
    assert MAPS.shape(46) == (46, 90)
    targets = np.zeros((46 * 90, 1), np.float32)
    at_pole, at_equator = targets.copy(), targets.copy()
    at_pole[:90], at_equator[22 * 90 : 23 * 90] = 0.1, 0.1
    pole, equator = (MAPS.measured(values, targets, 46)["psnr_weighted_db"] for values in (at_pole, at_equator))
    # cos(90) is 0, and a row at the equator counts 46 / sum(cos) times what it does unweighted.
    assert pole > 100
    weights = np.cos(np.radians(np.linspace(90, -90, 46)))
    assert equator == pytest.approx(-10 * np.log10(0.01 * weights[22] / weights.sum()), abs=1e-4)


def test_netcdf_maps_come_north_first_and_from_greenwich(tmp_path):
    # South first, and from the date line: an order that files do have.
    lat, lon = np.linspace(-90, 90, 181), np.arange(-180.0, 180.0)
    netcdf(tmp_path / "a.nc", lat, lon)
    first, second = to_kelvin(MAPS.read(tmp_path / "a.nc", 181)[..., 0])
    np.testing.assert_allclose(first, kelvin(latitudes(181), longitudes(360)), atol=1e-4)
    np.testing.assert_allclose(second, first + 1, atol=1e-4)
    # Every fourth point is COIN++'s grid, exactly.
    whole = MAPS.read(tmp_path / "a.nc")
    np.testing.assert_array_equal(MAPS.read(tmp_path / "a.nc", 46), whole[:, ::4, ::4])
    np.testing.assert_array_equal(MAPS.read(tmp_path / "a.nc", 181), whole)


def test_npz_maps_of_coin_pp_are_read(tmp_path):
    lat, lon = latitudes(46), longitudes(90)
    np.savez(tmp_path / "a.npz", temperature=kelvin(lat, lon), latitude=lat, longitude=lon)
    (found,) = to_kelvin(MAPS.read(tmp_path / "a.npz", 46)[..., 0])
    np.testing.assert_allclose(found, kelvin(lat, lon), atol=1e-4)
    assert to_unit(np.array([LOW_K, HIGH_K])).tolist() == [0, 1]


def test_another_grid_is_interpolated_around_the_globe(tmp_path):
    """As climate models have it: rows without poles, columns half a step off."""
    lat, lon = np.linspace(88.5, -88.5, 60), 1.5 + np.arange(120) * 3.0
    made = 280 + lat[:, None] / 9 + 10 * np.cos(np.radians(lon))[None, :]
    np.savez(tmp_path / "a.npz", tas_K=np.stack([made, made + 2]), lat=lat, lon=lon)
    first, second = to_kelvin(MAPS.read(tmp_path / "a.npz", 46)[..., 0])
    expected = 280 + np.clip(latitudes(46), -88.5, 88.5)[:, None] / 9 + 10 * np.cos(np.radians(longitudes(90)))
    np.testing.assert_allclose(first, expected, atol=0.01)
    np.testing.assert_allclose(second, first + 2, atol=1e-4)


def test_files_are_in_kelvin(tmp_path):
    MAPS.write(tmp_path / "a.nc", to_unit(random_map(np.random.default_rng(0), (10, 18)))[None, ..., None])
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as opened:
        assert opened["t2m"].attrs["units"] == "K"
        assert 200 < opened["t2m"].min() < opened["t2m"].max() < 330
        np.testing.assert_allclose(opened["latitude"], latitudes(10))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n cut short"), "cannot be read, it may be cut"),
        (lambda path: xarray.Dataset({"u10": ("x", np.zeros(3))}).to_netcdf(path, engine="h5netcdf"), "no temperature"),
        (lambda path: netcdf(path, np.linspace(90, -90, 5), np.arange(0, 360, 40.0) * np.nan), "not finite"),
    ],
)
def test_wrong_netcdf_is_named(make, says, tmp_path):
    path = tmp_path / "a.nc"
    make(path)
    with pytest.raises(ValueError, match=says) as raised:
        MAPS.read(path, 5)
    assert "\n" not in str(raised.value)


def test_celsius_is_not_kelvin(tmp_path):
    np.savez(tmp_path / "a.npz", temperature=np.zeros((5, 8)), latitude=latitudes(5), longitude=longitudes(8))
    with pytest.raises(ValueError, match="not 100 to 400 K"):
        MAPS.read(tmp_path / "a.npz", 5)


def test_random_maps_are_sums_of_real_spherical_harmonics():
    """Against Legendre polynomials one by one, with their norm written out."""
    rng, degree, lat, lon = np.random.default_rng(3), 4, np.radians(latitudes(7)), np.radians(longitudes(12))
    expected = np.zeros((7, 12))
    for m in range(degree + 1):
        a, b = rng.normal(size=(2, degree + 1 - m))
        for n in range(m, degree + 1):
            norm = (2 * n + 1) / (4 * np.pi) * scipy.special.factorial(n - m) / scipy.special.factorial(n + m)
            legendre = (-1) ** m * np.sqrt(norm) * np.array([scipy.special.lpmv(m, n, x) for x in np.sin(lat)])
            spread = np.sqrt(60 / (2 * n + 1)) / (n + 1) * np.sqrt(4 * np.pi * (2 if m else 1))
            along = a[n - m] * np.cos(m * lon) + b[n - m] * np.sin(m * lon)
            expected += spread * legendre[:, None] * along
    season = np.radians(12) * np.sin(rng.uniform(0, 2 * np.pi))
    expected += 301 - 42 * np.sin(lat - season)[:, None] ** 2
    np.testing.assert_allclose(random_map(np.random.default_rng(3), (7, 12), degree), expected, rtol=1e-12)
