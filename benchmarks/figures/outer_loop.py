"""PSNR against seconds of training: curves of the variants of the outer loop, and a table."""

import pathlib

import matplotlib.pyplot as plt
import pandas as pd

from benchmarks import records
from benchmarks.figures import style

FAMILIES = {
    "gradient": ("first_order", "truncated_1", "truncated_2", "inner_steps_2", "bfloat16"),
    "points and batches": (
        "stride_4",
        "all_points",
        "fresh_points",
        "coarse_to_fine",
        "fine_to_all",
        "batch_8",
        "batch_32",
    ),
    "rates and rules": (
        "constant_rate",
        "warmup_5",
        "nadam",
        "adabelief",
        "lion",
        "muon",
        "muon_short",
        "muon_warmup_5",
        "muon_3",
    ),
}
"""Title of a panel -> its variants; `base` is in each."""

LOOKS = (
    {"color": "#fc8d59", "linestyle": "--", "marker": "s"},
    {"color": "#238b45", "linestyle": "-.", "marker": "^"},
    {"color": "#807dba", "linestyle": ":", "marker": "D"},
    {"color": "#a63603", "linestyle": "--", "marker": "v"},
    {"color": "#41b6c4", "linestyle": "-.", "marker": "P"},
    {"color": "#636363", "linestyle": ":", "marker": "x"},
    {"color": "#dd3497", "linestyle": "--", "marker": "<"},
    {"color": "#252525", "linestyle": "-.", "marker": ">"},
    {"color": "#bdbdbd", "linestyle": "-", "marker": "*"},
)


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes the table and the figure; returns the files."""
    rows = pd.read_csv(results / preset / "outer_loop.csv")
    path = plots / preset / "outer_loop.md"
    with records.replaced(path) as out:
        out.write(_markdown(ends(rows), rows, preset))
    return [path, *style.save(_figure(rows, preset), plots / preset, "outer_loop")]


def ends(rows: pd.DataFrame) -> pd.DataFrame:
    """The last row of each run, with `gain`: its PSNR above that of `base`, of the same method and seed."""
    last = rows[rows["step"] == rows["outer_steps"]]
    base = last.loc[last["variant"] == "base", ["method", "seed", "psnr_db"]]
    joined = last.merge(base, how="left", on=["method", "seed"], suffixes=("", "_base"))
    return joined.assign(gain=joined["psnr_db"] - joined["psnr_db_base"])


def _markdown(last: pd.DataFrame, rows: pd.DataFrame, preset: str) -> str:
    first = rows.iloc[0]
    methods = list(dict.fromkeys(rows["method"]))
    header = ["variant", "seeds", "outer steps"]
    for method in methods:
        header += [f"{style.METHOD_NAMES[method]}: s", "dB", "against base"]
    lines = [
        f"PSNR of {first['signals']} validation signals after about the same seconds of training (muon short: fewer), "
        f"{style.title(first['dataset'], first['source'], preset)}, {first['budget']} numbers a signal, "
        f"means over the seeds, {first['device']}.",
        "",
        "| " + " | ".join(header) + " |",
        "|" + "---|" * len(header),
    ]
    for variant in dict.fromkeys(last["variant"]):
        part = last[last["variant"] == variant]
        cells = [variant.replace("_", " "), str(part["seed"].nunique()), str(part["outer_steps"].iloc[0])]
        for method in methods:
            own = part[part["method"] == method]
            cells += [f"{own['train_s'].mean():.1f}", f"{own['psnr_db'].mean():.2f}", f"{own['gain'].mean():+.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _seeds(rows: pd.DataFrame) -> str:
    """How many, where variants differ from the fewest to the most."""
    counts = rows.groupby("variant")["seed"].nunique()
    fewest, most = counts.min(), counts.max()
    return style.count(most, "seed") if fewest == most else f"{fewest} to {style.count(most, 'seed')}"


def _figure(rows: pd.DataFrame, preset: str) -> plt.Figure:
    methods, first = list(dict.fromkeys(rows["method"])), rows.iloc[0]
    figure, axes = plt.subplots(
        len(methods),
        len(FAMILIES),
        figsize=(9.6, 0.6 + 2.7 * len(methods)),
        sharey="row",
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    best = rows.groupby("method")["psnr_db"].max()
    for line, method in enumerate(methods):
        for axis, (family, variants) in zip(axes[line], FAMILIES.items(), strict=True):
            looks = [
                ("base", {"color": "#08306b", "linestyle": "-", "marker": "o"}),
                *zip(variants, LOOKS, strict=False),
            ]
            for variant, look in looks:
                part = rows[(rows["variant"] == variant) & (rows["method"] == method)]
                if len(part):
                    mean = part.groupby("step")[["train_s", "psnr_db"]].mean()
                    name = variant.replace("_", " ")
                    axis.plot(mean["train_s"], mean["psnr_db"], markersize=4, linewidth=1.2, label=name, **look)
            axis.set_title(f"{style.METHOD_NAMES[method]}: {family}")
            axis.set_ylim(best[method] - 3, best[method] + 0.2)
            axis.set_xlim(left=0)
        axes[line, 0].set_ylabel("PSNR, validation (dB)")
    for axis in axes[-1]:
        axis.set_xlabel("training (s)")
        axis.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    figure.suptitle(
        f"{style.title(first['dataset'], first['source'], preset)} · {first['budget']} numbers a signal · "
        f"{_seeds(rows)}\n{first['device']}",
        fontsize=9,
    )
    return figure
