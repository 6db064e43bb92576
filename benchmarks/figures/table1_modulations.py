"""Table 1 as Markdown, LaTeX and CSV, and as a figure: PSNR against the number of modulations."""

import pathlib

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.stats

from benchmarks import records
from benchmarks.figures import style

PAPER_DATASETS = {"celeb_a_hq": "CelebA-HQ 64x64"}
"""Our data set -> the paper's, where they are the same data."""

CELL = ["dataset", "source", "method", "budget"]


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes the table's three forms and its figure; returns the files."""
    rows = records.read(results / preset / "table1_modulations.csv")
    table = summary(rows, published())
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
    """The paper's Table 1: columns dataset, method, budget, paper."""
    rows = pd.read_csv(records.PUBLISHED / "mscn_paper.csv")
    rows = rows[(rows["source"] == "paper Table 1") & (rows["x_unit"] == "modulations") & (rows["metric"] == "psnr_dB")]
    names = {theirs: ours for ours, theirs in PAPER_DATASETS.items()}
    return pd.DataFrame(
        {
            "dataset": rows["dataset"].map(names),
            "method": rows["method"].str.lower(),
            "budget": rows["x"].astype(int),
            "paper": rows["value"],
        }
    ).dropna()


def summary(rows: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """One line a data set, method and budget.

    Both PSNR conventions in dB, each a mean over seeds with the half-width of its 95% interval (Student's t; empty for
    one seed): `psnr` averages the signals' PSNRs, `psnr_of_mse` is the PSNR of the signals' mean MSE. `sparsity_pct`
    is the share of zeros in the code; `paper` the paper's value for the same data set.
    """
    # A code that happens to hold a zero more than the others of its run is still a code of that run.
    rows = rows.assign(budget=rows.groupby("run_id")["budget"].transform("max"))
    per_seed = rows.groupby([*CELL, "seed"], as_index=False).agg(
        psnr=("psnr_db", "mean"),
        mse=("mse", "mean"),
        surviving=("surviving_fraction", "mean"),
        signals=("signal_id", "size"),
        outer_steps=("outer_steps", "first"),
    )
    per_seed["psnr_of_mse"] = -10 * np.log10(per_seed["mse"])
    groups = per_seed.groupby(CELL)
    table = pd.DataFrame(
        {
            "seeds": groups.size(),
            "signals": groups["signals"].first(),
            "outer_steps": groups["outer_steps"].first(),
            "sparsity_pct": 100 * (1 - groups["surviving"].mean()),
            "psnr": groups["psnr"].mean(),
            "psnr_ci95": groups["psnr"].agg(_half_width),
            "psnr_of_mse": groups["psnr_of_mse"].mean(),
            "psnr_of_mse_ci95": groups["psnr_of_mse"].agg(_half_width),
        }
    ).reset_index()
    return table.merge(paper, how="left", on=["dataset", "method", "budget"])


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
            for column, label in (("psnr", "mean of PSNRs"), ("psnr_of_mse", "PSNR of mean MSE")):
                body.append([name, label, *(_value(of_method, b, column) for b in budgets)])
            body.append([name, "paper", *(_plain(of_method, b, "paper", "{:.1f}") for b in budgets)])
            if method == "mscn":
                body.append([name, "sparsity %", *(_plain(of_method, b, "sparsity_pct", "{:.1f}") for b in budgets)])
        seeds, steps, signals = (sorted(part[c].unique()) for c in ("seeds", "outer_steps", "signals"))
        caption = (
            f"{dataset}{style.SOURCES[source]}: PSNR in dB at each number of modulations; "
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
    figure, axes = plt.subplots(1, len(parts), figsize=(3.6 * len(parts), 2.8), squeeze=False, layout="constrained")
    for axis, ((dataset, source), part) in zip(axes[0], parts, strict=True):
        for method, of_method in part.groupby("method"):
            axis.errorbar(
                of_method["budget"],
                of_method["psnr"],
                yerr=of_method["psnr_ci95"],
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
        axis.set_ylabel("PSNR (dB), mean over test signals")
        steps, seeds = part["outer_steps"].max(), part["seeds"].max()
        axis.set_title(style.title(dataset, source, preset, f"{steps} steps", style.count(seeds, "seed")))
        axis.legend()
    return figure
