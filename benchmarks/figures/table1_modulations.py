"""Table 1 as Markdown, LaTeX and CSV, and as a figure: quality against the number of modulations."""

import pathlib

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.stats

from benchmarks import records
from benchmarks.figures import style

PAPER_DATASETS = {
    "celeb_a_hq": "CelebA-HQ 64x64",
    "era5": "ERA5 181x360",
    "shapenet10": "ShapeNet10 64^3",
    "srn_cars": "SRN Cars 128x128",
}
"""Our data set -> the paper's, which it is where its source is real and the preset is paper."""

LABELS = {
    "accuracy_pct": "voxel accuracy (%)",
    "psnr": "mean of PSNRs",
    "psnr_of_mse": "PSNR of mean MSE",
    "psnr_weighted": "mean of PSNRs, weighted by area",
}
"""Figure of quality -> its name; the first that a data set has is the one that the paper reports."""

CELL = ["dataset", "source", "method", "budget"]


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes the table's three forms and its figure; returns the files."""
    rows = records.read(results / preset / "table1_modulations.csv", records.MODULATION_COLUMNS)
    # The other presets run smaller networks at other sizes.
    table = summary(rows, published() if preset == "paper" else published().head(0))
    written = []
    for suffix, text in (
        ("csv", table.to_csv(index=False, float_format="%.4f")),
        ("md", _markdown(table, preset)),
        ("tex", _latex(table, preset)),
    ):
        path = plots / preset / f"table1_modulations.{suffix}"
        with records.replaced(path) as out:
            out.write(text)
        written.append(path)
    return written + style.save(_figure(table, preset), plots / preset, "table1_modulations")


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


def summary(rows: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """One line a data set, method and budget.

    Both PSNR conventions in dB, each a mean over seeds with the half-width of its 95% interval (Student's t; empty for
    one seed): `psnr` averages the signals' PSNRs, `psnr_of_mse` is the PSNR of the signals' mean MSE. Likewise
    `accuracy_pct`, the share of voxels on the right side, and `psnr_weighted`, of squared errors weighted by area;
    empty for other data. `sparsity_pct` is the share of zeros in the code; `paper` the paper's value for the same data.
    """
    # A code that happens to hold a zero more than the others of its run is still a code of that run.
    rows = rows.assign(budget=rows.groupby("run_id")["budget"].transform("max"))
    per_seed = rows.groupby([*CELL, "seed"], as_index=False).agg(
        psnr=("psnr_db", "mean"),
        mse=("mse", "mean"),
        surviving=("surviving_fraction", "mean"),
        signals=("signal_id", "size"),
        outer_steps=("outer_steps", "first"),
        trained_on=("trained_on", "first"),
        accuracy_pct=("voxel_accuracy", "mean"),
        psnr_weighted=("psnr_weighted_db", "mean"),
    )
    per_seed["accuracy_pct"] *= 100
    per_seed["psnr_of_mse"] = -10 * np.log10(per_seed["mse"])
    groups = per_seed.groupby(CELL)
    table = pd.DataFrame(
        {
            "seeds": groups.size(),
            "signals": groups["signals"].first(),
            "outer_steps": groups["outer_steps"].first(),
            "sparsity_pct": 100 * (1 - groups["surviving"].mean()),
            "trained_on": groups["trained_on"].first(),
        }
        | {
            f"{name}{suffix}": groups[name].agg(how)
            for name in LABELS
            for suffix, how in (("", "mean"), ("_ci95", _half_width))
        }
    ).reset_index()
    return table.merge(paper, how="left", on=CELL)


def headline(part: pd.DataFrame) -> str:
    """The column of `summary` that the paper reports for data like these."""
    return next(name for name in LABELS if part[name].notna().any())


def _half_width(values: pd.Series) -> float:
    """Half the 95% confidence interval of the mean; NaN for one value."""
    count = len(values)
    if count < 2:
        return float("nan")
    return scipy.stats.t.ppf(0.975, count - 1) * values.std(ddof=1) / count**0.5


def _wide(table: pd.DataFrame) -> list[tuple[str, list[str], list[list[str]]]]:
    """(caption, header, body) of each data set: a line a method and convention, a column a budget."""
    blocks = []
    for (dataset, source), part in table.groupby(["dataset", "source"]):
        budgets = sorted(part["budget"].unique())
        body = []
        for method in sorted(part["method"].unique()):
            of_method = part[part["method"] == method].set_index("budget")
            name = style.METHOD_NAMES[method]
            for column, label in LABELS.items():
                if part[column].notna().any():
                    body.append([name, label, *(_value(of_method, b, column) for b in budgets)])
            if part["paper"].notna().any():
                body.append([name, "paper", *(_plain(of_method, b, "paper", "{:g}") for b in budgets)])
            if method == "mscn":
                body.append([name, "sparsity %", *(_plain(of_method, b, "sparsity_pct", "{:.1f}") for b in budgets)])
        seeds, steps, signals = (sorted(part[c].unique()) for c in ("seeds", "outer_steps", "signals"))
        trained = (
            ""
            if (trained_on := part["trained_on"].iloc[0]).startswith(dataset)
            else f" trained on {style.trained_on(trained_on)}"
        )
        caption = (
            f"{dataset}{style.SOURCES[source]}{trained}: PSNR in dB at each number of modulations; "
            f"{_range(steps)} outer steps, {_range(signals)} test signals, "
            f"mean and 95% interval over {_range(seeds)} {'seed' if seeds == [1] else 'seeds'}"
        )
        blocks.append((caption, ["method", "", *map(str, budgets)], body))
    return blocks


def _range(values: list) -> str:
    return str(values[0]) if len(values) == 1 else f"{values[0]}-{values[-1]}"


def _value(part: pd.DataFrame, budget: int, column: str) -> str:
    if budget not in part.index:
        return "–"
    mean, half = part.loc[budget, column], part.loc[budget, f"{column}_ci95"]
    return f"{mean:.2f}" + ("" if np.isnan(half) else f" ± {half:.2f}")


def _plain(part: pd.DataFrame, budget: int, column: str, form: str) -> str:
    return form.format(part.loc[budget, column]) if budget in part.index and part.loc[budget, column] >= 0 else "–"


def _markdown(table: pd.DataFrame, preset: str) -> str:
    lines = [f"Table 1, preset {preset}.", ""]
    for caption, header, body in _wide(table):
        lines += [caption, "", "| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
        lines += ["| " + " | ".join(cells) + " |" for cells in body] + [""]
    return "\n".join(lines)


def _latex(table: pd.DataFrame, preset: str) -> str:
    lines = []
    for caption, header, body in _wide(table):
        lines += [
            "\\begin{table}",
            f"  \\caption{{Table 1, preset {preset}. {_escaped(caption)}.}}",
            f"  \\begin{{tabular}}{{ll{'r' * (len(header) - 2)}}}",
            "    \\toprule",
            "    " + " & ".join(map(_escaped, header)) + " \\\\",
            "    \\midrule",
            *("    " + " & ".join(map(_escaped, cells)) + " \\\\" for cells in body),
            "    \\bottomrule",
            "  \\end{tabular}",
            "\\end{table}",
            "",
        ]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    for plain, tex in (("_", "\\_"), ("%", "\\%"), ("±", "$\\pm$"), ("–", "--")):
        text = text.replace(plain, tex)
    return text


def _figure(table: pd.DataFrame, preset: str) -> plt.Figure:
    parts = list(table.groupby(["dataset", "source"]))
    columns = min(len(parts), 2)
    rows = -(-len(parts) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.6 * columns, 2.8 * rows), squeeze=False, layout="constrained")
    for axis in axes.flat[len(parts) :]:
        axis.remove()
    for axis, ((dataset, source), part) in zip(axes.flat, parts, strict=False):
        shown = headline(part)
        for method, of_method in part.groupby("method"):
            axis.errorbar(
                of_method["budget"],
                of_method[shown],
                yerr=of_method[f"{shown}_ci95"],
                label=style.METHOD_NAMES[method],
                capsize=3,
                **style.METHOD_STYLES[method],
            )
            if of_method["paper"].notna().any():
                look = {**style.METHOD_STYLES[method], "color": "0.6"}
                axis.plot(of_method["budget"], of_method["paper"], label=f"{style.METHOD_NAMES[method]}, paper", **look)
        axis.set_xscale("log", base=2)
        axis.set_xticks(sorted(part["budget"].unique()), map(str, sorted(part["budget"].unique())))
        axis.set_xlabel("non-zero modulations a signal")
        axis.set_ylabel(LABELS[shown] if shown == "accuracy_pct" else "mean PSNR (dB)")
        steps, seeds = part["outer_steps"].max(), part["seeds"].max()
        counts = f"{steps} steps · {style.count(seeds, 'seed')}"
        trained_on = part["trained_on"].iloc[0]
        more = "" if trained_on.startswith(dataset) else f" · trained on {style.trained_on(trained_on)}"
        axis.set_title(f"{style.title(dataset, source, preset)}\n{counts}{more}")
    handles = {
        label: handle for axis in figure.axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    # One for all: within the axes it would lie over an interval.
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles))
    return figure
