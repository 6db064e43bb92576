"""Files of maps of temperature, as weather services, climate models and users of COIN++ have them.

The first bytes tell what a file is, names tell its axes, attributes its units. Only the temperatures, their latitudes
and longitudes are read; times are not decoded, so that their calendar does not matter.
"""

import contextlib
import dataclasses
import pathlib
import re
import sys
import traceback
import unicodedata
import warnings
import zipfile
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float

from mscn_flax.inputs import check_file
from mscn_flax.modalities import map_axes
from mscn_flax.modalities.base import MAX_POINTS

_ENGINES = {
    b"CDF\x01": {"engine": "scipy"},
    b"CDF\x02": {"engine": "scipy"},
    b"\x89HDF\r\n\x1a\n": {"engine": "h5netcdf", "phony_dims": "access"},
}
"""First bytes of NetCDF 3 and 4 -> what xarray opens them with."""

# What such files often are instead.
_OTHERS = {
    b"CDF\x05": "NetCDF with 64-bit data; convert it by `nccopy -k nc4`",
    b"GRIB": "GRIB; convert it to NetCDF",
    b"\x0e\x03\x13\x01": "HDF4; convert it to NetCDF",
    b"PK": "a zip archive; unpack it",
    b"\x1f\x8b": "compressed by gzip; unpack it",
}

_NAMES = {
    "temperature": ("t2m", "2t", "tas", "temperature", "t2m_k", "tas_k", "trefht", "air"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon"),
}
"""Names of the variables, in capitals or not."""

_TIMES = ("t", "date", "day", "hour", "month", "season", "step", "year")
"""Names of axes of time, besides all with `time` in them."""

_TO_KELVIN = {
    **dict.fromkeys(("k", "kelvin", "kelvins"), (1.0, 0.0)),
    **dict.fromkeys(("c", "celsius", "centigrade"), (1.0, 273.15)),
    **dict.fromkeys(("f", "fahrenheit"), (5 / 9, 459.67 * 5 / 9)),
}
"""Units of temperature without their `degrees` -> factor and offset."""

_DEGREES = re.compile(r"°|deg(ree)?s?([ _]?(north|east|n|e|true))?")

_BLOCK = 1 << 24
"""Values that are read at once, where a single map has not more."""


@dataclasses.dataclass(frozen=True)
class Field:
    """Maps of the globe in an open file.

    Attributes:
      path: of the file.
      variable: temperatures as the file has them, an xarray.Variable or DataArray that is not yet read.
      axes: names of its axes of time, `expver`, latitude and longitude, the first two None where there are none.
      experiments: indices along `expver`, those preferred first.
      lat: degrees north, northernmost first.
      lon: degrees east in [0, 360), westernmost first, no meridian twice.
      rows: where these latitudes are in the file.
      columns: where these longitudes are in the file.
      scale: factor and offset from the file's unit to kelvin.
    """

    path: pathlib.Path
    variable: object
    axes: tuple[str | None, str | None, str, str]
    experiments: list[int]
    lat: Float[np.ndarray, " H"]
    lon: Float[np.ndarray, " W"]
    rows: np.ndarray
    columns: np.ndarray
    scale: tuple[float, float]

    def __len__(self) -> int:
        """How many maps there are."""
        time = self.axes[0]
        return 1 if time is None else self.variable.sizes[time]

    def blocks(self) -> Iterator[Float[np.ndarray, "t H W"]]:
        """All maps in kelvin, some at a time.

        Raises:
          ValueError: for values that are missing, or no temperatures near the ground.
        """
        time, count = self.axes[0], max(1, _BLOCK * len(self) // max(1, self.variable.size))
        for start in range(0, len(self), count):
            with _reading(self.path):
                part = self.variable if time is None else self.variable.isel({time: slice(start, start + count)})
                kelvin = self._merged(part) * self.scale[0] + self.scale[1]
            missing = np.count_nonzero(~np.isfinite(kelvin))
            if missing:
                raise ValueError(f"{self.path} has missing values: {missing:,} of {kelvin.size:,} points")
            low, high = kelvin.min(), kelvin.max()
            if low < 100 or high > 400:
                raise ValueError(f"{self.path} has temperatures of {low:.5g} to {high:.5g} K, not 100 to 400 K")
            yield kelvin

    def _merged(self, part) -> Float[np.ndarray, "t H W"]:
        """Maps [T, H, W] on the sorted grid; for each time of the first experiment that has a whole map."""
        time, experiment, *grid = self.axes
        values = part.transpose(*filter(None, (time, experiment)), *grid).values.astype(np.float64)
        values = values.reshape(-1, len(self.experiments), *values.shape[-2:])
        values = values[:, self.experiments][..., self.rows[:, None], self.columns]
        chosen = np.isfinite(values).all(axis=(2, 3)).argmax(axis=1)
        return values[np.arange(len(values)), chosen]


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[Field]:
    """The maps of a file, open as long as the context is.

    Raises:
      ValueError: for a file that has no maps of temperature on a regular grid of the whole globe.
    """
    check_file(path)
    with contextlib.ExitStack() as stack:
        with _reading(path):
            with path.open("rb") as file:
                head = file.read(8)
            engine = next((_ENGINES[magic] for magic in _ENGINES if head.startswith(magic)), None)
            if engine is not None:
                import xarray  # Takes a second.

                dataset = xarray.open_dataset(path, decode_cf=False, create_default_indexes=False, **engine)
                variables = stack.enter_context(dataset).variables
            elif head.startswith(b"PK") and _is_npz(path):
                variables = stack.enter_context(np.load(path))
            else:
                variables = None
        if variables is None:
            other = next((_OTHERS[magic] for magic in _OTHERS if head.startswith(magic)), "neither NetCDF nor .npz")
            raise ValueError(f"{path} is {other if head else 'empty'}")
        names = [_found(path, what, variables) for what in _NAMES]
        if engine is None:
            with _reading(path):
                variables = _with_axes(variables, names)
        yield _field(path, variables, *names)


def _field(path: pathlib.Path, variables: Mapping, temperature: str, latitude: str, longitude: str) -> Field:
    """The field of some xarray.Variables, whose temperatures are not read yet."""
    maps, lines = variables[temperature], [variables[name] for name in (latitude, longitude)]
    grid = [line.dims[0] if line.ndim == 1 else "" for line in lines]
    if not set(grid) <= set(maps.dims) or grid[0] == grid[1]:
        shapes = f"{lines[0].shape} and {lines[1].shape}"
        raise ValueError(f"{path}: {latitude!r} and {longitude!r} of {shapes} are no axes of {temperature!r}")
    maps = maps.isel({name: 0 for name, extent in maps.sizes.items() if extent == 1 and name not in grid})
    others = [name for name in maps.dims if name not in grid]
    time = next((name for name in others if _is_time(name, variables)), None)
    experiment = next((name for name in others if name.lower() == "expver"), None)
    for name in others:
        if name not in (time, experiment):
            says = f"an axis {name!r} of {maps.sizes[name]} besides time, latitude and longitude"
            raise ValueError(f"{path}: {temperature!r} has {says}; choose one")
    if not maps.size or maps.size > MAX_POINTS * maps.sizes.get(time, 1):
        raise ValueError(f"{path}: {temperature!r} of shape {maps.shape} holds no points, or too many")
    with _reading(path):
        count = maps.sizes.get(experiment, 1)
        labels = _decoded(variables[experiment]).values.tolist() if experiment in variables else [*range(count)]
        experiments = _preferred(labels)
        lat, lon = (_decoded(line).values.astype(np.float64) for line in lines)
        read = _decoded(maps)
    for name, line in zip((latitude, longitude), lines, strict=True):
        unit = str(line.attrs.get("units", "degrees")).strip()
        if not _DEGREES.fullmatch(unit.lower()):
            raise ValueError(f"{path}: {name!r} is in {unit!r}, not in degrees north and east")
    rows, columns = map_axes.rows(path, lat), map_axes.columns(path, lon)
    scale = _scale(path, temperature, maps.attrs.get("units", "K"))
    axes = (time, experiment, *grid)
    return Field(path, read, axes, experiments, lat[rows], lon[columns] % 360, rows, columns, scale)


@contextlib.contextmanager
def _reading(path: pathlib.Path) -> Iterator[None]:
    """Names the file in whatever its library raises."""
    hook = sys.unraisablehook
    with warnings.catch_warnings(action="ignore"):
        try:
            yield
        except Exception as error:  # zipfile, h5py and scipy raise whatever their parsers do.
            says = next(iter(str(error).splitlines()), "") or type(error).__name__
            # What they half opened is closed here and now, and what that has to complain about is not printed.
            sys.unraisablehook = lambda _: None
            traceback.clear_frames(error.__traceback__)
            raise ValueError(f"{path} cannot be read, it may be cut or corrupt: {says}") from None
        finally:
            sys.unraisablehook = hook


def _is_npz(path: pathlib.Path) -> bool:
    """Whether all that a zip archive holds are arrays."""
    with zipfile.ZipFile(path) as archive:
        return all(name.endswith(".npy") for name in archive.namelist())


def _found(path: pathlib.Path, what: str, variables) -> str:
    """The name that a file has for a variable."""
    found = next((name for known in _NAMES[what] for name in variables if name.lower() == known), None)
    if found is None:
        there = ", ".join(map(repr, list(variables)[:20])) or "it"
        raise ValueError(f"{path} has no {what}: none of {', '.join(_NAMES[what])} is in {there}")
    return found


def _with_axes(arrays: np.lib.npyio.NpzFile, names: list[str]) -> dict:
    """The arrays of an .npz, whose axes have no names: latitude and longitude come last."""
    import xarray  # Takes a second.

    if sum(arrays.zip.getinfo(f"{name}.npy").file_size for name in names) > 8 * MAX_POINTS:
        raise ValueError(f"it holds more than {8 * MAX_POINTS} bytes of temperatures")
    temperature, lat, lon = (arrays[name] for name in names)
    shape = tuple(extent for extent in temperature.shape if extent != 1)
    if lat.ndim != 1 or lon.ndim != 1 or shape[-2:] != (lat.size, lon.size) or len(shape) > 3:
        raise ValueError(f"temperatures of shape {temperature.shape} for {lat.shape} latitudes, {lon.shape} longitudes")
    dims = ("time", "latitude", "longitude")[-len(shape) :]
    described = ((dims, temperature.reshape(shape)), ("latitude", lat), ("longitude", lon))
    return {name: xarray.Variable(*each) for name, each in zip(names, described, strict=True)}


def _decoded(variable):
    """An xarray.Variable with what is packed unpacked and NaN for what is missing, read when it is asked for."""
    import xarray  # Takes a second.

    return xarray.conventions.decode_cf_variable("", variable, decode_times=False, decode_timedelta=False)


def _is_time(axis: str, variables: Mapping) -> bool:
    """Whether an axis is one of time."""
    named = "time" in axis.lower() or axis.lower() in _TIMES
    return named or (axis in variables and " since " in str(variables[axis].attrs.get("units", "")))


def _preferred(labels: list) -> list[int]:
    """Indices of versions of an experiment, the smallest number first: final before preliminary data."""
    told = [label.decode() if isinstance(label, bytes) else str(label) for label in labels]
    return sorted(range(len(told)), key=lambda index: told[index].zfill(16))


def _scale(path: pathlib.Path, name: str, unit: object) -> tuple[float, float]:
    """Factor and offset from a unit to kelvin."""
    plain = re.sub("[^a-z0-9*/^-]", "", unicodedata.normalize("NFKC", str(unit).replace("º", "")).lower())
    plain = re.sub("^deg(ree)?s?", "", plain)
    if plain not in _TO_KELVIN:
        raise ValueError(f"{path}: {name!r} is in {str(unit)!r}, not in kelvin, degrees Celsius or Fahrenheit")
    return _TO_KELVIN[plain]
