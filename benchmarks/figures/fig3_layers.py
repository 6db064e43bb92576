"""Figure 3a: the share of every layer's weights and biases that MSCN's gates keep, at every sparsity, over seeds."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks import csv_files, records
from benchmarks.figures import style
from benchmarks.figures.results import Drawn, Results, of_recipe, told_recipe

METHOD, COLOUR = "mscn_meta_sgd", "#2171b5"


def draw(results: Results) -> Drawn:
    """One figure for each data set."""
    layers = of_recipe(csv_files.read(results.folder / "fig2_unstructured_layers.csv", records.LAYER_COLUMNS), which=0)
    return {
        f"fig3_layers_{dataset}_{source}": _figure(part, results.title(dataset, source, told_recipe(part)))
        for (dataset, source), part in layers[layers["method"] == METHOD].groupby(["dataset", "source"])
    }


def erdos_renyi(fan_in: np.ndarray, fan_out: np.ndarray, kept: float) -> np.ndarray:
    """Density of every kernel, proportional to (fan_in + fan_out) / (fan_in fan_out), with `kept` weights in total.

    Mocanu et al. 2018, Evci et al. 2020: a layer whose density would exceed 1 is full, the others share the rest.
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
    figure, axes = style.grid(2, len(budgets), 2.2 * len(budgets) + 0.6, 4.6, sharey=True)
    for column, budget in enumerate(budgets):
        part = layers[layers["budget"] == budget].sort_values("layer")
        total = part.groupby("seed")["kept"].sum().mean() / part.groupby("seed")["size"].sum().mean()
        for row, kind in enumerate(("kernel", "bias")):
            axis, of_kind = axes[row][column], part[part["kind"] == kind]
            density = of_kind.assign(density=of_kind["kept"] / of_kind["size"]).groupby("layer")["density"]
            mean = 100 * density.mean()
            axis.plot(mean.index + 1, mean, color=COLOUR, marker="o", label="MSCN's gates, mean over seeds")
            # A logarithmic axis has no place for an empty layer: it has no mark.
            each = {"linestyle": "", "marker": "_", "markersize": 9, "markeredgewidth": 1.2, "color": "0.25"}
            layers_of = of_kind["layer"] + 1
            axis.plot(layers_of, 100 * of_kind["kept"] / of_kind["size"], **each, label="each seed")
            axis.axhline(100 * total, color="black", linestyle=":", label="the same share in each layer")
            axis.set(xticks=mean.index + 1, xlabel="layer (last: output)" if row else "")
        kernels, biases = (part[part["kind"] == kind] for kind in ("kernel", "bias"))
        size, fan_out = (each.groupby("layer")["size"].first().to_numpy() for each in (kernels, biases))
        random = erdos_renyi(size / fan_out, fan_out, kernels.groupby("seed")["kept"].sum().mean())
        axes[0][column].plot(np.arange(len(size)) + 1.2, 100 * random, "kx", label="Erdős–Rényi, as many weights")
        axes[0][column].set_title(f"{100 * budget:.3g}% surviving")
    for axis, of in zip(axes[:, 0], ("weights", "biases"), strict=True):
        axis.set_ylabel(f"{of} kept (%)")
    shares = 100 * layers["kept"] / layers["size"]
    axes[0][0].set(yscale="log", ylim=(min(0.1, shares[shares > 0].min() / 4), 150))
    style.plain_numbers(axes[0][0].yaxis)
    seeds = style.count(layers["seed"].nunique(), "seed")
    figure.suptitle(
        f"Where MSCN keeps weights and biases · {title}\n{seeds}; a layer that keeps none has no mark", fontsize=10
    )
    style.legend(figure, 4)
    return figure
