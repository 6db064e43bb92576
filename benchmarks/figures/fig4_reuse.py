"""Figure 4: which modulations MSCN keeps. Reuse between budgets (top), distribution over layers (bottom).

Reuse is the share of a smaller budget's modulations that a larger budget keeps too, in the run of the same seed or of
another one. Beside it stands what a random choice of as many modulations would reuse on average: a uniform one, and one
that keeps the number of modulations of each layer. The units of a layer are interchangeable before training, so two
seeds can have no more in common than these numbers.
"""

import itertools
from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks import csv_files, records
from benchmarks.figures import style, tables
from benchmarks.figures.results import Drawn, Results, of_recipe, told_recipe

KINDS = {
    "same_seed": ("same seed", {"marker": "o", "color": "#08306b"}),
    "other_seed": ("another seed", {"marker": "s", "color": "#fc8d59"}),
    "same_counts": ("random, numbers in layers kept", {"marker": "D", "color": "0.3", "markerfacecolor": "white"}),
    "uniform": ("random, uniform", {"marker": "x", "color": "0.3"}),
}
"""Column of `reuse` -> its name and style."""

PAIR = ["small", "large"]

EXPLANATION = """\
Share of a smaller budget's modulations that a larger budget keeps too; mean over seeds.

Runs of the same seed start from the same weights and see the same batches: there a larger budget nearly extends a
smaller one where the first column is near 1. Units of a layer are interchangeable before training, so that between
seeds only the number of modulations in each layer can recur; a second column that equals the third says that nothing
else does. What lies between the third and the fourth column is owed to these numbers alone, not to the choice of units.
"""


def draw(results: Results) -> Drawn:
    """One figure for each data set that has several budgets, and one table of all."""
    drawn, text = {}, f"Figure 4, preset {results.preset}. {EXPLANATION}"
    for (dataset, source), part, gates in masks(results):
        pairs = reuse(part, gates)
        title = results.title(dataset, source, told_recipe(part))
        drawn[f"fig4_reuse_{dataset}_{source}"] = _figure(part, pairs, gates, title)
        text += f"\n{dataset}{style.SOURCES[source]}, {_size(part, gates)}:\n\n{_table(pairs)}"
    return drawn | ({"fig4_reuse.md": text} if drawn else {})


def masks(results: Results) -> Iterator[tuple[tuple[str, str], pd.DataFrame, int]]:
    """Data set and source, kept modulations and number of all of them, where there are several budgets."""
    rows = results.rows("table1_modulations", records.MODULATION_COLUMNS)
    # Wider networks, and methods whose gates choose what is reconstructed, have other modulations.
    rows = rows[(rows["method"] == "mscn") & (rows["equal"] == "network")]
    found = of_recipe(csv_files.read(results.folder / "table1_modulations_masks.csv", records.MASK_COLUMNS))
    for index, part in found[found["run_id"].isin(rows["run_id"])].groupby(["dataset", "source"]):
        if part["budget"].nunique() > 1:
            fraction = rows[rows["run_id"].isin(part["run_id"])].groupby("run_id")["surviving_fraction"].first()
            yield index, part, round((part.groupby("run_id")["budget"].first() / fraction).iloc[0])


def layers_of(masks: pd.DataFrame, gates: int) -> int:
    """The number of modulated layers: the fewest, all of one width, that hold so many gates and what is kept.

    The last ones may keep nothing; that is not seen where the others divide the number of gates.
    """
    layers, width = masks["layer"].max() + 1, masks["unit"].max() + 1
    return next((count for count in range(layers, gates // width + 1) if gates % count == 0), layers)


def reuse(masks: pd.DataFrame, gates: int) -> pd.DataFrame:
    """Share of a smaller budget's modulations that a larger one keeps too, and what random choices would keep.

    One line per pair of budgets and seed of the smaller one, with columns seed, small, large and `KINDS`. The random
    choices are expectations: a set of b of w units contains each of them with probability b / w, for all layers
    together or within each. `other_seed` is a mean over the other seeds (NaN of one seed), and `same_counts` has their
    numbers of modulations in the layers where there are any.

    Args:
      masks: columns seed, budget, layer and unit, one line per modulation that is kept.
      gates: number of modulations, the same in each layer.
    """
    layers = layers_of(masks, gates)
    shape = masks["seed"].max() + 1, layers, gates // layers
    chosen = {}
    for budget, part in masks.groupby("budget"):
        chosen[budget] = np.zeros(shape)
        chosen[budget][part["seed"], part["layer"], part["unit"]] = 1
    seeds, lines = sorted(masks["seed"].unique()), []
    for (small, a), (large, b) in itertools.combinations(sorted(chosen.items()), 2):
        for seed in (s for s in seeds if a[s].any() and b[s].any()):
            others = [other for other in seeds if other != seed and b[other].any()]
            counts = np.mean([b[other].sum(1) for other in others or [seed]], axis=0)
            common = {
                "same_seed": np.sum(a[seed] * b[seed]),
                "other_seed": np.mean([np.sum(a[seed] * b[other]) for other in others]) if others else np.nan,
                "same_counts": a[seed].sum(1) @ counts * layers / gates,
                "uniform": a[seed].sum() * b[seed].sum() / gates,
            }
            shares = {kind: number / a[seed].sum() for kind, number in common.items()}
            lines.append({"seed": seed, "small": small, "large": large} | shares)
    return pd.DataFrame(lines, columns=["seed", *PAIR, *KINDS])


def _table(pairs: pd.DataFrame) -> str:
    columns = [("budgets", "{small} in {large}"), *((label, f"{{{kind}:.2f}}") for kind, (label, _) in KINDS.items())]
    return tables.formatted(pairs.groupby(PAIR, as_index=False)[list(KINDS)].mean(), columns).replace("nan", "–")


def _size(masks: pd.DataFrame, gates: int) -> str:
    return f"{style.count(masks['seed'].nunique(), 'seed')}, {gates} modulations in all"


def _range(groups) -> tuple[pd.Series, np.ndarray]:
    """Means, and the distances [2, N] from them to the smallest and the largest value."""
    mean = groups.mean()
    return mean, np.abs([groups.min() - mean, groups.max() - mean])


def _figure(masks: pd.DataFrame, pairs: pd.DataFrame, gates: int, title: str) -> plt.Figure:
    mean, _ = _range(pairs.groupby(PAIR)["same_seed"])
    names = [f"{small} in {large}" for small, large in mean.index]
    figure = plt.figure(figsize=(max(7.4, 2.0 + 0.9 * len(names)), 6.4), layout="constrained")
    panels = figure.subplot_mosaic([["reuse", "reuse"], ["few", "many"]], height_ratios=(1.2, 1))
    top = panels["reuse"]
    for index, (kind, (label, look)) in enumerate(KINDS.items()):
        if pairs[kind].isna().all():  # Another seed, of a run with one.
            continue
        mean, spread = _range(pairs.groupby(PAIR)[kind])
        at = np.arange(len(names)) + style.dodge(index, len(KINDS))
        top.errorbar(at, mean, yerr=spread, linestyle="", capsize=3, label=label, **look)
    top.set_xticks(np.arange(len(names)), names)
    top.set_xticks(np.arange(len(names) - 1) + 0.5, minor=True)
    top.grid(visible=False, axis="x")
    top.grid(visible=True, axis="x", which="minor")
    top.set(xlabel="modulations per signal: smaller in larger budget", ylabel="share of the smaller reused")
    top.set(ylim=(0, 1.05), xlim=(-0.5, len(names) - 0.5), title="Kept by the larger budget too, beside random choices")
    layers, budgets = np.arange(layers_of(masks, gates)), sorted(masks["budget"].unique())
    for axis, budget in ((panels["few"], budgets[0]), (panels["many"], budgets[-1])):
        of_budget = masks[masks["budget"] == budget]
        counts = of_budget.groupby(["seed", "layer"]).size().unstack(fill_value=0)
        mean, spread = _range(counts.reindex(columns=layers, fill_value=0))
        axis.bar(layers + 1, mean, yerr=spread, color="0.8", edgecolor="black", capsize=3)
        axis.axhline(budget / len(layers), color="black", linestyle=":", label="the same in each layer")
        axis.set(xticks=layers + 1, xlabel="modulated layer", ylabel="modulations kept", title=f"{budget} kept in all")
        axis.yaxis.get_major_locator().set_params(integer=True)
        axis.grid(visible=False, axis="x")
    style.legend(figure, ncols=3)
    about = f"{'mean and range over ' if masks['seed'].nunique() > 1 else ''}{_size(masks, gates)}"
    about += "\nNot shown: whether the units kept mean the same; between seeds only the numbers in layers can recur."
    figure.suptitle(f"Which modulations MSCN keeps · {title}\n{about}", fontsize=10)
    return figure
