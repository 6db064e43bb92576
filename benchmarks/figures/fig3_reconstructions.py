"""Figure 3b: reconstructions of one test signal, methods x sparsity, beside the original."""

import pathlib

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import PIL.Image

from benchmarks import records
from benchmarks.figures import style

METHODS = ("mscn_meta_sgd", "mscn_fixed_lr", "mscn_sparse_final", "meta_sparse_inr", "dense_narrow")


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes one figure for each data set whose images are there; returns the files."""
    rows = records.read(results / preset / "fig2_unstructured.csv")
    rows = rows[(rows["seed"] == 0) & (rows["inner_optimizer"] != "adam") & (rows["signal_id"] == 0)]
    folder, written = results / preset / "fig2_unstructured_images", []
    for (dataset, source), part in rows.groupby(["dataset", "source"]):
        if (folder / f"{dataset}_{source}_original.png").exists():
            figure = _figure(part, folder, f"{dataset}_{source}", style.title(dataset, source, preset))
            written += style.save(figure, plots / preset, f"fig3_reconstructions_{dataset}_{source}")
    return written


def _first(path: pathlib.Path) -> np.ndarray:
    """The first of the pictures side by side in a file."""
    with PIL.Image.open(path) as opened:
        strip = np.asarray(opened)
    return strip[:, : strip.shape[0]]


def _figure(rows: pd.DataFrame, folder: pathlib.Path, name: str, title: str) -> plt.Figure:
    methods = [method for method in METHODS if (rows["method"] == method).any()]
    budgets = sorted(rows["budget"].unique(), reverse=True)
    figure, axes = plt.subplots(
        len(methods),
        len(budgets) + 1,
        figsize=(1.15 * (len(budgets) + 1) + 0.9, 1.4 * len(methods) + 0.5),
        squeeze=False,
        layout="constrained",
    )
    for row, method in enumerate(methods):
        for column, budget in enumerate([None, *budgets]):
            axis = axes[row][column]
            axis.set_xticks([], [])
            axis.set_yticks([], [])
            axis.grid(False)
            label = "original" if budget is None else f"{method}_{budget:g}"
            picture = folder / f"{name}_{label}.png"
            if picture.exists():
                axis.imshow(_first(picture), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            if budget is None:
                axis.set_ylabel(style.METHOD_NAMES[method].replace(", ", ",\n"), fontsize=8)
            else:
                psnr = rows[(rows["method"] == method) & (rows["budget"] == budget)]["psnr_db"]
                axis.set_xlabel(f"{psnr.iloc[0]:.1f} dB" if len(psnr) else "", fontsize=8, labelpad=2)
            if row == 0:
                axis.set_title("original" if budget is None else f"{100 * budget:.3g}%")
    figure.suptitle(f"{title} · one test signal, seed 0\nsurviving fraction, as each method counts it", fontsize=9)
    return figure
