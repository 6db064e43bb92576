"""Figure 3b: reconstructions of one test signal, methods x sparsity, beside the original."""

import pathlib

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import PIL.Image

from benchmarks.figures import style
from benchmarks.figures.results import Drawn, Results, of_recipe, told_recipe

FIELDS = ("sdf2d",)
"""Data sets whose pictures are distances, 0.5 on the boundary (`mscn_flax/data/sdf.py`): drawn by contours."""

LEVELS = np.linspace(-0.4, 0.6, 11)
"""Distances between the shades, in sides of the image."""

ORIGINAL = {"colors": "black", "linewidths": 1, "linestyles": "dashed"}
"""Look of the original's boundary."""

METHODS = ("mscn_meta_sgd", "mscn_fixed_lr", "mscn_sparse_final", "meta_sparse_inr", "dense_narrow")


def draw(results: Results) -> Drawn:
    """One figure for each data set whose images are there."""
    rows = of_recipe(results.rows("fig2_unstructured"), which=0)
    rows = rows[(rows["seed"] == 0) & (rows["inner_optimizer"] != "adam") & (rows["signal_id"] == 0)]
    folder, drawn = results.folder / "fig2_unstructured_images", {}
    for (dataset, source), part in rows.groupby(["dataset", "source"]):
        name = f"{dataset}_{source}"
        if (folder / f"{name}_original.png").exists():
            about = f"Reconstructions · {results.title(dataset, source, told_recipe(part))} · one test signal, seed 0"
            about += "\ncolumns: surviving fraction, as each method counts it"
            if dataset in FIELDS:
                about += "\ncontours of distance; thick: boundary of the shape, dashed: that of the original"
            drawn[f"fig3_reconstructions_{name}"] = _figure(part, folder, name, about, dataset in FIELDS)
    return drawn


def strip(path: pathlib.Path) -> list[np.ndarray]:
    """The square pictures side by side in a file."""
    with PIL.Image.open(path) as opened:
        pictures = np.asarray(opened)
    side = pictures.shape[0]
    return [pictures[:, start : start + side] for start in range(0, pictures.shape[1], side)]


def _contours(axis: plt.Axes, picture: np.ndarray, original: np.ndarray) -> None:
    """Draws a field of distances, its zero level, and that of the original."""
    values, target = ((each.astype(float) / 255 - 0.5) * 2 for each in (picture, original))
    values, target = (each[..., 0] if each.ndim == 3 else each for each in (values, target))
    axis.contourf(values, LEVELS, cmap="Blues_r", extend="both")
    for field, look in ((values, {"colors": "#d7301f", "linewidths": 2}), (target, ORIGINAL)):
        if field.min() < 0 < field.max():  # A constant field has no boundary.
            axis.contour(field, [0], **look)
    axis.set(aspect="equal", ylim=(len(values) - 0.5, -0.5), xlim=(-0.5, values.shape[1] - 0.5))


def _figure(rows: pd.DataFrame, folder: pathlib.Path, name: str, title: str, fields: bool) -> plt.Figure:
    methods = style.ordered(rows["method"], METHODS)
    budgets = sorted(rows["budget"].unique(), reverse=True)
    size = 1.15 * (len(budgets) + 1) + 0.9, 1.4 * len(methods) + 0.5
    figure, axes = style.grid(len(methods), len(budgets) + 1, *size)
    for line, method in zip(axes, methods, strict=True):
        of_method = rows[rows["method"] == method].groupby("budget")["psnr_db"].first()
        line[0].set_ylabel(style.label(method).replace(", ", ",\n"), fontsize=8)
        for axis, budget in zip(line, [None, *budgets], strict=True):
            style.bare(axis)
            picture = folder / f"{name}_{'original' if budget is None else f'{method}_{budget:g}'}.png"
            if picture.exists() and fields:
                _contours(axis, strip(picture)[0], strip(folder / f"{name}_original.png")[0])
            elif picture.exists():
                axis.imshow(strip(picture)[0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            if budget in of_method.index:
                axis.set_xlabel(f"{of_method[budget]:.1f} dB", fontsize=8, labelpad=2)
    for axis, budget in zip(axes[0], [None, *budgets], strict=True):
        axis.set_title("original" if budget is None else f"{100 * budget:.3g}%")
    figure.suptitle(title, fontsize=10)
    return figure
