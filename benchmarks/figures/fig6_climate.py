"""Figure 6: temperature on the globe and its errors, flat and on the sphere, and turning globes of errors (GIF)."""

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image

from benchmarks.figures import style, values
from benchmarks.figures.results import Drawn, Results
from mscn_flax.modalities.maps import to_kelvin

FRAMES = 36
"""Pictures per turn of the globe."""


def draw(results: Results) -> Drawn:
    """A figure and one GIF per method for each data set of maps whose values were kept."""
    drawn = {}
    for kept, original in values.kept(results):
        shape = None if original.dtype == np.uint8 or original.ndim != 3 else grid(original.shape[1])
        if shape is None:
            continue
        maps = _kelvin(original, shape)
        errors = {
            (method, budget): _kelvin(found, shape) - maps
            for method in kept.methods
            for budget in kept.budgets
            if (found := kept.load(f"{method}_{budget}")) is not None
        }
        if not errors:
            continue
        limit = max(np.quantile(np.abs(error), 0.995) for error in errors.values())
        drawn[f"fig6_climate_{kept.name}"] = _figure(kept, maps, errors, limit)
        for method in kept.methods:
            if (error := errors.get((method, kept.budgets[-1]))) is not None:
                title = f"{kept.dataset}\n{style.label(method)}, {kept.budgets[-1]} numbers"
                drawn[f"fig6_climate_{kept.name}_{method}.gif"] = _turning(error, limit, title)
    return drawn


def _kelvin(stored: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The first map [H, W] in kelvin."""
    return to_kelvin(stored[0].astype(float).reshape(shape))


def grid(points: int) -> tuple[int, int] | None:
    """Numbers of latitudes and longitudes of a map of so many points; None where no grid with both poles has so many.

    There are twice as many intervals around the globe as from pole to pole.
    """
    height = round((1 + (1 + 2 * points) ** 0.5) / 2)
    return (height, 2 * (height - 1)) if 2 * height * (height - 1) == points else None


def globe(field: np.ndarray, longitude: float, latitude: float = 20.0, pixels: int = 160) -> np.ndarray:
    """A map [H, W] as seen from far above a place (degrees), [pixels, pixels]; NaN beside the globe."""
    height, width = field.shape
    x, y = np.meshgrid(np.linspace(-1.02, 1.02, pixels), np.linspace(1.02, -1.02, pixels))
    z = np.sqrt(np.maximum(1 - x * x - y * y, 0))
    tilt = np.radians(latitude)
    up, out = y * np.cos(tilt) + z * np.sin(tilt), z * np.cos(tilt) - y * np.sin(tilt)
    lat, lon = np.degrees(np.arcsin(np.clip(up, -1, 1))), longitude + np.degrees(np.arctan2(x, out))
    rows = np.rint((90 - lat) / 180 * (height - 1)).astype(int)
    columns = np.rint((lon % 360) / 360 * width).astype(int) % width
    return np.where(x * x + y * y <= 1, field[rows, columns], np.nan)


def _figure(kept: values.Kept, maps: np.ndarray, errors: dict, limit: float) -> plt.Figure:
    """Two rows for each method, values and errors: flat at every budget, as a globe at the largest."""
    # The first column needs three rows: the map, the globe and the colour bars.
    rows, columns = 2 * max(len(kept.methods), 2), len(kept.budgets) + 2
    figure, axes = style.grid(rows, columns, 2.3 * columns, 1.5 * rows + 0.8)
    for axis in axes.flat:
        axis.set_axis_off()
    common = {"interpolation": "nearest"}
    value_look = common | {"cmap": "viridis", "vmin": maps.min(), "vmax": maps.max()}
    error_look = common | {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    extent = (0, 360, -90, 90)
    temperature = axes[0][0].imshow(maps, extent=extent, **value_look)
    axes[0][0].set_title("original", fontsize=9)
    axes[1][0].imshow(globe(maps, 20.0), **value_look)
    scales = [axes[2][0].inset_axes([0.05, place, 0.9, 0.12]) for place in (0.8, 0.1)]
    figure.colorbar(temperature, cax=scales[0], label="temperature at 2 m (K)", orientation="horizontal")
    for (method, budget), error in errors.items():
        row, column = 2 * kept.methods.index(method), 1 + kept.budgets.index(budget)
        name = f"{style.label(method)}, {budget} numbers"
        axes[row][column].imshow(maps + error, extent=extent, **value_look)
        axes[row][column].set_title(name, fontsize=9)
        shown = axes[row + 1][column].imshow(error, extent=extent, **error_look)
        axes[row + 1][column].set_title(f"error, RMSE {np.sqrt(np.mean(error**2)):.2f} K", fontsize=9)
        if budget == kept.budgets[-1]:
            axes[row][-1].imshow(globe(maps + error, 20.0), **value_look)
            axes[row][-1].set_title(name, fontsize=9)
            axes[row + 1][-1].imshow(globe(error, 20.0), **error_look)
            axes[row + 1][-1].set_title("its error", fontsize=9)
    figure.colorbar(shown, cax=scales[1], label="error (K)", orientation="horizontal", extend="both")
    figure.suptitle(f"Temperature of one map and its errors · {kept.title}", fontsize=10)
    return figure


def _turning(error: np.ndarray, limit: float, title: str) -> list[PIL.Image.Image]:
    """A globe of errors that turns once, between a title and a colour bar."""
    scale = plt.cm.ScalarMappable(plt.Normalize(-limit, limit), "RdBu_r")
    above, below = style.strip(title, 240, 40), style.strip("error of temperature (K)", 240, 60, scale)
    frames = []
    for longitude in np.arange(FRAMES) * 360 / FRAMES:
        seen = globe(error, longitude, pixels=240)
        rgb = scale.to_rgba(seen)[..., :3]
        rgb[np.isnan(seen)] = 1
        frames.append(PIL.Image.fromarray(np.concatenate([above, (255 * rgb).astype(np.uint8), below])))
    return frames
