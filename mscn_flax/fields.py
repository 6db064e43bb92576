"""Maps of near-surface temperature: reading the files people have, and bringing them to one grid."""

import io
import pathlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from mscn_flax import signals
from mscn_flax.atomic import replaced

LOW_K, HIGH_K = 202.66, 320.93
"""Extremes of ERA5's 46 x 90 training set (COIN++'s code), which become 0 and 1 at every size and in every data set."""

READABLE = (".nc", ".npz")

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


def read(path: pathlib.Path, shape: tuple[int, int] | None = None) -> Iterator[Float[np.ndarray, "H W"]]:
    """The maps of a file in kelvin, on the grid of `signals.sphere_coordinates`.

    Args:
      path: NetCDF as the Copernicus store delivers it, or an .npz with temperature, latitude and longitude, as users of
        COIN++ have it; one map, or several along a first axis.
      shape: of the grid, to which maps are brought: exactly where it is a part of theirs, by bilinear interpolation
        otherwise. None: the shape they have, if their grid is one with both poles.

    Raises:
      ValueError: in one line, for a file that is not that.
    """
    kelvin, lat, lon = _arrays(path)
    if kelvin.ndim == 2:
        kelvin = kelvin[None]
    if kelvin.ndim != 3 or kelvin.shape[1:] != (len(lat), len(lon)):
        raise ValueError(f"{path} has temperatures of shape {kelvin.shape} for {len(lat)} x {len(lon)} points")
    if not np.isfinite(kelvin).all() or kelvin.min() < 100 or kelvin.max() > 400:
        raise ValueError(f"{path} has temperatures that are not finite numbers of kelvin between 100 and 400")
    rows, columns = np.argsort(-lat), np.argsort(lon % 360)
    lat, lon, kelvin = lat[rows], (lon % 360)[columns], kelvin[:, rows][:, :, columns]
    shape = shape or (len(lat), len(lon))
    for field in kelvin:
        yield _on_grid(field, lat, lon, shape).astype(np.float32)


def write(path: pathlib.Path, kelvin: Float[np.ndarray, "T H W"]) -> None:
    """Writes maps on our grid as NetCDF or .npz that `read` reads, atomically.

    Raises:
      ValueError: for another ending.
    """
    lat, lon = signals.latitudes(kelvin.shape[1]), signals.longitudes(kelvin.shape[2])
    buffer = io.BytesIO()
    if path.suffix == ".nc":
        import xarray

        maps = xarray.DataArray(
            kelvin.astype(np.float32),
            dims=("time", "latitude", "longitude"),
            coords={"time": np.arange(len(kelvin)), "latitude": lat, "longitude": lon},
            attrs={"units": "K", "long_name": "2 metre temperature"},
        )
        maps.to_dataset(name="t2m").to_netcdf(buffer, engine="h5netcdf")
    elif path.suffix == ".npz":
        np.savez(buffer, temperature=kelvin.astype(np.float32), latitude=lat, longitude=lon)
    else:
        raise ValueError(f"{path} must end in one of {', '.join(READABLE)}")
    with replaced(path, "wb") as out:
        out.write(buffer.getvalue())


def _arrays(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Temperatures, latitudes and longitudes of a file."""
    try:
        if path.suffix == ".nc":
            import xarray  # Takes a second; only these files need it.

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


def _on_grid(field: np.ndarray, lat: np.ndarray, lon: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map with falling latitudes and rising longitudes on our grid."""
    wanted = signals.latitudes(shape[0]), signals.longitudes(shape[1])
    picked = [
        np.abs(have[None, :] - want[:, None]).argmin(axis=1) for have, want in zip((lat, lon), wanted, strict=True)
    ]
    if all(
        np.allclose(have[index], want, atol=1e-3) for have, index, want in zip((lat, lon), picked, wanted, strict=True)
    ):
        return field[np.ix_(*picked)]
    import scipy.interpolate  # Takes a third of a second; only maps on other grids need it.

    # Longitudes go on around the globe; beyond the last latitude the map ends, and its last row stands for the pole.
    lon = np.concatenate([lon[-1:] - 360, lon, lon[:1] + 360])
    field = np.concatenate([field[:, -1:], field, field[:, :1]], axis=1)
    interpolate = scipy.interpolate.RegularGridInterpolator((-lat, lon), field)
    at = np.stack(np.meshgrid(np.clip(-wanted[0], -lat[0], -lat[-1]), wanted[1], indexing="ij"), axis=-1)
    return interpolate(at)


def random_field(rng: np.random.Generator, shape: tuple[int, int], degree: int = 24) -> Float[np.ndarray, "H W"]:
    """A made-up map in kelvin: a zonal mean and a Gaussian random field of known power spectrum on the sphere.

    The zonal mean is 301 K - 42 K sin(lat)^2, shifted by a random season; the field is a sum of real spherical
    harmonics up to `degree`, whose coefficients of degree l have the variance C_l = 60 K^2 / (2 l + 1) (l + 1)^-2.
    """
    lat, lon = np.radians(signals.latitudes(shape[0])), np.radians(signals.longitudes(shape[1]))
    field = np.zeros(shape)
    for order in range(degree + 1):
        legendre = _legendre(order, degree, np.sin(lat))
        degrees = np.arange(order, degree + 1)
        spread = np.sqrt(60 / (2 * degrees + 1)) / (degrees + 1)
        # For order 0 the sine vanishes; the others have sqrt(2) for a real basis.
        a, b = rng.normal(size=(2, len(degrees))) * spread * np.sqrt(4 * np.pi * (2 if order else 1))
        field += (a @ legendre)[:, None] * np.cos(order * lon) + (b @ legendre)[:, None] * np.sin(order * lon)
    season = np.radians(12) * np.sin(rng.uniform(0, 2 * np.pi))
    return 301 - 42 * np.sin(lat - season)[:, None] ** 2 + field


def _legendre(order: int, degree: int, x: np.ndarray) -> Float[np.ndarray, "D H"]:
    """Associated Legendre functions of one order and the degrees up to `degree`, orthonormal on the sphere.

    The usual stable recurrence in the degree.
    """
    s = np.sqrt(1 - x * x)
    first = np.full_like(x, np.sqrt(1 / (4 * np.pi)))
    for m in range(1, order + 1):
        first = first * np.sqrt((2 * m + 1) / (2 * m)) * s
    rows = [first]
    for n in range(order + 1, degree + 1):
        a = np.sqrt((4 * n * n - 1) / (n * n - order * order))
        before = 0.0
        if n > order + 1:
            b = np.sqrt(((n - 1) ** 2 - order * order) / (4 * (n - 1) ** 2 - 1))
            before = b * rows[-2]
        rows.append(a * (x * rows[-1] - before))
    return np.stack(rows)
