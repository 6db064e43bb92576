"""Figure 4: which modulations MSCN keeps. Reuse between budgets (top), distribution over layers (middle, bottom)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.figures import style
from benchmarks.figures.results import Drawn, Results, kept


def draw(results: Results) -> Drawn:
    """One figure for each data set."""
    rows = results.rows("table1_modulations", records.MODULATION_COLUMNS)
    masks = kept(records.read(results.folder / "table1_modulations_masks.csv", records.MASK_COLUMNS))
    drawn = {}
    for (dataset, source), part in masks[masks["run_id"].isin(rows["run_id"])].groupby(["dataset", "source"]):
        fraction = rows[rows["run_id"].isin(part["run_id"])].groupby("run_id")["surviving_fraction"].first()
        gates = round((part.groupby("run_id")["budget"].first() / fraction).iloc[0])
        drawn[f"fig4_reuse_{dataset}_{source}"] = _figure(part, gates, results.title(dataset, source))
    return drawn


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


def _range(groups) -> tuple[pd.Series, np.ndarray]:
    """Means, and the distances [2, N] from them to the smallest and the largest value."""
    mean = groups.mean()
    return mean, np.abs([groups.min() - mean, groups.max() - mean])


def _figure(masks: pd.DataFrame, gates: int, title: str) -> plt.Figure:
    figure, axes = style.grid(3, 1, 4.2, 7.2)
    top, middle, bottom = axes[:, 0]
    pairs, budgets = reuse(masks), sorted(masks["budget"].unique())
    smaller = sorted(pairs["small"].unique())
    for index, small in enumerate(smaller):
        mean, spread = _range(pairs[pairs["small"] == small].groupby("large")["reused"])
        look = {"color": str(0.6 * index / max(len(smaller) - 1, 1)), "marker": "osD^v"[index % 5], "capsize": 3}
        top.errorbar(mean.index, mean, yerr=spread, label=f"of {small} kept", **look)
    # A random choice of `large` of all gates keeps each gate of a smaller set with this probability.
    top.plot(budgets[1:], [b / gates for b in budgets[1:]], "k:", marker="x", label="random allocation")
    top.set_xscale("log", base=2)
    top.set_xticks(budgets[1:], map(str, budgets[1:]))
    top.set(xlabel="modulations of the larger budget", ylabel="fraction reused", ylim=(0, 1.05))
    seeds = style.count(masks["seed"].nunique(), "seed")
    top.set_title(f"{title}\nmean and range over {seeds}, {gates} modulations in all")
    layers = np.arange(masks["layer"].max() + 1)
    for axis, budget in ((middle, budgets[0]), (bottom, budgets[-1])):
        of_budget = masks[masks["budget"] == budget]
        counts = of_budget.groupby(["seed", "layer"]).size().unstack(fill_value=0)
        mean, spread = _range(counts.reindex(columns=layers, fill_value=0))
        axis.bar(layers + 1, mean, yerr=spread, color="0.45", edgecolor="black", capsize=3)
        axis.axhline(budget / len(layers), color="black", linestyle=":", label="uniform")
        axis.set(xticks=layers + 1, xlabel="modulated layer", ylabel=f"kept of {budget}")
    for axis in axes[:, 0]:
        axis.legend()
    return figure
