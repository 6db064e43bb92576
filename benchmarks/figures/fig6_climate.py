"""Figure 6: errors of temperature on the globe, flat and on the sphere, and two turning globes (GIF)."""

import pathlib

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image

from benchmarks.figures import style, values
from mscn_flax.modalities.maps import to_kelvin

FRAMES = 36
"""Pictures of a turn of the globe."""


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes a figure and the GIFs of each data set of maps whose values were kept; returns the files."""
    written = []
    for kept in values.kept(results, preset, "original"):
        original = kept.load("original")
        shape = None if original.dtype == np.uint8 or original.ndim != 3 else grid(original.shape[1])
        if shape is None:
            continue
        name = f"{kept.dataset}_{kept.source}"
        maps = to_kelvin(original[0].astype(float).reshape(shape))
        errors = {
            (method, budget): to_kelvin(found[0].astype(float).reshape(shape)) - maps
            for method in values.METHODS
            for budget in kept.budgets
            if (found := kept.load(f"{method}_{budget}")) is not None
        }
        limit = max(np.quantile(np.abs(error), 0.995) for error in errors.values())
        written += style.save(_figure(kept, maps, errors, limit, preset), plots / preset, f"fig6_climate_{name}")
        for method in values.METHODS:
            if (error := errors.get((method, kept.budgets[-1]))) is not None:
                path = plots / preset / f"fig6_climate_{name}_{method}.gif"
                _turning(error, limit, path)
                written.append(path)
    return written


def grid(points: int) -> tuple[int, int] | None:
    """Latitudes and longitudes of a map of so many points, twice as many intervals around as from pole to pole."""
    height = round((1 + (1 + 2 * points) ** 0.5) / 2)
    return (height, 2 * (height - 1)) if 2 * height * (height - 1) == points else None


def globe(field: np.ndarray, longitude: float, latitude: float = 20.0, pixels: int = 160) -> np.ndarray:
    """A map [H, W] as seen from far away above a place in degrees, [pixels, pixels]; NaN beside the globe."""
    height, width = field.shape
    x, y = np.meshgrid(np.linspace(-1.02, 1.02, pixels), np.linspace(1.02, -1.02, pixels))
    z = np.sqrt(np.maximum(1 - x * x - y * y, 0))
    tilt = np.radians(latitude)
    up, out = y * np.cos(tilt) + z * np.sin(tilt), z * np.cos(tilt) - y * np.sin(tilt)
    lat, lon = np.degrees(np.arcsin(np.clip(up, -1, 1))), longitude + np.degrees(np.arctan2(x, out))
    rows = np.rint((90 - lat) / 180 * (height - 1)).astype(int)
    columns = np.rint((lon % 360) / 360 * width).astype(int) % width
    return np.where(x * x + y * y <= 1, field[rows, columns], np.nan)


def _figure(kept: values.Kept, maps: np.ndarray, errors: dict, limit: float, preset: str) -> plt.Figure:
    budgets = kept.budgets
    figure, axes = plt.subplots(
        2 * len(values.METHODS),
        len(budgets) + 1,
        figsize=(2.3 * (len(budgets) + 1), 1.45 * 2 * len(values.METHODS) + 0.8),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat:
        axis.set_axis_off()
    extent = (0, 360, -90, 90)
    temperature = axes[0][0].imshow(maps, cmap="viridis", extent=extent, interpolation="nearest")
    axes[0][0].set_title("temperature, original")
    axes[1][0].imshow(globe(maps, 20.0), cmap="viridis", vmin=maps.min(), vmax=maps.max(), interpolation="nearest")
    scales = [axes[2][0].inset_axes([0.1, place, 0.8, 0.1]) for place in (0.75, 0.05)]
    figure.colorbar(temperature, cax=scales[0], label="2 m temperature (K)", orientation="horizontal")
    look = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "interpolation": "nearest"}
    shown = None
    for row, method in enumerate(values.METHODS):
        for column, budget in enumerate(budgets, start=1):
            if (error := errors.get((method, budget))) is None:
                continue
            flat, ball = axes[2 * row][column], axes[2 * row + 1][column]
            shown = flat.imshow(error, extent=extent, **look)
            ball.imshow(globe(error, 20.0), **look)
            rmse = np.sqrt(np.mean(error**2))
            flat.set_title(f"{style.METHOD_NAMES[method]}, {budget} modulations\nRMSE {rmse:.2f} K", fontsize=8)
    if shown is not None:
        figure.colorbar(shown, cax=scales[1], label="error (K)", orientation="horizontal")
    figure.suptitle(kept.title(preset), fontsize=9)
    return figure


def _turning(error: np.ndarray, limit: float, path: pathlib.Path) -> None:
    """A globe of errors that turns once."""
    colours = plt.get_cmap("RdBu_r")
    frames = []
    for longitude in np.arange(FRAMES) * 360 / FRAMES:
        seen = globe(error, longitude, pixels=200)
        rgb = colours((seen + limit) / (2 * limit))[..., :3]
        rgb[np.isnan(seen)] = 1
        frames.append(PIL.Image.fromarray((255 * rgb).astype(np.uint8)))
    style.save_film(frames, path)
