"""Figure 2: PSNR against the surviving fraction, a column a data set, a row a regime of evaluation."""

import pathlib
import re

import matplotlib.pyplot as plt
import matplotlib.ticker
import pandas as pd

from benchmarks import records
from benchmarks.figures import style

PAPER_DATASETS = {"celeb_a": "CelebA 178x178", "imagenette": "Imagenette 178x178"}
"""Our data set -> the published one, where they are the same data."""

REGIMES = {"inner loop": "the inner loop that was trained, {} steps", "adam": "Adam, {} steps"}

PUBLISHED_METHODS = {
    "Meta-SparseINR": "meta_sparse_inr",
    "Random Pruning": "random_pruning",
    "Dense-Narrow": "dense_narrow",
    "MAML+OneShot": "maml_one_shot",
    "MAML+IMP": "maml_imp",
    "Scratch": "scratch",
}


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes the table behind the figure, and the figure; returns the files."""
    table = summary(records.read(results / preset / "fig2_unstructured.csv"))
    path = plots / preset / "fig2_unstructured.csv"
    with records.replaced(path) as out:
        out.write(table.to_csv(index=False, float_format="%.4f"))
    return [path, *style.save(_figure(table, preset), plots / preset, "fig2_unstructured")]


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a data set, regime, method and budget.

    `psnr` is the mean over seeds of the mean over signals, `psnr_std` the standard deviation over seeds (0 for one);
    `surviving_fraction` is measured; `kept_parameters` counts weights and biases, a signal's mean.
    """
    rows = rows.assign(
        regime=rows["inner_optimizer"].map(lambda name: "adam" if name == "adam" else "inner loop"),
        kept_parameters=rows["kept_weights"] + rows["kept_biases"],
    )
    cell = ["dataset", "source", "regime", "inner_steps", "method", "budget"]
    per_seed = rows.groupby([*cell, "seed"], as_index=False).agg(
        psnr=("psnr_db", "mean"),
        surviving_fraction=("surviving_fraction", "mean"),
        kept_parameters=("kept_parameters", "mean"),
        signals=("signal_id", "size"),
        outer_steps=("outer_steps", "first"),
    )
    groups = per_seed.groupby(cell)
    return pd.DataFrame(
        {
            "seeds": groups.size(),
            "signals": groups["signals"].first(),
            "outer_steps": groups["outer_steps"].first(),
            "surviving_fraction": groups["surviving_fraction"].mean(),
            "kept_parameters": groups["kept_parameters"].mean(),
            "psnr": groups["psnr"].mean(),
            "psnr_std": groups["psnr"].std(ddof=1).fillna(0),
        }
    ).reset_index()


def published(dataset: str) -> pd.DataFrame:
    """MetaSparseINR's curves of a data set, digitised: columns method, surviving_fraction, psnr; empty for others."""
    rows = pd.read_csv(records.PUBLISHED / "metasparseinr_digitised.csv")
    rows = rows[rows["dataset"] == PAPER_DATASETS.get(dataset, "")]
    return pd.DataFrame(
        {
            "method": [PUBLISHED_METHODS.get(re.sub(r" \(k=\d+\)$", "", name)) for name in rows["method"]],
            "surviving_fraction": rows["x"] / 100,
            "psnr": rows["value"],
        }
    ).dropna()


def _figure(table: pd.DataFrame, preset: str) -> plt.Figure:
    datasets = list(table.groupby(["dataset", "source"]).groups)
    regimes = [regime for regime in REGIMES if (table["regime"] == regime).any()]
    figure, axes = plt.subplots(
        len(regimes),
        len(datasets),
        figsize=(3.7 * len(datasets), 3.1 * len(regimes) + 0.9),
        squeeze=False,
        layout="constrained",
    )
    handles = {}
    for column, (dataset, source) in enumerate(datasets):
        for row, regime in enumerate(regimes):
            axis = axes[row][column]
            part = table[(table["dataset"] == dataset) & (table["source"] == source) & (table["regime"] == regime)]
            if regime == "adam":
                for method, curve in published(dataset).groupby("method"):
                    look = style.METHOD_STYLES[method] | {"color": "0.7", "markersize": 3}
                    (line,) = axis.plot(100 * curve["surviving_fraction"], curve["psnr"], **look)
                    handles.setdefault("published curves, digitised", line)
            for method in style.METHOD_STYLES:
                curve = part[part["method"] == method]
                if len(curve):
                    handles[style.METHOD_NAMES[method]] = axis.errorbar(
                        100 * curve["surviving_fraction"],
                        curve["psnr"],
                        yerr=curve["psnr_std"],
                        capsize=2,
                        markersize=4,
                        linewidth=1.1,
                        **style.METHOD_STYLES[method],
                    )
            axis.set_xscale("log")
            axis.set_xticks([1, 2, 5, 10, 20, 40])
            axis.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
            axis.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
            axis.set_xlabel("surviving fraction (% of all weights)")
            axis.set_ylabel("PSNR (dB)")
            seeds, signals = part["seeds"].max(), part["signals"].max()
            how = REGIMES[regime].format(part["inner_steps"].max())
            axis.set_title(
                f"{style.title(dataset, source, preset)}\n{how}\n"
                f"{style.count(seeds, 'seed')}, {style.count(signals, 'test signal')}"
            )
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
    return figure
