"""The latitudes and longitudes of a file's maps: in which order they cover the whole globe, or why they do not."""

import pathlib

import numpy as np

_HOLE = 1.9
"""Steps of a grid further apart than this many usual ones have something missing between them."""


def rows(path: pathlib.Path, lat: np.ndarray) -> np.ndarray:
    """Order of the latitudes from the north.

    Args:
      path: named where they do not cover the globe.
      lat: in degrees north, in any order.

    Raises:
      ValueError: unless they are within one step of both poles, without a hole.
    """
    order = np.argsort(-lat, kind="stable")
    gaps = -np.diff(lat[order])
    inside = len(lat) > 1 and np.isfinite(lat).all() and np.abs(lat).max() < 90.01
    if not inside or gaps.min() <= 0 or gaps.max() > _HOLE * _usual(gaps):
        raise ValueError(f"{path} does not cover the globe: {_ends(lat)} are no latitudes in degrees, step by step")
    if 90 - lat.max() > 1.01 * gaps[0] or 90 + lat.min() > 1.01 * gaps[-1]:
        raise ValueError(f"{path} does not cover the globe: its latitudes, {_ends(lat)} degrees, miss a pole")
    return order


def columns(path: pathlib.Path, lon: np.ndarray) -> np.ndarray:
    """Order of the longitudes from Greenwich, each meridian once.

    Args:
      path: named where they do not cover the globe.
      lon: in degrees east, in any order and from any meridian.

    Raises:
      ValueError: unless they go around, without a hole.
    """
    if not np.isfinite(lon).all():
        raise ValueError(f"{path} has longitudes that are not finite")
    order = np.argsort(lon % 360, kind="stable")
    gaps = _around(lon[order])
    order = order[gaps > 0.05 * _usual(gaps[gaps > 0])] if len(order) > 1 else order
    gaps = _around(lon[order])
    if len(order) < 2 or gaps.max() > _HOLE * _usual(gaps):
        raise ValueError(f"{path} does not cover the globe: its longitudes, {_ends(lon)} degrees, do not go around it")
    return order


def _around(lon: np.ndarray) -> np.ndarray:
    """Degrees from each longitude to the next; from the last to the first."""
    east = lon % 360
    return np.diff(east, append=east[:1] + 360)


def _usual(gaps: np.ndarray) -> float:
    """The median, of an even number of gaps the smaller of the two in the middle: a region has two unlike gaps."""
    return float(np.percentile(gaps, 50, method="lower"))


def _ends(line: np.ndarray) -> str:
    """The smallest and the largest number of an axis."""
    return f"{line.min():.6g} to {line.max():.6g}" if line.size else "no numbers"
