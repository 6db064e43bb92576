"""Cost of a meta-step: time and temporary memory beside the plain version, as a figure and a Markdown table."""

import pathlib

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.figures import style

SIZE = ["width", "depth", "batch", "code"]

VARIANTS = {
    ("plain", "plain"): ("plain: jnp.sin, unrolled", {"color": "0.85", "hatch": "//"}),
    ("mscn_flax", "plain"): ("MSCN-Flax with jnp.sin", {"color": "0.6", "hatch": ""}),
    ("mscn_flax", "fast"): ("MSCN-Flax", {"color": "#08306b", "hatch": ""}),
}
"""(variant, sine) -> name and look, in the order in which they are drawn."""


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes the table and the figure; returns the files."""
    rows = pd.read_csv(results / preset / "speed.csv")
    table = compared(rows)
    path = plots / preset / "speed.md"
    with records.replaced(path) as out:
        out.write(_markdown(table, preset))
    return [path, *style.save(_figure(table, preset), plots / preset, "speed")]


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `speedup` and `memory_share`: against the plain version of the same size, from the same run."""
    plain = rows.loc[rows["variant"] == "plain", [*SIZE, "step_s", "temp_bytes"]]
    joined = rows.merge(plain, how="left", on=SIZE, suffixes=("", "_plain"))
    return joined.assign(
        speedup=joined["step_s_plain"] / joined["step_s"],
        memory_share=joined["temp_bytes"] / joined["temp_bytes_plain"],
        matmul_share=joined["gflop_per_s"] / joined["matmul_gflop_per_s"],
    )


def _of_variant(table: pd.DataFrame, variant: str, sine: str) -> pd.DataFrame:
    return table[(table["variant"] == variant) & (table["sine"] == sine)].sort_values(SIZE)


def _markdown(table: pd.DataFrame, preset: str) -> str:
    header = (
        "width, depth, batch",
        "code",
        "version",
        "s/step (median)",
        "times faster than plain",
        "temporary MiB",
        "share of plain",
        "GFLOP/s",
        "share of matmul rate",
    )
    lines = [
        f"Cost of one meta-step, preset {preset}: {_common(table)}.",
        "",
        "| " + " | ".join(header) + " |",
        "|" + "---|" * len(header),
    ]
    for _, size in table.groupby(SIZE):
        for key, (name, _) in VARIANTS.items():
            for row in _of_variant(size, *key).itertuples():
                cells = (
                    f"{row.width}, {row.depth}, {row.batch}",
                    style.METHOD_NAMES[row.code],
                    name,
                    f"{row.step_s:.3g}",
                    f"{row.speedup:.2f}",
                    f"{row.temp_bytes / 2**20:.0f}",
                    f"{row.memory_share:.2f}",
                    f"{row.gflop_per_s:.1f}",
                    f"{row.matmul_share:.2f}",
                )
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _common(table: pd.DataFrame) -> str:
    points, steps = sorted(table["points"].unique()), sorted(table["inner_steps"].unique())
    devices = " and ".join(sorted(table.loc[table["variant"] != "plain", "device"].unique()))
    return f"{'/'.join(map(str, points))} points, {'/'.join(map(str, steps))} inner steps, float32, {devices}"


def _figure(table: pd.DataFrame, preset: str) -> plt.Figure:
    sizes = list(table.groupby(SIZE).groups)
    labels = [f"{w}×{d}, batch {b}\n{style.METHOD_NAMES[code]}" for w, d, b, code in sizes]
    figure, axes = plt.subplots(1, 2, figsize=(3.6 + 1.1 * len(sizes), 3.8), layout="constrained")
    place, width = np.arange(len(sizes)), 0.27
    for index, (key, (name, look)) in enumerate(VARIANTS.items()):
        part = _of_variant(table, *key).set_index(SIZE).reindex(sizes)
        for axis, values, shown in (
            (axes[0], part["step_s"], part["speedup"].map("{:.2f}×".format)),
            (axes[1], part["temp_bytes"] / 2**20, part["memory_share"].map("{:.2f}".format)),
        ):
            bars = axis.bar(place + (index - 1) * width, values, width, label=name, edgecolor="black", **look)
            if key[0] != "plain":
                axis.bar_label(bars, shown, fontsize=6, padding=1)
    axes[0].set_ylabel("time of a meta-step (s)")
    axes[0].set_title("above the bars: times faster than plain")
    axes[1].set_ylabel("temporary memory (MiB)")
    axes[1].set_title("above the bars: share of plain")
    for axis in axes:
        axis.set_yscale("log")
        axis.margins(y=0.2)
        axis.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        axis.set_xticks(place, labels, fontsize=6)
        axis.set_xlabel("width × depth, signals a batch")
        axis.grid(visible=False, axis="x")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=7)
    figure.suptitle(f"Cost of one meta-step · random signals · preset {preset}\n{_common(table)}", fontsize=9)
    return figure
