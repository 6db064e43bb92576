"""Maps of near-surface temperature [T, H, W, 1] on a grid of the globe, in [0, 1], from the files that people have."""

import io
import pathlib

import numpy as np
from jaxtyping import Float

from mscn_flax.atomic import replaced
from mscn_flax.modalities import map_files
from mscn_flax.modalities.base import MAX_POINTS
from mscn_flax.modalities.grids import Grid

LOW_K, HIGH_K = 202.66, 320.93
"""Extremes of ERA5's 46 x 90 training set (COIN++'s code), which become 0 and 1 at every size and in every data set."""


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
        A file that misses a part of the globe, or values, is refused.

        Args:
          path: NetCDF 3 or 4 as the Copernicus store and climate models have it, or an .npz with temperature,
            latitude and longitude, as users of COIN++ have it. See `map_files`.
          side: latitudes.
        """
        with map_files.opened(path) as field:
            shape = (len(field.lat), len(field.lon)) if side is None else self.shape(side)
            if len(field) * shape[0] * shape[1] > MAX_POINTS:
                raise ValueError(f"{path} has {len(field)} maps, which are more than {MAX_POINTS} points")
            blocks = [_on_grid(kelvin, field.lat, field.lon, shape).astype(np.float32) for kelvin in field.blocks()]
        return to_unit(np.concatenate(blocks))[..., None]

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

            index = ("time", np.arange(len(kelvin)), {"long_name": "index of the map: a stream holds no times"})
            coords = {"time": index, "latitude": lat, "longitude": lon}
            told = {"units": "K", "long_name": "2 metre temperature"}
            maps = xarray.DataArray(kelvin, coords, ("time", "latitude", "longitude"), attrs=told)
            maps.to_dataset(name="t2m").to_netcdf(buffer, engine="h5netcdf")
        with replaced(path, "wb") as out:
            out.write(buffer.getvalue())

    def errors(self, signal: np.ndarray, decoded: np.ndarray) -> dict[str, float]:
        kelvin = to_kelvin(decoded) - to_kelvin(signal)
        return {"rmse_k": float(np.sqrt(np.mean(np.square(kelvin)))), "largest_error_k": float(np.abs(kelvin).max())}

    def described(self, errors: dict[str, float]) -> str:
        return f"RMSE {errors['rmse_k']:.2f} K, largest error {errors['largest_error_k']:.2f} K"


def _on_grid(
    kelvin: Float[np.ndarray, "T h w"], lat: np.ndarray, lon: np.ndarray, shape: tuple[int, int]
) -> Float[np.ndarray, "T H W"]:
    """Maps on our grid, from latitudes that fall and longitudes that rise."""
    # Longitudes go on around the globe.
    lon = np.concatenate([lon[-1:] - 360, lon, lon[:1] + 360])
    around = np.pad(kelvin, ((0, 0), (0, 0), (1, 1)), mode="wrap")
    north, east = latitudes(shape[0]), longitudes(shape[1])
    rows, columns = _nearest(-lat, -north), _nearest(lon, east)
    if max(np.abs(lat[rows] - north).max(), np.abs(lon[columns] - east).max()) < 1e-3:
        return around[:, rows[:, None], columns]
    import scipy.interpolate  # Takes a third of a second; only maps on other grids need it.

    # Beyond the last latitude the map ends, and its last row stands for the pole.
    at = np.stack(np.meshgrid(np.clip(-north, -lat[0], -lat[-1]), east, indexing="ij"), axis=-1)
    return np.stack([scipy.interpolate.RegularGridInterpolator((-lat, lon), each)(at) for each in around])


def _nearest(rising: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Index of the number next to each wanted one."""
    return np.searchsorted((rising[1:] + rising[:-1]) / 2, wanted)


MAPS = Maps()
