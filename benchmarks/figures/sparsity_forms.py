"""The five forms of sparsity: a table, and a figure of PSNR and of the share of the network's FLOPs that is left."""

import matplotlib.pyplot as plt
import pandas as pd

from benchmarks.figures import style, tables
from benchmarks.figures.results import Drawn, Results

DENSE = "dense"
"""`method` of the network all of which is adapted."""

CELL = ["dataset", "source", "budget", "method"]

MEANS = ["psnr_db", "kept_fraction", "overlap", "flops_dense", "flops_non_zero", "flops_compacted"]
MEANS += ["dense_s", "compacted_s", "gates", "open_gates"]

CELLS = [
    ("form", "{form}"),
    ("gates open", "{open_gates:.0f} of {gates:.0f}"),
    ("kept of parameters", "{kept_fraction:.1%}"),
    ("PSNR (dB)", "{psnr_db:.2f} ± {psnr_db_ci95:.2f}"),
    ("FLOPs in zeros", "{saved_non_zero:.0%}"),
    ("FLOPs saved", "{saved:.0%}"),
    ("speed-up", "{speedup:.2f}"),
    ("overlap", "{overlap:.2f}"),
]


def draw(results: Results) -> Drawn:
    """The table and the figure."""
    runs = results.rows("sparsity_forms_summary", [*CELL, *MEANS, "seed", "signals"])
    table = summary(runs, results.rows("sparsity_forms", [*CELL, "seed", "signal_id", "psnr_db"]))
    return {"sparsity_forms.md": _markdown(table, results.preset), "sparsity_forms": _figure(table, results)}


def summary(runs: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """One line per data set, budget and form: means over seeds, and `psnr_db_ci95` of the rows, see `half_widths`."""
    widths = tables.half_widths(rows, CELL, "psnr_db").rename("psnr_db_ci95").reset_index()
    table = tables.across_seeds(runs, CELL, MEANS).merge(widths, how="left", on=CELL)
    return table.assign(
        form=table["method"].map(style.label),
        saved=1 - table["flops_compacted"] / table["flops_dense"],
        saved_non_zero=1 - table["flops_non_zero"] / table["flops_dense"],
        speedup=table["dense_s"] / table["compacted_s"],
    )


def _apart(table: pd.DataFrame) -> tuple[dict[tuple[str, str], list[float]], pd.DataFrame]:
    """PSNR of the network without gates, by data set, and the lines of the forms."""
    is_dense = table["method"] == DENSE
    dense = table[is_dense].groupby(["dataset", "source"])["psnr_db"].apply(list)
    return dense.to_dict(), table[~is_dense]


def _markdown(table: pd.DataFrame, preset: str) -> str:
    text = f"Forms of sparsity, preset {preset}. "
    text += f"FLOPs and speed are of a forward pass of the network theta0 + delta; PSNR: {style.INTERVALS}.\n"
    dense, table = _apart(table)
    for (dataset, source, budget), part in table.groupby(["dataset", "source", "budget"]):
        counts = f"{style.count(part['seeds'].max(), 'seed')}, {part['signals'].max()} test signals"
        counts += "".join(f"; without gates {psnr:.2f} dB" for psnr in dense.get((dataset, source), []))
        rows = part.set_index("method").loc[style.ordered(part["method"])]
        text += f"\n{dataset}{style.SOURCES[source]}, budget {budget:g}, {counts}:\n\n{tables.formatted(rows, CELLS)}"
    return text


def _figure(table: pd.DataFrame, results: Results) -> plt.Figure:
    """A line for each form, so that no two markers meet: PSNR on the left, FLOPs on the right."""
    dense, table = _apart(table)
    parts = list(table.groupby(["dataset", "source", "budget"]))
    forms = style.ordered(table["method"])
    figure, axes = style.grid(len(parts), 2, 7.4, (0.28 * len(forms) + 1.0) * len(parts) + 0.6, sharey=True)
    for (left, right), ((dataset, source, budget), part) in zip(axes, parts, strict=True):
        at = part["method"].map(forms.index)
        look = {"linestyle": "", "marker": "o", "markersize": 5, "color": style.look("mscn")["color"]}
        left.errorbar(part["psnr_db"], at, xerr=part["psnr_db_ci95"], capsize=3, **look)
        for psnr in dense.get((dataset, source), []):
            left.axvline(psnr, color="black", linestyle="--", linewidth=1)
            left.annotate("dense network", (psnr, -0.45), (-3, 0), textcoords="offset points", ha="right", fontsize=7)
        right.plot(100 * (1 - part["saved"]), at, **look)
        right.axvline(100, color="black", linestyle="--", linewidth=1)
        right.annotate("dense network", (100, -0.45), (-3, 0), textcoords="offset points", ha="right", fontsize=7)
        left.set(xlabel="PSNR (dB)", yticks=range(len(forms)), yticklabels=map(style.label, forms))
        right.set(xlabel="FLOPs left once compacted (%)", xlim=(0, 105))
        left.set_title(f"{style.named(dataset, source)}, {100 * budget:g}% of the gates open")
        right.set_title(f"{style.count(part['seeds'].max(), 'seed')}, {part['signals'].max()} test signals")
    left.set_ylim(len(forms) - 0.5, -0.7)
    about = f"means, {style.INTERVALS}"
    figure.suptitle(f"Forms of sparsity: quality and cost · preset {results.preset}\n{about}", fontsize=10)
    return figure
