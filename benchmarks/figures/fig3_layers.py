"""Figure 3a: what share of every layer's weights and biases MSCN's gates keep, at every sparsity, over seeds."""

import pathlib

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.figures import style

METHOD = "mscn_meta_sgd"


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes one figure for each data set; returns the files."""
    layers = records.read(results / preset / "fig2_unstructured_layers.csv", records.LAYER_COLUMNS)
    written = []
    for (dataset, source), part in layers[layers["method"] == METHOD].groupby(["dataset", "source"]):
        figure = _figure(part, style.title(dataset, source, preset))
        written += style.save(figure, plots / preset, f"fig3_layers_{dataset}_{source}")
    return written


def erdos_renyi(fan_in: np.ndarray, fan_out: np.ndarray, kept: float) -> np.ndarray:
    """Density of every kernel, proportional to (fan_in + fan_out) / (fan_in fan_out), `kept` weights in all.

    Mocanu et al. 2018, Evci et al. 2020: a layer that would be more than full is full, the others share the rest.
    """
    size, full = fan_in * fan_out, np.zeros(len(fan_in), bool)
    while True:
        share = np.where(full, 0, fan_in + fan_out)
        density = np.where(full, 1, (kept - size[full].sum()) * share / share.sum() / size)
        if not (density > 1 + 1e-9).any():
            return density
        full |= density > 1


def _figure(layers: pd.DataFrame, title: str) -> plt.Figure:
    budgets = sorted(layers["budget"].unique(), reverse=True)
    figure, axes = plt.subplots(
        2, len(budgets), figsize=(2.2 * len(budgets) + 0.6, 4.6), sharey=True, squeeze=False, layout="constrained"
    )
    for column, budget in enumerate(budgets):
        part = layers[layers["budget"] == budget]
        total = part.groupby("seed")["kept"].sum().mean() / part.groupby("seed")["size"].sum().mean()
        for row, kind in enumerate(("kernel", "bias")):
            axis, of_kind = axes[row][column], part[part["kind"] == kind]
            density = of_kind.assign(density=of_kind["kept"] / of_kind["size"]).groupby("layer")["density"]
            mean, spread = density.mean(), density.std(ddof=1).fillna(0)
            # A logarithmic axis has no place for an empty layer: it has no point.
            axis.errorbar(
                mean.index + 1, mean, yerr=spread, color="#2171b5", marker="o", capsize=3, label="MSCN's gates"
            )
            axis.axhline(total, color="black", linestyle=":", label="uniform")
            if kind == "kernel":
                first = of_kind[of_kind["seed"] == of_kind["seed"].iloc[0]].sort_values("layer")
                biases = part[(part["kind"] == "bias") & (part["seed"] == first["seed"].iloc[0])].sort_values("layer")
                fan_out = biases["size"].to_numpy()
                fan_in = first["size"].to_numpy() / fan_out
                kept = of_kind.groupby("seed")["kept"].sum().mean()
                axis.plot(
                    first["layer"] + 1, erdos_renyi(fan_in, fan_out, kept), "kx", label="Erdős–Rényi, as many weights"
                )
                axis.set_title(f"{100 * budget:.3g}% surviving")
            axis.set_xticks(mean.index + 1)
            axis.set_xlabel("layer (last: output)" if row else "")
            if column == 0:
                axis.set_ylabel(f"share kept of {'weights' if kind == 'kernel' else 'biases'}")
    axes[0][0].set_yscale("log")
    axes[0][0].set_ylim(1e-3, 1.5)
    seeds = style.count(layers["seed"].nunique(), "seed")
    figure.suptitle(f"{title}\nmean and standard deviation over {seeds}", fontsize=9)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure
