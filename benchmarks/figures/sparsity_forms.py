"""The five forms of sparsity: a table, and PSNR against the share of the network's FLOPs that is left."""

import matplotlib.pyplot as plt
import pandas as pd

from benchmarks.figures import style, tables
from benchmarks.figures.results import Drawn, Results

CELL = ["dataset", "source", "budget", "method"]

MEANS = ["psnr_db", "kept_fraction", "overlap", "flops_dense", "flops_non_zero", "flops_compacted"]
MEANS += ["dense_s", "compacted_s", "gates", "open_gates"]

CELLS = [
    ("form", "{form}"),
    ("gates open", "{open_gates:.0f} of {gates:.0f}"),
    ("kept of parameters", "{kept_fraction:.1%}"),
    ("PSNR (dB)", "{psnr_db:.2f} ± {psnr_db_std:.2f}"),
    ("FLOPs in zeros", "{saved_non_zero:.0%}"),
    ("FLOPs saved", "{saved:.0%}"),
    ("speed-up", "{speedup:.2f}"),
    ("overlap", "{overlap:.2f}"),
]


def draw(results: Results) -> Drawn:
    """The table and the figure."""
    table = summary(results.rows("sparsity_forms_summary", [*CELL, *MEANS, "seed", "signals"]))
    return {"sparsity_forms.md": _markdown(table, results.preset), "sparsity_forms": _figure(table, results)}


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """One line per data set, budget and form: means over seeds, and `psnr_db_std`, their deviation (0 of one seed)."""
    table = tables.across_seeds(runs, CELL, MEANS)
    return table.assign(
        form=table["method"].map(style.label),
        psnr_db_std=table["psnr_db_std"].fillna(0),
        saved=1 - table["flops_compacted"] / table["flops_dense"],
        saved_non_zero=1 - table["flops_non_zero"] / table["flops_dense"],
        speedup=table["dense_s"] / table["compacted_s"],
    )


def _markdown(table: pd.DataFrame, preset: str) -> str:
    text = f"Forms of sparsity, preset {preset}. "
    text += "FLOPs and speed are of a forward pass of the network theta0 + delta.\n"
    for (dataset, source, budget), part in table.groupby(["dataset", "source", "budget"]):
        counts = f"{style.count(part['seeds'].max(), 'seed')}, {part['signals'].max()} test signals"
        rows = part.set_index("method").loc[style.ordered(part["method"])]
        text += f"\n{dataset}{style.SOURCES[source]}, budget {budget:g}, {counts}:\n\n{tables.formatted(rows, CELLS)}"
    return text


def _figure(table: pd.DataFrame, results: Results) -> plt.Figure:
    parts = list(table.groupby(["dataset", "source", "budget"]))
    figure, axes = style.grid(1, len(parts), 3.4 * len(parts), 3.6, sharey=True)
    for axis, ((dataset, source, budget), part) in zip(axes[0], parts, strict=True):
        for method in style.ordered(part["method"]):
            of_method = part[part["method"] == method]
            look = style.look(method, linestyle="", markeredgecolor="black", capsize=3, label=style.label(method))
            flops = 100 * (1 - of_method["saved"])
            axis.errorbar(flops, of_method["psnr_db"], yerr=of_method["psnr_db_std"], **look)
        axis.set(xlabel="FLOPs of the compacted network (% of dense)", ylabel="PSNR (dB), mean over test signals")
        seeds = style.count(part["seeds"].max(), "seed")
        axis.set_title(f"{results.title(dataset, source)}\n{100 * budget:g}% of the gates open, {seeds}")
    style.legend(figure, 3)
    return figure
