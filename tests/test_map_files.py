"""Files of maps by class, of random sizes, as other programs write them; and the files that once were read wrongly."""

import os
import pathlib
import tempfile
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from mscn_flax.modalities import MAPS
from mscn_flax.modalities.maps import latitudes, longitudes, to_kelvin

EXAMPLES = settings(max_examples=25, deadline=None)
SIZES = st.tuples(st.integers(3, 9), st.integers(3, 12), st.integers(2, 4))
ENGINES = {"scipy": {"format": "NETCDF3_64BIT"}, "h5netcdf": {}}


def kelvin(lat, lon, times=1):
    """Maps [T, H, W] whose values tell their time and place."""
    place = 250 + lat[:, None] / 3 + 10 * np.cos(np.radians(lon))[None]
    return place + np.arange(times)[:, None, None]


def grid(height, width):
    return latitudes(height), longitudes(width)


def written(dataset, name="a.nc", engine="h5netcdf") -> pathlib.Path:
    path = pathlib.Path(tempfile.mkdtemp()) / name
    dataset.to_netcdf(path, engine=engine, **ENGINES[engine])
    return path


def dataset(values, lat, lon, axes=("time", "latitude", "longitude"), units=None, **coords):
    """Temperatures [time, latitude, longitude] with attributes, as a data set of NetCDF."""
    where = {"latitude": ("latitude", lat), "longitude": ("longitude", lon), **coords}
    return xarray.Dataset({"t2m": (axes, values, {"units": units} if units else {})}, where)


def read(path):
    return to_kelvin(MAPS.read(path)[..., 0])


def refused(path, says):
    with pytest.raises(ValueError, match=says) as raised:
        MAPS.read(path, 5)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@EXAMPLES
@given(
    size=SIZES,
    engine=st.sampled_from(list(ENGINES)),
    order=st.permutations(["time", "number", "latitude", "longitude"]),
    names=st.sampled_from([("latitude", "longitude"), ("lat", "lon"), ("LAT", "Lon")]),
    flipped=st.booleans(),
    ending=st.sampled_from(["nc", "NC", "cdf"]),
    start=st.sampled_from([0, -180, 20]),
)
def test_axes_are_read_by_their_names(size, engine, order, names, flipped, ending, start):
    """Both versions of NetCDF, any order of the axes, either pole first, from any meridian, one axis of length 1."""
    height, width, times = size
    lat, lon = grid(height, width)
    there = np.roll(lon, 1) if start == 20 else lon + start if width % 2 == 0 else lon
    rows = lat[::-1] if flipped else lat
    made = dataset(kelvin(rows, there, times)[:, None], rows, there, ("time", "number", "latitude", "longitude"))
    made = made.transpose(*order).rename(dict(zip(("latitude", "longitude"), names, strict=True)))
    np.testing.assert_allclose(read(written(made, f"a.{ending}", engine)), kelvin(lat, lon, times), atol=1e-4)


@EXAMPLES
@given(
    size=SIZES,
    off=st.sampled_from([0, 1e-6, -1e-6, 1e-3]),
    start=st.sampled_from([0, -180]),
    engine=st.sampled_from(list(ENGINES)),
)
def test_a_repeated_meridian_counts_once(size, off, start, engine):
    height, half, _ = size
    lat, lon = grid(height, 2 * half)
    around = np.append(lon, 360 + off) + start
    found = read(written(dataset(kelvin(lat, around), lat, around), engine=engine))
    np.testing.assert_allclose(found, kelvin(lat, lon), atol=1e-3)


@EXAMPLES
@given(
    size=SIZES,
    labels=st.sampled_from([None, [1, 5], [5, 1], ["0001", "0005"], ["0005", "0001"], [1.0, 5.0]]),
    seed=st.integers(0, 99),
)
def test_of_two_versions_the_whole_one_is_taken_and_the_final_one_first(size, labels, seed):
    height, width, times = size
    lat, lon = grid(height, width)
    final = kelvin(lat, lon, times)
    values = np.stack([final, final + 7], axis=1)  # The second is preliminary.
    given_ = np.random.default_rng(seed).integers(3, size=times)  # Both, only the final one, or only the other.
    values[given_ == 1, 1] = np.nan
    values[given_ == 2, 0] = np.nan
    coords = {} if labels is None else {"expver": labels}
    if labels and int(labels[0]) == 5:
        values = values[:, ::-1]
    path = written(dataset(values, lat, lon, ("time", "expver", "latitude", "longitude"), **coords))
    np.testing.assert_allclose(read(path), final + np.where(given_ == 2, 7, 0)[:, None, None], atol=1e-4)


@EXAMPLES
@given(
    size=SIZES,
    calendar=st.sampled_from(["noleap", "360_day", "julian", "no such calendar"]),
    units=st.sampled_from(["days since 1850-01-01", "months since 0000-00-00", "furlongs", "hours since the flood"]),
)
def test_times_need_not_be_understood(size, calendar, units):
    height, width, times = size
    lat, lon = grid(height, width)
    told = ("time", np.arange(times) * 1e9, {"units": units, "calendar": calendar, "_FillValue": -1.0})
    path = written(dataset(kelvin(lat, lon, times), lat, lon, time=told))
    np.testing.assert_allclose(read(path), kelvin(lat, lon, times), atol=1e-4)


@pytest.mark.parametrize(
    ("units", "of_kelvin"),
    [
        *((unit, lambda t: t) for unit in ("K", "kelvin", "Kelvins", "degK", "degrees_kelvin", "\u212a")),
        *(
            (unit, lambda t: t - 273.15)
            for unit in ("C", "degC", "°C", "ºC", "℃", "deg_C", "celsius", "degrees Celsius")
        ),
        *((unit, lambda t: t * 1.8 - 459.67) for unit in ("F", "degF", "°F", "Fahrenheit", "degree_Fahrenheit")),
    ],
)
def test_units_of_temperature(units, of_kelvin):
    lat, lon = grid(5, 8)
    path = written(dataset(of_kelvin(kelvin(lat, lon)), lat, lon, units=units))
    np.testing.assert_allclose(read(path), kelvin(lat, lon), atol=1e-4)


@pytest.mark.parametrize("units", ["1", "J", "degrees", "mK", "K s-1"])
def test_other_units_are_named(units):
    lat, lon = grid(5, 8)
    refused(written(dataset(kelvin(lat, lon), lat, lon, units=units)), f"is in '{units}'")


@pytest.mark.parametrize("units", ["radians", "rad", "1", "gon", "arcminute", "m"])
def test_grids_in_other_units_are_refused(units):
    lat, lon = grid(5, 8)
    made = dataset(kelvin(lat, lon), lat, lon)
    for name in ("latitude", "longitude"):
        told = made.copy(deep=True)
        told[name].attrs["units"] = units
        refused(written(told), f"'{name}' is in '{units}', not in degrees")
        told[name].attrs["units"] = f"degrees_{'north' if name == 'latitude' else 'east'}"
        assert read(written(told)).shape == (1, 5, 8)


@EXAMPLES
@given(
    size=SIZES,
    kind=st.sampled_from(["pole", "north", "row", "part", "column", "one meridian"]),
    unit=st.sampled_from([1, np.pi / 180, 60]),
)
def test_what_misses_a_part_of_the_globe_is_refused(size, kind, unit):
    """In degrees, or in other units of angle that nothing tells."""
    lat, lon = grid(size[0] + 4, size[1] + 2)
    rows, columns = np.ones(len(lat), bool), np.ones(len(lon), bool)
    if kind in ("pole", "north"):
        rows[-2 if kind == "pole" else len(lat) // 2 :] = False
    elif kind == "row":
        rows[len(lat) // 2] = False
    else:
        columns[{"part": slice(len(lon) // 2, None), "column": slice(2, 3), "one meridian": slice(1, None)}[kind]] = (
            False
        )
    lat, lon = lat[rows], lon[columns]
    refused(written(dataset(kelvin(lat, lon), lat * unit, lon * unit)), "does not cover the globe")


@EXAMPLES
@given(size=SIZES, seed=st.integers(0, 99), packed=st.booleans(), engine=st.sampled_from(list(ENGINES)))
def test_missing_values_are_refused(size, seed, packed, engine):
    height, width, times = size
    lat, lon = grid(height, width)
    values = kelvin(lat, lon, times)
    made = dataset(values, lat, lon)
    if packed:
        made["t2m"].encoding = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 273.0, "_FillValue": -32767}
    np.testing.assert_allclose(read(written(made, engine=engine)), kelvin(lat, lon, times), atol=0.01)
    values.flat[np.random.default_rng(seed).integers(values.size)] = np.nan
    refused(written(made, engine=engine), f"missing values: 1 of {values.size}")


@pytest.mark.parametrize("axis", ["level", "number", "height\x1b"])
def test_an_axis_too_many_is_named(axis):
    lat, lon = grid(5, 8)
    values = np.stack([kelvin(lat, lon, 3)] * 2, axis=1)
    refused(
        written(dataset(values, lat, lon, ("time", axis, "latitude", "longitude"))),
        f"an axis {axis!r} of 2 ".replace("\\", r"\\"),
    )


def test_only_what_is_needed_is_read(tmp_path):
    lat, lon = grid(10, 18)
    made = written(dataset(kelvin(lat, lon), lat, lon))
    with h5py.File(made, "a") as opened:
        opened.create_dataset("u10", (1024, 1024, 1024), "f4", chunks=(64, 64, 64))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in {"t2m": kelvin(lat, lon), "lat": lat, "lon": lon, "u10": np.zeros(1 << 25)}.items():
            with archive.open(f"{name}.npy", "w") as out:
                np.save(out, array)
    for path in (made, tmp_path / "a.npz"):
        MAPS.read(path)  # Imports are no part of what is measured.
        tracemalloc.start()
        MAPS.read(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 25


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"GRIB\0\0\0\2", "is GRIB"),
        (b"\x0e\x03\x13\x01\0\0", "is HDF4"),
        (b"\x1f\x8b\x08\0", "compressed by gzip"),
        (b"CDF\x05\0\0\0\0", "64-bit data"),
        (b"<html>", "neither NetCDF nor .npz"),
        (b"PK\x03\x04 cut", "may be cut or corrupt"),
        (b"\x89HDF\r\n\x1a\n cut", "may be cut or corrupt"),
    ],
)
def test_other_files_are_called_what_they_are(content, says, tmp_path):
    for name in ("a.nc", "b.npz", "C.NC"):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, says)


def test_an_archive_of_netcdf_is_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.nc", "w") as archive:
        archive.writestr("data.nc", b"CDF\x01")
    refused(tmp_path / "a.nc", "is a zip archive")
    refused(tmp_path / "absent.nc", "there is no file")
    refused(tmp_path, "a folder")


@EXAMPLES
@given(size=SIZES, kind=st.sampled_from(["scipy", "h5netcdf", "npz"]), share=st.floats(0, 1))
def test_a_cut_file_is_named_in_one_line(size, kind, share):
    lat, lon = grid(*size[:2])
    if kind == "npz":
        path = pathlib.Path(tempfile.mkdtemp()) / "a.npz"
        np.savez(path, temperature=kelvin(lat, lon), latitude=lat, longitude=lon)
    else:
        path = written(dataset(kelvin(lat, lon), lat, lon), engine=kind)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * (len(content) - 8))])
    refused(path, "cut or corrupt|empty|neither")


@pytest.fixture
def field_files() -> pathlib.Path:
    """Small files that the codec once answered wrongly; the test is skipped where they are not here."""
    beside = pathlib.Path(os.environ.get("MSCN_DATA_DIR") or ".").parent / "field_files"
    folder = pathlib.Path(os.environ.get("MSCN_FIELD_FILES", beside))
    if not (folder / "noleap.nc").is_file():
        pytest.skip("neither MSCN_FIELD_FILES nor a folder beside MSCN_DATA_DIR has the field's files")
    return folder


@pytest.mark.parametrize(
    "name", ["netcdf3_classic", "expver", "cyclic_longitude", "noleap", "square_lon_lat", "unwritten_variable"]
)
def test_files_of_the_field_are_read(field_files, name):
    maps = to_kelvin(MAPS.read(field_files / f"{name}.nc", 46))
    assert maps.shape == (2 if name == "expver" else 1, 46, 90, 1)
    # A map that is read by its names is warm at the equator and the same along each parallel's end and beginning.
    assert maps[:, 23].mean() > maps[:, [0, -1]].mean() + 5
    assert np.abs(maps[:, :, 0] - maps[:, :, -1]).max() < 10


@pytest.mark.parametrize(("name", "says"), [("region_only.nc", "does not cover the globe"), ("cut.npz", "may be cut")])
def test_files_of_the_field_are_refused(field_files, name, says):
    refused(field_files / name, says)
