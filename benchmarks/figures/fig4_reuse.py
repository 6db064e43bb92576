"""Figure 4: which modulations MSCN keeps. Reuse between budgets (top), distribution over layers (middle, bottom)."""

import pathlib

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.figures import style


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes one figure for each data set; returns the files."""
    masks = records.read(results / preset / "table1_modulations_masks.csv", records.MASK_COLUMNS)
    rows = records.read(results / preset / "table1_modulations.csv", records.MODULATION_COLUMNS)
    written = []
    masks = masks[masks["run_id"].isin(rows["run_id"])]
    for (dataset, source), part in masks.groupby(["dataset", "source"]):
        fraction = rows[rows["run_id"].isin(part["run_id"])].groupby("run_id")["surviving_fraction"].first()
        budgets = part.groupby("run_id")["budget"].first()
        gates = round((budgets / fraction).iloc[0])
        figure = _figure(part, gates, style.title(dataset, source, preset))
        written += style.save(figure, plots / preset, f"fig4_reuse_{dataset}_{source}")
    return written


def reuse(masks: pd.DataFrame) -> pd.DataFrame:
    """Fraction of a smaller budget's modulations that the larger budget of the same seed keeps too.

    Columns seed, small, large, reused.
    """
    kept = {key: set(zip(part["layer"], part["unit"], strict=True)) for key, part in masks.groupby(["seed", "budget"])}
    return pd.DataFrame(
        [
            {"seed": seed, "small": small, "large": large, "reused": len(a & b) / len(a)}
            for (seed, small), a in kept.items()
            for (other, large), b in kept.items()
            if seed == other and small < large
        ],
        columns=["seed", "small", "large", "reused"],
    )


def _figure(masks: pd.DataFrame, gates: int, title: str) -> plt.Figure:
    figure, (top, middle, bottom) = plt.subplots(3, 1, figsize=(4.2, 7.2), layout="constrained")
    pairs = reuse(masks)
    budgets = sorted(masks["budget"].unique())
    smaller = sorted(pairs["small"].unique())
    for index, small in enumerate(smaller):
        of_small = pairs[pairs["small"] == small].groupby("large")["reused"].agg(["mean", "min", "max"])
        grey = str(0.6 * index / max(len(smaller) - 1, 1))
        spread = np.abs(of_small[["min", "max"]].to_numpy().T - of_small["mean"].to_numpy())
        marker = "osD^v"[index % 5]
        top.errorbar(
            of_small.index,
            of_small["mean"],
            yerr=spread,
            color=grey,
            marker=marker,
            capsize=3,
            label=f"of {small} kept",
        )
    # A random choice of `large` of all gates keeps each of the smaller set's with this probability, whatever that is.
    top.plot(budgets[1:], [b / gates for b in budgets[1:]], "k:", marker="x", label="random allocation")
    top.set_xscale("log", base=2)
    top.set_xticks(budgets[1:], map(str, budgets[1:]))
    top.set_ylim(0, 1.05)
    top.set_xlabel("modulations of the larger budget")
    top.set_ylabel("fraction reused")
    seeds = style.count(masks["seed"].nunique(), "seed")
    top.set_title(f"{title}\nmean and range over {seeds}, {gates} modulations in all")
    top.legend()
    layers = np.arange(masks["layer"].max() + 1)
    for axis, budget in ((middle, budgets[0]), (bottom, budgets[-1])):
        counts = (
            masks[masks["budget"] == budget]
            .groupby(["seed", "layer"])
            .size()
            .unstack(fill_value=0)
            .reindex(columns=layers, fill_value=0)
        )
        spread = np.abs(counts.agg(["min", "max"]).to_numpy() - counts.mean().to_numpy())
        axis.bar(layers + 1, counts.mean(), yerr=spread, color="0.45", edgecolor="black", capsize=3)
        axis.axhline(budget / len(layers), color="black", linestyle=":", label="uniform")
        axis.set_xticks(layers + 1)
        axis.set_xlabel("modulated layer")
        axis.set_ylabel(f"kept of {budget}")
        axis.legend()
    return figure
