"""The five forms of sparsity: a table, and PSNR against what of the network's FLOPs is left."""

import pathlib

import matplotlib.pyplot as plt
import pandas as pd

from benchmarks import records
from benchmarks.figures import style

FORMS = {
    "unstructured": ("unstructured", "o"),
    "structured": ("structured: columns", "s"),
    "group": ("group: sets of units", "D"),
    "representational": ("representational", "^"),
    "gradient": ("gradient (eq. 9)", "v"),
    "delta": ("theta0 + z delta", "P"),
    "delta_adapted": ("the same, gates adapted", "X"),
}
"""`method` column -> name, marker."""

MEANS = ["psnr_db", "kept_fraction", "overlap", "flops_dense", "flops_non_zero", "flops_compacted"]
MEANS += ["dense_s", "compacted_s", "largest_difference"]


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes the table as Markdown, and the figure; returns the files."""
    table = summary(pd.read_csv(results / preset / "sparsity_forms_summary.csv"))
    path = plots / preset / "sparsity_forms.md"
    with records.replaced(path) as out:
        out.write(_markdown(table, preset))
    return [path, *style.save(_figure(table, preset), plots / preset, "sparsity_forms")]


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """One line a data set, budget and form: means over seeds, `psnr_std` the standard deviation (0 for one seed)."""
    groups = runs.groupby(["dataset", "source", "budget", "method"])
    table = groups[MEANS].mean()
    table["psnr_std"] = groups["psnr_db"].std(ddof=1).fillna(0)
    table["seeds"], table["signals"] = groups.size(), groups["signals"].first()
    table["gates"], table["open_gates"] = groups["gates"].first(), groups["open_gates"].first()
    table["saved"] = 1 - table["flops_compacted"] / table["flops_dense"]
    table["saved_non_zero"] = 1 - table["flops_non_zero"] / table["flops_dense"]
    table["speedup"] = table["dense_s"] / table["compacted_s"]
    return table.reset_index()


def _markdown(table: pd.DataFrame, preset: str) -> str:
    lines = [
        f"Forms of sparsity, preset {preset}. FLOPs and speed are of a forward pass of the network theta0 + delta."
    ]
    header = "form | gates open | kept of parameters | PSNR (dB) | FLOPs in zeros | FLOPs saved | speed-up | overlap"
    for (dataset, source, budget), part in table.groupby(["dataset", "source", "budget"]):
        seeds, signals = part["seeds"].max(), part["signals"].max()
        lines += ["", f"{dataset}{style.SOURCES[source]}, budget {budget:g}, {style.count(seeds, 'seed')}, "]
        lines[-1] += f"{signals} test signals:"
        lines += ["", f"| {header} |", "|" + "---|" * len(header.split("|"))]
        for method, (name, _) in FORMS.items():
            for _, line in part[part["method"] == method].iterrows():
                cells = [
                    name,
                    f"{line['open_gates']:.0f} of {line['gates']:.0f}",
                    f"{100 * line['kept_fraction']:.1f}%",
                    f"{line['psnr_db']:.2f} ± {line['psnr_std']:.2f}",
                    f"{100 * line['saved_non_zero']:.0f}%",
                    f"{100 * line['saved']:.0f}%",
                    f"{line['speedup']:.2f}",
                    f"{line['overlap']:.2f}",
                ]
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _figure(table: pd.DataFrame, preset: str) -> plt.Figure:
    parts = list(table.groupby(["dataset", "source", "budget"]))
    figure, axes = plt.subplots(
        1, len(parts), figsize=(3.4 * len(parts), 3.6), squeeze=False, sharey=True, layout="constrained"
    )
    for axis, ((dataset, source, budget), part) in zip(axes[0], parts, strict=True):
        for index, (method, (name, marker)) in enumerate(FORMS.items()):
            of_method = part[part["method"] == method]
            axis.errorbar(
                100 * (1 - of_method["saved"]),
                of_method["psnr_db"],
                yerr=of_method["psnr_std"],
                color=str(0.1 * index),
                markeredgecolor="black",
                marker=marker,
                linestyle="",
                capsize=3,
                label=name,
            )
        axis.set_xlabel("FLOPs of the compacted network (% of dense)")
        axis.set_ylabel("PSNR (dB), mean over test signals")
        seeds = style.count(part["seeds"].max(), "seed")
        axis.set_title(f"{style.title(dataset, source, preset)}\n{100 * budget:g}% of the gates open, {seeds}")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
