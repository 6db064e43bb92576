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

LOOKS = "#08306b - o|#fc8d59 -- s|#238b45 -. ^|#807dba : D|#a63603 -- v|#41b6c4 -. P|#636363 : x|#dd3497 -- <|"
LOOKS += "#252525 -. >|#bdbdbd - *"
"""Colour, line style and marker of `base` and of the variants of a panel."""


def draw(results: Results) -> Drawn:
    """The table and the figure."""
    rows = results.rows("outer_loop", COLUMNS)
    return {"outer_loop.md": _markdown(ends(rows), rows, results), "outer_loop": _figure(rows, results)}


def ends(rows: pd.DataFrame) -> pd.DataFrame:
    """The last row of each run, with `gain`: its PSNR minus that of `base` for the same method and seed."""
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
    figure, axes = style.grid(len(methods), len(panels), 9.6, 0.6 + 2.7 * len(methods), sharey="row", sharex=True)
    for line, method in zip(axes, methods, strict=True):
        of_method = rows[rows["method"] == method]
        best = of_method["psnr_db"].max()
        for axis, (family, variants) in zip(line, panels.items(), strict=True):
            for variant, look in zip(variants, itertools.cycle(LOOKS.split("|")), strict=False):
                mean = of_method[of_method["variant"] == variant].groupby("step")[["train_s", "psnr_db"]].mean()
                if len(mean):
                    look = dict(zip(("color", "linestyle", "marker"), look.split(), strict=True))
                    look |= {"markersize": 4, "linewidth": 1.2, "label": variant.replace("_", " ")}
                    axis.plot(mean["train_s"], mean["psnr_db"], **look)
            axis.set(title=f"{style.label(method)}: {family}", ylim=(best - 3, best + 0.2))
            axis.set_xlim(left=0)
        line[0].set_ylabel("PSNR, validation (dB)")
    for axis in axes[-1]:
        axis.set_xlabel("training (s)")
        axis.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    title = results.title(first["dataset"], first["source"], f"{first['budget']} numbers per signal", _seeds(rows))
    figure.suptitle(f"{title}\n{first['device']}", fontsize=9)
    return figure
