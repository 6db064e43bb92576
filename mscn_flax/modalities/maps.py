"""Maps of near-surface temperature [T, H, W, 1] on a grid of the globe, in [0, 1], from the files that people have."""

import io
import pathlib

import numpy as np
from jaxtyping import Float

from mscn_flax.atomic import replaced
from mscn_flax.modalities.grids import Grid

LOW_K, HIGH_K = 202.66, 320.93
"""Extremes of ERA5's 46 x 90 training set (COIN++'s code), which become 0 and 1 at every size and in every data set."""

_NAMES = {
    "temperature": ("t2m", "temperature", "tas", "t2m_K", "tas_K"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon"),
}


def to_unit(kelvin: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Kelvin -> [0, 1] within the extremes, float32."""
    return ((kelvin - LOW_K) / (HIGH_K - LOW_K)).astype(np.float32)


def to_kelvin(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """The inverse of `to_unit`."""
    return LOW_K + (HIGH_K - LOW_K) * values


def latitudes(height: int) -> Float[np.ndarray, " H"]:
    """Degrees north of a map's rows: 90 to -90, both poles included."""
    return np.linspace(90, -90, height)


def longitudes(width: int) -> Float[np.ndarray, " W"]:
    """Degrees east of a map's columns: 0 to 360 (1 - 1 / W)."""
    return np.arange(width) * (360 / width)


def sphere_coordinates(shape: tuple[int, int]) -> Float[np.ndarray, "N 3"]:
    """Points of the unit sphere at a grid of latitudes and longitudes, row by row from the north pole.

    x = cos(lat) cos(lon), y = cos(lat) sin(lon), z = sin(lat): the grid of the Copernicus store and of COIN++'s code.

    Raises:
      ValueError: where there are fewer than two latitudes or no longitude.
    """
    height, width = shape
    if height < 2 or width < 1:
        raise ValueError(f"a map of the globe needs at least 2 x 1 points, got {height} x {width}")
    lat, lon = np.meshgrid(np.radians(latitudes(height)), np.radians(longitudes(width)), indexing="ij")
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    return points.reshape(-1, 3).astype(np.float32)


class Maps(Grid):
    """Temperature on the globe. A signal of the codec is one map [H, W, 1], or several, which have a code each."""

    name, noun, part, point, rate = "map", "map of the globe", "map of the globe", "points", "bits per value"
    dims = 3
    several = True
    readable = writable = (".nc", ".npz")

    def shape(self, side: int) -> tuple[int, int]:
        """181 -> 181 x 360, 46 -> 46 x 90: rows are as far apart as columns at the equator."""
        return side, 2 * (side - 1)

    def coordinates(self, shape: tuple[int, int]) -> Float[np.ndarray, "N 3"]:
        return sphere_coordinates(shape)

    def measured(self, values: np.ndarray, targets: np.ndarray, side: int) -> dict[str, float]:
        """PSNR of squared errors weighted by the cosine of the latitude: by the area that a point stands for."""
        height, width = self.shape(side)
        weights = np.repeat(np.cos(np.radians(latitudes(height))), width)
        error = np.average(np.mean(np.square(values - targets, dtype=np.float64), axis=1), weights=weights)
        return {"psnr_weighted_db": -10 * np.log10(error)}

    def describe(self, height: int, width: int, parts: int) -> str:
        return f"{parts} maps of {height}x{width} points"

    def points(self, height: int, width: int, parts: int) -> int:
        return parts * height * width

    def read(self, path: pathlib.Path, side: int | None = None) -> Float[np.ndarray, "T H W 1"]:
        """The maps of a file, one or several along a first axis.

        They are brought to the grid of `side` latitudes: exactly where it is a part of theirs, by bilinear
        interpolation otherwise. Where no side is given, they keep their shape, if their grid has both poles.

        Args:
          path: NetCDF as the Copernicus store delivers it, or an .npz with temperature, latitude and longitude, as
            users of COIN++ have it.
          side: latitudes.
        """
        kelvin, lat, lon = _arrays(path)
        if kelvin.ndim == 2:
            kelvin = kelvin[None]
        if kelvin.ndim != 3 or kelvin.shape[1:] != (len(lat), len(lon)):
            raise ValueError(f"{path} has temperatures of shape {kelvin.shape} for {len(lat)} x {len(lon)} points")
        if not np.isfinite(kelvin).all() or kelvin.min() < 100 or kelvin.max() > 400:
            raise ValueError(f"{path} has temperatures that are not finite numbers of kelvin between 100 and 400")
        shape = kelvin.shape[1:] if side is None else self.shape(side)
        return to_unit(_on_grid(kelvin, lat, lon, shape).astype(np.float32))[..., None]

    def write(self, path: pathlib.Path, signal: Float[np.ndarray, "T H W 1"]) -> None:
        """NetCDF or .npz in kelvin, as `read` reads it."""
        self.check_writable(path)
        kelvin = to_kelvin(signal[..., 0]).astype(np.float32)
        lat, lon = latitudes(kelvin.shape[1]), longitudes(kelvin.shape[2])
        buffer = io.BytesIO()
        if path.suffix.lower() == ".npz":
            np.savez(buffer, temperature=kelvin, latitude=lat, longitude=lon)
        else:
            import xarray  # Takes a second.

            coords = {"time": np.arange(len(kelvin)), "latitude": lat, "longitude": lon}
            told = {"units": "K", "long_name": "2 metre temperature"}
            maps = xarray.DataArray(kelvin, coords, ("time", "latitude", "longitude"), attrs=told)
            maps.to_dataset(name="t2m").to_netcdf(buffer, engine="h5netcdf")
        with replaced(path, "wb") as out:
            out.write(buffer.getvalue())

    def error(self, signal: np.ndarray, decoded: np.ndarray) -> str:
        kelvin = to_kelvin(decoded) - to_kelvin(signal)
        return f"RMSE {np.sqrt(np.mean(np.square(kelvin))):.2f} K, largest error {np.abs(kelvin).max():.2f} K"


def _arrays(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Temperatures, latitudes and longitudes of a file."""
    try:
        if path.suffix == ".nc":
            import xarray  # Takes a second.

            with xarray.open_dataset(path, engine="h5netcdf") as opened:
                found = {name: opened[name].values for name in opened.variables}
        else:
            with np.load(path) as opened:
                found = {name: opened[name] for name in opened.files}
    except FileNotFoundError as error:
        raise ValueError(f"there is no file {path}") from error
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as {path.suffix[1:]}: {error}".splitlines()[0]) from error
    arrays = []
    for what, names in _NAMES.items():
        name = next((name for name in names if name in found), None)
        if name is None:
            raise ValueError(f"{path} has no {what}: none of {', '.join(names)} is in {', '.join(found) or 'it'}")
        arrays.append(np.asarray(found[name], np.float64))
    return tuple(arrays)


def _on_grid(kelvin: np.ndarray, lat: np.ndarray, lon: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Maps [T, H, W] on our grid."""
    import xarray  # Takes a second.

    maps = xarray.DataArray(kelvin, {"lat": lat, "lon": lon % 360}, ("time", "lat", "lon"))
    maps = maps.sortby("lat", ascending=False).sortby("lon")
    wanted = {"lat": latitudes(shape[0]), "lon": longitudes(shape[1])}
    try:
        return maps.sel(wanted, method="nearest", tolerance=1e-3).values
    except KeyError:
        import scipy.interpolate  # Takes a third of a second; only maps on other grids need it.

    # Longitudes go on around the globe; beyond the last latitude the map ends, and its last row stands for the pole.
    lat, lon = maps["lat"].values, maps["lon"].values
    lon = np.concatenate([lon[-1:] - 360, lon, lon[:1] + 360])
    at = np.stack(np.meshgrid(np.clip(-wanted["lat"], -lat[0], -lat[-1]), wanted["lon"], indexing="ij"), axis=-1)
    around = np.pad(maps.values, ((0, 0), (0, 0), (1, 1)), mode="wrap")
    return np.stack([scipy.interpolate.RegularGridInterpolator((-lat, lon), each)(at) for each in around])


MAPS = Maps()
