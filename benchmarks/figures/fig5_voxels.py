"""Figure 5: solids at growing budgets, the original beside every method, and the voxels that each has wrong."""

import matplotlib.pyplot as plt
import numpy as np
import scipy.ndimage

from benchmarks.figures import style, values
from benchmarks.figures.results import Drawn, Results

_PIXELS = 160
"""Width and height of a rendered solid."""

SOLID, SURPLUS, MISSING = (0.62, 0.68, 0.78), (0.84, 0.19, 0.15), (0.10, 0.30, 0.65)
"""Colours of voxels that are right, filled wrongly and left out wrongly."""


def draw(results: Results) -> Drawn:
    """One figure for each data set of solids whose values were kept."""
    return {
        f"fig5_voxels_{kept.name}": _figure(kept, original)
        for kept, original in values.kept(results)
        if original.dtype == np.uint8
    }


def solid(bits: np.ndarray) -> np.ndarray:
    """The voxels [D, D, D] of one signal's bits [D^3 / 8, 1]."""
    flat = np.unpackbits(bits.ravel())
    side = round(len(flat) ** (1 / 3))
    return flat.reshape(side, side, side).astype(bool)


def render(labels: np.ndarray, colours: dict[int, tuple]) -> np.ndarray:
    """A picture [s, s, 3] of labelled voxels: 0 is empty, every other label has its colour.

    Seen obliquely from above with the second axis up, by parallel rays; shaded by the slope of the smoothed solid.
    """
    side = labels.shape[0]
    # Right, up and into the picture, in voxels: turned by 35 degrees, seen from 25 degrees above.
    turn, tilt = np.radians(35), np.radians(25)
    right = np.array([np.cos(turn), 0, -np.sin(turn)])
    away = np.array([np.sin(turn) * np.cos(tilt), -np.sin(tilt), np.cos(turn) * np.cos(tilt)])
    up = np.cross(away, right)
    across = np.linspace(-0.74, 0.74, _PIXELS, dtype=np.float32) * side
    depth = np.linspace(-0.9, 0.9, 3 * side, dtype=np.float32) * side
    at = (
        side / 2
        - 0.5
        + across[None, :, None, None] * right
        - across[:, None, None, None] * up
        + depth[None, None, :, None] * away
    )
    index = np.rint(at).astype(np.int16)
    inside = ((index >= 0) & (index < side)).all(axis=-1)
    index = np.clip(index, 0, side - 1)
    met = np.where(inside, labels[tuple(np.moveaxis(index, -1, 0))], 0)
    first = (met > 0).argmax(axis=2)
    what = np.take_along_axis(met, first[..., None], axis=2)[..., 0]
    place = np.take_along_axis(index, first[..., None, None], axis=2)[:, :, 0]
    smooth = scipy.ndimage.gaussian_filter((labels > 0).astype(float), 1.2)
    slope = np.stack([g[tuple(np.moveaxis(place, -1, 0))] for g in np.gradient(smooth)], axis=-1)
    normal = -slope / np.maximum(np.linalg.norm(slope, axis=-1, keepdims=True), 1e-6)
    light = 0.5 + 0.5 * np.clip(normal @ np.array([-0.25, 0.85, -0.45]), 0, 1)
    picture = np.ones((_PIXELS, _PIXELS, 3))
    for label, colour in colours.items():
        picture[what == label] = (light[..., None] * np.array(colour))[what == label]
    return picture


def _figure(kept: values.Kept, original: np.ndarray) -> plt.Figure:
    budgets, cells = [None, *kept.budgets], [(method, wrong) for method in kept.methods for wrong in (False, True)]
    rows = [(signal, *cell) for signal in range(len(original)) for cell in cells]
    figure, axes = style.grid(len(rows), len(budgets), 1.5 * len(budgets) + 0.6, 1.2 * len(rows) + 0.6)
    for row, (signal, method, wrong) in enumerate(rows):
        target = solid(original[signal])
        if row % len(cells) == 0:
            axes[row][0].imshow(render(target.astype(np.uint8), {1: SOLID}))
        name = style.label(method) + (",\nwrong voxels" if wrong else "")
        place = {"transform": axes[row][0].transAxes, "rotation": 90, "ha": "right", "va": "center"}
        axes[row][0].text(1.1, 0.5, name, fontsize=8, **place)
        for axis, budget in zip(axes[row], budgets, strict=True):
            axis.set_axis_off()
            if row == 0:
                axis.set_title("original" if budget is None else f"{budget} numbers")
            found = None if budget is None else kept.load(f"{method}_{budget}")
            if found is None:
                continue
            found = solid(found[signal])
            if wrong:
                labels = np.select([found & ~target, target & ~found], [1, 2], 0).astype(np.uint8)
                axis.imshow(render(labels, {1: SURPLUS, 2: MISSING}))
                share = 100 * np.mean(found != target)
                below = {"transform": axis.transAxes, "ha": "center", "va": "top", "fontsize": 7}
                axis.text(0.5, 0.02, f"{share:.2f}% wrong", **below)
            else:
                axis.imshow(render(found.astype(np.uint8), {1: SOLID}))
    figure.suptitle(f"{kept.title}\nwrong voxels: red is filled, blue left out wrongly", fontsize=9)
    return figure
