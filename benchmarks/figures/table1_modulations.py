"""Table 1 as Markdown, LaTeX and CSV, and as a figure: quality against the number of modulations."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks import records, trials
from benchmarks.figures import style, tables
from benchmarks.figures.results import Drawn, Results

PAPER_DATASETS = {
    "celeb_a_hq": "CelebA-HQ 64x64",
    "era5": "ERA5 181x360",
    "shapenet10": "ShapeNet10 64^3",
    "srn_cars": "SRN Cars 128x128",
}
"""Our data set -> the paper's; they are the same where the source is real and the preset is paper."""

LABELS = {
    "accuracy_pct": "voxel accuracy (%)",
    "psnr": "mean of PSNRs",
    "psnr_of_mse": "PSNR of mean MSE",
    "psnr_weighted": "mean of PSNRs, weighted by area",
}
"""Measure of quality -> its name; the first that a data set has is the one that the paper reports."""

CELL = ["dataset", "source", "method", "budget"]

_OF_SIGNALS = {
    "accuracy_pct": ("voxel_accuracy", lambda mean: 100 * mean),
    "psnr": ("psnr_db", np.asarray),
    "psnr_of_mse": ("mse", lambda mean: -10 * np.log10(mean)),
    "psnr_weighted": ("psnr_weighted_db", np.asarray),
}
"""Measure of quality -> column of the rows, and what is made of its mean."""

COST = ["shared_parameters", "decode_flops"]


def draw(results: Results) -> Drawn:
    """The table's three forms and its figure."""
    # The other presets run smaller networks at other sizes.
    paper = published() if results.preset == "paper" else published().head(0)
    table = measured(results).merge(paper, how="left", on=CELL)
    name, heading, blocks = "table1_modulations", f"Table 1, preset {results.preset}.", _wide(table, results)
    markdown = (f"\n{caption}\n\n{tables.markdown(header, body)}" for caption, header, body in blocks)
    latex = (tables.latex(f"{heading} {caption}.", header, body) for caption, header, body in blocks)
    return {
        f"{name}.csv": table.to_csv(index=False, float_format="%.4f"),
        f"{name}.md": f"{heading}\n" + "".join(markdown),
        f"{name}.tex": "\n".join(latex),
        name: _figure(table, results),
    }


def published() -> pd.DataFrame:
    """The paper's Table 1: columns dataset, source, method, budget, paper (PSNR in dB or accuracy in percent)."""
    rows = pd.read_csv(records.PUBLISHED / "mscn_paper.csv")
    rows = rows[(rows["source"] == "paper Table 1") & rows["dataset"].isin(PAPER_DATASETS.values())]
    names = {theirs: ours for ours, theirs in PAPER_DATASETS.items()}
    return pd.DataFrame(
        {
            "dataset": rows["dataset"].map(names),
            "source": "real",
            "method": rows["method"].str.lower(),
            "budget": rows["x"].astype(int),
            "paper": rows["value"],
        }
    ).dropna()


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per data set, method and budget.

    Both PSNR conventions in dB, each a mean over seeds with the half-width of its 95% interval (`tables.half_widths`):
    `psnr` averages the signals' PSNRs, `psnr_of_mse` is the PSNR of the signals' mean MSE. Likewise
    `accuracy_pct`, the share of voxels on the right side, and `psnr_weighted`, of squared errors weighted by area;
    empty for other data. `shared_parameters` and `decode_flops` are what decoding takes, `sparsity_pct` is the share of
    zeros in the code.
    """
    # A code that happens to have one more zero than the others of its run is still a code of that run.
    rows = rows.assign(budget=rows.groupby("run_id")["budget"].transform("max"))
    columns = {"psnr": "psnr_db", "mse": "mse", "surviving": "surviving_fraction", "accuracy_pct": "voxel_accuracy"}
    columns |= {"psnr_weighted": "psnr_weighted_db"} | {name: name for name in COST}
    per_seed = tables.seed_means(rows, CELL, columns)
    per_seed["accuracy_pct"] *= 100
    per_seed["psnr_of_mse"] = -10 * np.log10(per_seed["mse"])
    table = tables.across_seeds(per_seed, CELL, ["surviving", *COST, *LABELS])
    table["sparsity_pct"] = 100 * (1 - table["surviving"])
    for name in LABELS:
        column, of = _OF_SIGNALS[name]
        widths = tables.half_widths(rows, CELL, column, of).rename(f"{name}_ci95")
        table = table.merge(widths.reset_index(), how="left", on=CELL)
    with_intervals = [f"{name}{suffix}" for name in LABELS for suffix in ("", "_ci95")]
    ordered = [*CELL, "seeds", "signals", "outer_steps", "sparsity_pct", *COST, "trained_on", *with_intervals]
    return table[ordered]


def measured(results: Results) -> pd.DataFrame:
    """The lines of `summary`."""

    def made() -> pd.DataFrame:
        return summary(results.compared("table1_modulations", records.MODULATION_COLUMNS))

    return results.once("table1_modulations", made)


def headline(part: pd.DataFrame) -> str:
    """The column of `summary` that the paper reports for data like these."""
    return next((name for name in LABELS if part[name].notna().any()), "psnr")


def trained(part: pd.DataFrame) -> pd.DataFrame:
    """The lines of methods that were trained, which have steps and seeds; all where there are no such lines."""
    found = part[part["outer_steps"] > 0]
    return found if len(found) else part


def _wide(table: pd.DataFrame, results: Results) -> list[tuple[str, list[str], list[list[str]]]]:
    """(caption, header, body) of each data set: one line per method and measure, one column per budget."""
    rows, blocks = results.rows("table1_modulations", records.MODULATION_COLUMNS), []
    searched = set(rows.loc[rows["recipe"] == records.RECIPES[-1], "dataset"])
    for (dataset, source), part in table.groupby(["dataset", "source"]):
        budgets = sorted(part["budget"].unique())
        body = []
        for method, of_method in part.groupby("method"):
            at = of_method.set_index("budget").reindex(budgets)
            lines = {LABELS[c]: map(_value, at[c], at[f"{c}_ci95"]) for c in LABELS if part[c].notna().any()}
            if part["paper"].notna().any():
                lines["paper"] = (f"{value:g}" if value >= 0 else "–" for value in at["paper"])
            if method.partition(style.RECIPE)[0] == "mscn":
                lines["sparsity %"] = (f"{value:.1f}" if value >= 0 else "–" for value in at["sparsity_pct"])
            shared = at["shared_parameters"]
            lines["shared parameters"] = (f"{value:,.0f}" if value >= 0 else "–" for value in shared)
            body += [[style.label(method), line, *cells] for line, cells in lines.items()]
        seeds, steps, signals = (sorted(trained(part)[c].unique()) for c in ("seeds", "outer_steps", "signals"))
        caption = (
            f"{' '.join(filter(None, [f'{dataset}{style.SOURCES[source]}', style.trained_elsewhere(part, str)]))}: "
            f"PSNR in dB at each number of non-zeros per signal; {_range(steps)} outer steps, {_range(signals)} test "
            f"signals, {_range(seeds)} {'seed' if seeds == [1] else 'seeds'}, {style.INTERVALS}"
        )
        counts = trials.per_method(results.folder, "table1_modulations", dataset)
        if counts and dataset in searched:
            caption += f"; recipe best: the best of {_range(counts)} trials of each method"
        blocks.append((caption, ["method", "", *map(str, budgets)], body))
    return blocks


def _range(values: list) -> str:
    return str(values[0]) if len(values) == 1 else f"{values[0]}-{values[-1]}"


def _value(mean: float, half_width: float) -> str:
    return "–" if np.isnan(mean) else f"{mean:.2f}" + ("" if np.isnan(half_width) else f" ± {half_width:.2f}")


def _figure(table: pd.DataFrame, results: Results) -> plt.Figure:
    # At equal FLOPs networks are as wide as the base network, or wider by a unit: a line in the table.
    table = table[~table["method"].str.endswith("equal flops")]
    parts = list(table.groupby(["dataset", "source"]))
    methods = style.ordered(table["method"])
    columns = min(len(parts), 2)
    rows = -(-len(parts) // columns)
    figure, axes = style.grid(rows, columns, 4.4 * columns, 2.9 * rows + 0.6)
    for axis in axes.flat[len(parts) :]:
        axis.remove()
    for axis, ((dataset, source), part) in zip(axes.flat, parts, strict=False):
        shown, budgets = headline(part), sorted(part["budget"].unique())
        there = [method for method in methods if (part["method"] == method).any()]
        for index, method in enumerate(there):
            of_method, label = part[part["method"] == method], style.label(method)
            at = of_method["budget"].map(budgets.index)
            aside = at + style.dodge(index, len(there), 0.5)
            style.curve(axis, at, aside, of_method[shown], of_method[f"{shown}_ci95"], method, label=label)
            if of_method["paper"].notna().any():
                axis.plot(at, of_method["paper"], **style.look(method, color="0.6", label=f"{label}, paper"))
        axis.set_xticks(range(len(budgets)), map(str, budgets))
        axis.grid(visible=False, axis="x")
        quality = LABELS[shown] if shown == "accuracy_pct" else "PSNR (dB)"
        axis.set(xlabel="non-zeros per signal", ylabel=quality)
        seeds = sorted(trained(part)["seeds"].unique())
        counts = f"{part['outer_steps'].max()} steps", f"{_range(seeds)} {'seed' if seeds == [1] else 'seeds'}"
        more = " · ".join(filter(None, [*counts, style.trained_elsewhere(part)]))
        axis.set_title(f"{style.named(dataset, source)}\n{more}")
    # One legend for all: within the axes it would lie over an interval.
    handles = {handle.get_label(): handle for axis in axes.flat for handle in axis.lines}
    names = [name for method in methods for name in (style.label(method), f"{style.label(method)}, paper")]
    style.legend(figure, 3, {name: handles[name] for name in names if name in handles})
    about = f"means, {style.INTERVALS}; all methods have the same signals, so that\n"
    about += "differences vary less than that; intervals of one number are drawn side by side"
    figure.suptitle(f"Quality at a number of non-zeros per signal · preset {results.preset}\n{about}", fontsize=10)
    return figure
