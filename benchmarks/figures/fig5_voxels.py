"""Figure 5: solids at growing budgets, the original beside every method, and a slice with the voxels that are wrong."""

import functools

import matplotlib.colors
import matplotlib.patches
import matplotlib.pyplot as plt
import numpy as np
import scipy.ndimage

from benchmarks.figures import style, values
from benchmarks.figures.results import Drawn, Results

_PIXELS = 160
"""Width and height of a rendered solid."""

SOLID, SURPLUS, MISSING = (0.62, 0.68, 0.78), (0.94, 0.36, 0.25), (0.03, 0.19, 0.42)
"""Colours of rendered solids, and of voxels that are filled wrongly and left out wrongly."""

SLICE = {"empty": "white", "right": "0.85", "filled wrongly": SURPLUS, "left out wrongly": MISSING}
"""What a voxel of a slice is -> its colour: from light to dark, so that they differ in grey too."""


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


def slice_of(found: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The slice in which the target has most voxels, its second axis up: indices of `SLICE` [D, D]."""
    at = target.sum(axis=(0, 1)).argmax()
    found, target = found[:, :, at].T[::-1], target[:, :, at].T[::-1]
    return np.select([found & target, found, target], [1, 2, 3], 0)


def render(labels: np.ndarray, colours: dict[int, tuple]) -> np.ndarray:
    """A picture [s, s, 3] of labelled voxels: 0 is empty, every other label has its colour.

    Seen obliquely from above with the second axis up, by parallel rays; shaded by the slope of the smoothed solid.
    """
    index, inside = _rays(labels.shape[0])
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


@functools.cache
def _rays(side: int) -> tuple[np.ndarray, np.ndarray]:
    """The voxels [s, s, n, 3] that the ray of each pixel meets, the nearest first, and whether the solid has them."""
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
    return np.clip(index, 0, side - 1), inside


def _figure(kept: values.Kept, original: np.ndarray) -> plt.Figure:
    rows = [(signal, method) for signal in range(len(original)) for method in kept.methods]
    columns = 2 + 2 * len(kept.budgets)
    figure, axes = style.grid(len(rows), columns, 1.25 * columns + 0.4, 1.35 * len(rows) + 1.1)
    look = {"cmap": matplotlib.colors.ListedColormap(list(SLICE.values())), "vmin": 0, "vmax": len(SLICE) - 1}
    for axis in axes.flat:
        style.bare(axis)
        axis.spines[:].set_visible(False)
    for line, (signal, method) in zip(axes, rows, strict=True):
        target = solid(original[signal])
        line[0].set_ylabel(style.label(method), fontsize=9)
        if method == kept.methods[0]:
            line[0].imshow(render(target.astype(np.uint8), {1: SOLID}))
            line[1].imshow(slice_of(target, target), **look)
        for budget, whole, cut in zip(kept.budgets, line[2::2], line[3::2], strict=True):
            found = kept.load(f"{method}_{budget}")
            if found is None:
                continue
            found = solid(found[signal])
            whole.imshow(render(found.astype(np.uint8), {1: SOLID}))
            cut.imshow(slice_of(found, target), **look)
            cut.set_xlabel(f"{100 * np.mean(found != target):.1f}% wrong", fontsize=8, labelpad=1)
    for axis, name in zip(axes[0][::2], ["original", *(f"{budget} numbers" for budget in kept.budgets)], strict=True):
        axis.set_title(name, fontsize=9)
    for axis in axes[0][1::2]:
        axis.set_title("slice", fontsize=9)
    patches = {name: matplotlib.patches.Patch(facecolor=colour, edgecolor="black") for name, colour in SLICE.items()}
    style.legend(figure, 4, patches)
    about = "slices where the original has most voxels; percentages are of all voxels, not of the slice"
    figure.suptitle(f"Reconstructions at growing numbers per signal · {kept.title}\n{about}", fontsize=10)
    return figure
