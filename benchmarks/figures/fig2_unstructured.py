"""Figure 2: PSNR against the surviving fraction, a column per data set, a row per regime of evaluation and recipe."""

import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks import records, trials
from benchmarks.figures import published_curves, style, tables
from benchmarks.figures.results import Drawn, Results

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

CELL = ["dataset", "source", "recipe", "regime", "inner_steps", "method", "budget"]


def draw(results: Results) -> Drawn:
    """The table behind the figure, and the figure."""
    table = summary(results.rows("fig2_unstructured"))
    text = table.to_csv(index=False, float_format="%.4f")
    return {"fig2_unstructured.csv": text, "fig2_unstructured": _figure(table, results)}


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per data set, recipe, regime, method and budget.

    `psnr` is the mean over seeds of the mean over signals, `psnr_ci95` half its 95% interval (`tables.half_widths`);
    `surviving_fraction` is measured; `kept_parameters` counts weights and biases, averaged over signals.
    """
    rows = rows.assign(
        recipe=rows["recipe"].astype(object).fillna(""),
        regime=rows["inner_optimizer"].map(lambda name: "adam" if name == "adam" else "inner loop"),
        kept_parameters=rows["kept_weights"] + rows["kept_biases"],
    )
    means = ["surviving_fraction", "kept_parameters", "psnr"]
    columns = {"psnr": "psnr_db", "surviving_fraction": "surviving_fraction", "kept_parameters": "kept_parameters"}
    table = tables.across_seeds(tables.seed_means(rows, CELL, columns), CELL, means)
    table = table.merge(tables.half_widths(rows, CELL, "psnr_db").rename("psnr_ci95").reset_index(), on=CELL)
    return table[[*CELL, "seeds", "signals", "outer_steps", *means, "psnr_ci95"]]


def published(dataset: str) -> pd.DataFrame:
    """MetaSparseINR's digitised curves of a data set, empty for others: columns method, surviving_fraction, psnr."""
    rows = pd.read_csv(records.PUBLISHED / "metasparseinr_digitised.csv")
    rows = rows[rows["dataset"] == PAPER_DATASETS.get(dataset, "")]
    return pd.DataFrame(
        {
            "method": [PUBLISHED_METHODS.get(re.sub(r" \(k=\d+\)$", "", name)) for name in rows["method"]],
            "surviving_fraction": rows["x"] / 100,
            "psnr": rows["value"],
        }
    ).dropna()


def _of(table: pd.DataFrame, regime: str, recipe: str) -> pd.DataFrame:
    return table[(table["regime"] == regime) & (table["recipe"] == recipe)]


def _figure(table: pd.DataFrame, results: Results) -> plt.Figure:
    datasets, methods = list(table.groupby(["dataset", "source"])), style.ordered(table["method"])
    rows = list(itertools.product(REGIMES, sorted(set(table["recipe"]), key=["", *records.RECIPES].index)))
    rows = [row for row in rows if len(_of(table, *row))]
    figure, axes = style.grid(len(rows), len(datasets), 4.6 * len(datasets), 3.4 * len(rows) + 1.2)
    handles, named = {}, []
    for column, ((dataset, source), of_dataset) in enumerate(datasets):
        for axis, (regime, recipe) in zip(axes[:, column], rows, strict=True):
            part = _of(of_dataset, regime, recipe)
            if part.empty:
                axis.remove()
                continue
            axis.set_xscale("log")
            if regime == "adam":
                theirs = published(dataset).sort_values("surviving_fraction").groupby("method", sort=False)
                theirs = {style.label(method): curve[["surviving_fraction", "psnr"]] for method, curve in theirs}
                scaled = {name: curve.to_numpy() * [100, 1] for name, curve in theirs.items()}
                named.append((axis, published_curves.draw(axis, scaled)))
            there = [method for method in methods if (part["method"] == method).any()]
            for index, method in enumerate(there):
                curve = part[part["method"] == method]
                aside = np.exp(style.dodge(index, len(there), 0.05 * len(there)))  # The axis is logarithmic.
                at = 100 * curve["surviving_fraction"]
                of_cell, look = (curve["psnr"], curve["psnr_ci95"], method), {"markersize": 4, "linewidth": 1.0}
                handles[style.label(method)] = style.curve(axis, at, at * aside, *of_cell, **look)
            axis.set(xlabel="surviving fraction (% of all weights)", ylabel="PSNR (dB)")
            axis.set_xticks([1, 2, 5, 10, 20, 40])
            if named and named[-1][0] is axis and named[-1][1]:
                axis.set_xlim(right=150)  # Room for the names of published curves.
            style.plain_numbers(axis.xaxis)
            what = style.named(dataset, source) + (f", recipe {recipe}" if recipe else "")
            how = REGIMES[regime].format(part["inner_steps"].max())
            counts = [style.counts(part["seeds"], "seed"), style.count(part["signals"].max(), "test signal")]
            if recipe == "best":
                tried = trials.per_method(results.folder, "fig2_unstructured", dataset)
                counts += [f"{style.counts(tried, 'trial')} of each method"] if tried else []
            axis.set_title(f"{what}\n{how}\n{', '.join(counts)}")
    style.legend(figure, 3, {style.label(method): handles[style.label(method)] for method in methods})
    about = f"means, {style.INTERVALS};\nintervals of one fraction are drawn side by side"
    about += "\nthin grey lines without markers: published, digitised" if any(lines for _, lines in named) else ""
    figure.suptitle(f"Sparse networks at a surviving fraction · preset {results.preset}\n{about}", fontsize=10)
    for axis, lines in named:
        published_curves.name_ends(axis, lines)
    return figure
