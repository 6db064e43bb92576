"""PSNR against seconds of training: curves of the variants of the outer loop, and a table."""

import itertools

import matplotlib.pyplot as plt
import pandas as pd

from benchmarks.figures import style, tables
from benchmarks.figures.results import Drawn, Results

COLUMNS = ("dataset", "source", "variant", "method", "budget", "seed", "outer_steps", "step", "train_s", "psnr_db")
COLUMNS += ("signals", "device")

FAMILIES = {
    "gradient": "first_order truncated_1 truncated_2 inner_steps_2 bfloat16",
    "points and batches": "stride_4 all_points fresh_points coarse_to_fine fine_to_all batch_8 batch_32",
    "rates and rules": "constant_rate warmup_5 nadam adabelief lion muon muon_short muon_warmup_5 muon_3",
}
"""Title of a panel -> its variants. `base` is in each; the last panel also has the variants that are in none."""

NAMES = {
    "base": "base: second order, Adam",
    "first_order": "first-order gradient",
    "truncated_1": "gradient through the last inner step",
    "truncated_2": "gradient through the last 2 inner steps",
    "inner_steps_2": "2 inner steps in training",
    "bfloat16": "matrix products in bfloat16",
    "stride_4": "every 4th point in each direction",
    "all_points": "all points of a signal",
    "fresh_points": "new points in each inner step",
    "coarse_to_fine": "every 4th point for 60% of the steps",
    "fine_to_all": "every 2nd point for 70%, then all",
    "batch_8": "8 signals per batch",
    "batch_32": "32 signals per batch",
    "constant_rate": "constant learning rate",
    "warmup_5": "warm-up of 5% of the steps",
    "nadam": "NAdam",
    "adabelief": "AdaBelief",
    "lion": "Lion",
    "muon": "Muon",
    "muon_short": "Muon, fewer steps",
    "muon_warmup_5": "Muon, warm-up of 5%",
    "muon_3": "Muon, learning rate 0.003",
}
"""Variant -> what it changes, for people; gin/outer_loop.gin and the presets have the numbers."""

VERSIONS = "outer_loop_versions"
"""Rows of an earlier version of the code and of today's, one after the other on one machine; and their figure."""

DEPTH_DB = 3
"""How far below the best curve of a method its panels reach."""

LOOKS = "#08306b - o|#fc8d59 -- s|#238b45 -. ^|#807dba : D|#a63603 -- v|#41b6c4 -. P|#636363 : x|#dd3497 -- <|"
LOOKS += "#252525 -. >|#bdbdbd - *"
"""Colour, line style and marker of `base` and of the variants of a panel."""


def draw(results: Results) -> Drawn:
    """The table and a figure for each data set; another of two versions of the code, where there are rows of them."""
    parts = results.rows("outer_loop", COLUMNS).groupby(["dataset", "source", "budget"], sort=False)
    drawn = {"outer_loop.md": "\n".join(_markdown(ends(part), part, results) for _, part in parts)}
    for index, part in parts:
        drawn["outer_loop" if len(parts) == 1 else f"outer_loop_{'_'.join(map(str, index))}"] = _figure(part, results)
    if results.has(VERSIONS):
        drawn[VERSIONS] = _versions(results.rows(VERSIONS, ("version", *COLUMNS)), results)
    return drawn


def ends(rows: pd.DataFrame) -> pd.DataFrame:
    """The last row of each run, with `gain`: its PSNR minus that of `base` for the same method and seed.

    The rows are of one data set and budget.
    """
    last = rows[rows["step"] == rows["outer_steps"]]
    base = last.loc[last["variant"] == "base", ["method", "seed", "psnr_db"]]
    joined = last.merge(base, how="left", on=["method", "seed"], suffixes=("", "_base"))
    return joined.assign(gain=joined["psnr_db"] - joined["psnr_db_base"])


def _markdown(last: pd.DataFrame, rows: pd.DataFrame, results: Results) -> str:
    first, methods = rows.iloc[0], rows["method"].unique()
    header, body = ["variant", "seeds", "outer steps"], []
    for method in methods:
        header += [f"{style.label(method)}: s", "dB", "against base"]
    for variant, part in last.groupby("variant", sort=False):
        cells = [variant.replace("_", " "), str(part["seed"].nunique()), str(part["outer_steps"].iloc[0])]
        for method in methods:
            mean = part.loc[part["method"] == method, ["train_s", "psnr_db", "gain"]].mean()
            cells += [f"{mean['train_s']:.1f}", f"{mean['psnr_db']:.2f}", f"{mean['gain']:+.2f}"]
        body.append(cells)
    heading = f"PSNR of {first['signals']} validation signals after about the same seconds of training (muon short: "
    heading += f"fewer), {first['dataset']}{style.SOURCES[first['source']]} · preset {results.preset}, "
    heading += f"{first['budget']} numbers per signal, "
    return f"{heading}means over the seeds, {first['device']}.\n\n" + tables.markdown(header, body)


def _seeds(rows: pd.DataFrame) -> str:
    """How many seeds there are, from the fewest to the most where variants differ."""
    counts = rows.groupby("variant")["seed"].nunique()
    fewest, most = counts.min(), counts.max()
    return style.count(most, "seed") if fewest == most else f"{fewest} to {style.count(most, 'seed')}"


def _panels(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Title -> variants, with those of the rows that `FAMILIES` does not name."""
    panels = {family: ["base", *variants.split()] for family, variants in FAMILIES.items()}
    named = {variant for variants in panels.values() for variant in variants}
    panels[list(panels)[-1]] += [variant for variant in rows["variant"].dropna().unique() if variant not in named]
    return panels


def _figure(rows: pd.DataFrame, results: Results) -> plt.Figure:
    methods, first, panels = rows["method"].unique(), rows.iloc[0], _panels(rows)
    figure, axes = style.grid(len(methods), len(panels), 10.2, 0.8 + 2.8 * len(methods), sharey="row", sharex=True)
    for line, method in zip(axes, methods, strict=True):
        of_method = rows[rows["method"] == method]
        best = of_method["psnr_db"].max()
        for axis, (family, variants) in zip(line, panels.items(), strict=True):
            for variant, look in zip(variants, itertools.cycle(LOOKS.split("|")), strict=False):
                mean = of_method[of_method["variant"] == variant].groupby("step")[["train_s", "psnr_db"]].mean()
                if len(mean):
                    look = dict(zip(("color", "linestyle", "marker"), look.split(), strict=True))
                    look |= {"linewidth": 2, "zorder": 3} if variant == "base" else {"linewidth": 1.2}
                    look["label"] = NAMES.get(variant, variant.replace("_", " "))
                    axis.plot(mean["train_s"], mean["psnr_db"], markersize=4, **look)
            axis.set(title=f"{style.label(method)}: {family}", ylim=(best - DEPTH_DB, best + 0.2))
            axis.set_xlim(left=0)
        line[0].set_ylabel("PSNR, validation (dB)")
    for axis in axes[-1]:
        axis.set_xlabel("training (s)")
        axis.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.25))
    title = f"Variants of the outer loop against seconds of training: {style.named(first['dataset'], first['source'])}"
    about = f"{first['budget']} numbers per signal, means over {_seeds(rows)}, {first['device']}"
    about += f"; what is more than {DEPTH_DB} dB below the best is cut off"
    if "mscn" in methods:
        about += "\nbefore MSCN's gates freeze, all numbers of its codes count"
    figure.suptitle(f"{title} · preset {results.preset}\n{about}", fontsize=10)
    return figure


def _versions(rows: pd.DataFrame, results: Results) -> plt.Figure:
    """PSNR against seconds, before and after, a panel for each method."""
    methods, first = rows["method"].unique(), rows.iloc[0]
    figure, axes = style.grid(1, len(methods), 8.2, 3.8, sharey=True)
    colors = dict(zip(rows["variant"].unique(), ("#08306b", "#fc8d59", "#238b45"), strict=False))
    lines = {"before": {"linestyle": "--", "markerfacecolor": "white"}, "after": {"linestyle": "-"}}
    for axis, method in zip(axes[0], methods, strict=True):
        for (variant, version), part in rows[rows["method"] == method].groupby(["variant", "version"], sort=False):
            look = {"color": colors[variant], "marker": "os^"[list(colors).index(variant)], "markersize": 4}
            label = f"{NAMES.get(variant, variant)}, {version}"
            axis.plot(part["train_s"], part["psnr_db"], label=label, **look, **lines[version])
        best = rows["psnr_db"].max()
        axis.set(title=style.label(method), xlabel="training (s)", ylim=(best - DEPTH_DB, best + 0.2))
        axis.set_xlim(left=0)
    axes[0, 0].set_ylabel("PSNR, validation (dB)")
    style.legend(figure, 2, fontsize=8)
    title = f"Before and after the meta-step was made faster: {style.named(first['dataset'], first['source'])}"
    about = f"{first['budget']} numbers per signal, {first['outer_steps']} outer steps each, {style.count(1, 'seed')}, "
    figure.suptitle(f"{title} · preset {results.preset}\n{about}{first['device']}", fontsize=10)
    return figure
