"""Cost of a meta-step, encoding and decoding beside the plain version: two figures and a Markdown file."""

import pathlib

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.figures import style

SIZE = ["width", "depth", "batch", "points", "code"]

CODES = style.METHOD_NAMES | {"delta": "whole network"}
"""`code` column -> name."""

TASKS = {"meta_step": "meta-step", "encode": "encode", "decode": "decode"}
"""`task` column -> name."""

VARIANTS = {
    ("plain", "plain", "float32"): ("plain: jnp.sin, unrolled", {"color": "0.85", "hatch": "//"}),
    ("mscn_flax", "plain", "float32"): ("MSCN-Flax with jnp.sin", {"color": "0.6", "hatch": ""}),
    ("mscn_flax", "fast", "float32"): ("MSCN-Flax", {"color": "#08306b", "hatch": ""}),
    ("mscn_flax", "fast", "tf32"): ("MSCN-Flax in TF32", {"color": "#2171b5", "hatch": ""}),
    ("mscn_flax", "fast", "bfloat16"): ("MSCN-Flax in bfloat16", {"color": "#9ecae1", "hatch": ""}),
}
"""(variant, sine, precision) -> name and look, in the order in which they are drawn."""


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes the tables and the figures; returns the files."""
    rows = pd.read_csv(results / preset / "speed.csv")
    table = compared(rows)
    steps, path = table[table["task"] == "meta_step"], plots / preset / "speed.md"
    with records.replaced(path) as out:
        out.write(_markdown(steps, preset) + _throughput(table[table["task"] != "meta_step"]))
    return [
        path,
        *style.save(_figure(steps, preset), plots / preset, "speed"),
        *style.save(_roofline(table, preset), plots / preset, "speed_roofline"),
    ]


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `speedup` and `memory_share`: against the plain version of task and size, from the same run."""
    plain = rows.loc[rows["variant"] == "plain", ["task", *SIZE, "step_s", "temp_bytes"]]
    joined = rows.merge(plain, how="left", on=["task", *SIZE], suffixes=("", "_plain"))
    return joined.assign(
        speedup=joined["step_s_plain"] / joined["step_s"],
        memory_share=joined["temp_bytes"] / joined["temp_bytes_plain"],
        matmul_share=joined["gflop_per_s"] / joined["matmul_gflop_per_s"],
    )


def _of_variant(table: pd.DataFrame, variant: str, sine: str, precision: str) -> pd.DataFrame:
    chosen = (table["variant"] == variant) & (table["sine"] == sine) & (table["precision"] == precision)
    return table[chosen].sort_values(SIZE)


def _or_nothing(value: float) -> str:
    """A ratio to the plain version, where that has been measured."""
    return "" if np.isnan(value) else f"{value:.2f}"


def _markdown(table: pd.DataFrame, preset: str) -> str:
    header = (
        "width, depth, batch",
        "points",
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
                    f"{row.points}",
                    CODES[row.code],
                    name,
                    f"{row.step_s:.3g}",
                    _or_nothing(row.speedup),
                    f"{row.temp_bytes / 2**20:.0f}",
                    _or_nothing(row.memory_share),
                    f"{row.gflop_per_s:.1f}",
                    f"{row.matmul_share:.2f}",
                )
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _throughput(table: pd.DataFrame) -> str:
    """The part on encoding and decoding."""
    header = ("width, depth, batch", "points", "code", "task", "version", "signals/s", "megapixels/s", "times plain")
    lines = ["", "Throughput:", "", "| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for _, size in table.groupby([*SIZE, "task"]):
        for key, (name, _) in VARIANTS.items():
            for row in _of_variant(size, *key).itertuples():
                cells = (
                    f"{row.width}, {row.depth}, {row.batch}",
                    f"{row.points}",
                    CODES[row.code],
                    TASKS[row.task],
                    name,
                    f"{row.signals_per_s:.3g}",
                    f"{row.megapixels_per_s:.3g}",
                    _or_nothing(row.speedup),
                )
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _roofline(table: pd.DataFrame, preset: str) -> plt.Figure:
    """FLOP/s reached over the intensity of a hidden layer's product, under what the machine does at most."""
    figure, axis = plt.subplots(figsize=(8.0, 4.0), layout="constrained")
    reached = table.assign(intensity=table["width"] / (4 + 2 * table["width"] / table["points"]))
    peak, bandwidth = reached["matmul_gflop_per_s"].max(), reached["memory_gb_per_s"].max()
    x = np.geomspace(reached["intensity"].min() / 4, reached["intensity"].max() * 2, 200)
    axis.plot(x, np.minimum(peak, bandwidth * x), color="black", label="roof: memory and fastest product")
    widths = reached.groupby("intensity")["matmul_gflop_per_s"].max()
    axis.plot(widths.index, widths, linestyle="none", marker="_", markersize=14, color="black", label="one product")
    markers = {"meta_step": "o", "encode": "s", "decode": "^"}
    looks = {
        ("mscn_flax", "fast", "float32"): ("MSCN-Flax", "#08306b"),
        ("mscn_flax", "fast", "tf32"): ("MSCN-Flax in TF32", "#2171b5"),
        ("mscn_flax", "fast", "bfloat16"): ("MSCN-Flax in bfloat16", "#9ecae1"),
        ("plain", "plain", "float32"): ("plain", "0.65"),
    }
    for key, (version, colour) in looks.items():
        if _of_variant(reached, *key).empty:
            continue
        for task, name in TASKS.items():
            part = _of_variant(reached[reached["task"] == task], *key)
            axis.plot(
                part["intensity"],
                part["gflop_per_s"],
                linestyle="none",
                marker=markers[task],
                color=colour,
                markeredgecolor="black",
                markersize=6,
                label=f"{name}, {version}",
            )
    for intensity, size in reached.groupby("intensity"):
        whole = (size["code"] == "delta").all()
        label = f"{size['width'].iloc[0]}" + (" (whole network)" if whole else "")
        axis.annotate(label, (intensity, peak * (1.6 if whole else 1.2)), ha="center", fontsize=7)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_ylim(top=peak * 2.2)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    axis.set_xlabel("intensity of a hidden layer's product (FLOP a byte read or written once); above: width")
    axis.set_ylabel("GFLOP/s of the fewest products that do it")
    axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.02, 1))
    figure.suptitle(f"Roofline · random signals · preset {preset}\n{_devices(table)}", fontsize=9)
    return figure


def _devices(table: pd.DataFrame) -> str:
    return " and ".join(sorted(table.loc[table["variant"] != "plain", "device"].unique()))


def _common(table: pd.DataFrame) -> str:
    points, steps = sorted(table["points"].unique()), sorted(table["inner_steps"].unique())
    precisions = "/".join(table["precision"].unique())
    return (
        f"{'/'.join(map(str, points))} points, {'/'.join(map(str, steps))} inner steps, {precisions}, {_devices(table)}"
    )


def _figure(table: pd.DataFrame, preset: str) -> plt.Figure:
    sizes = list(table.groupby(SIZE).groups)
    labels = [f"{w}×{d}, batch {b}\n{n} points\n{CODES[code]}" for w, d, b, n, code in sizes]
    figure, axes = plt.subplots(1, 2, figsize=(3.6 + 1.5 * len(sizes), 3.8), layout="constrained")
    shown_variants = {key: shown for key, shown in VARIANTS.items() if not _of_variant(table, *key).empty}
    place, width = np.arange(len(sizes)), 0.81 / len(shown_variants)
    for index, (key, (name, look)) in enumerate(shown_variants.items()):
        part = _of_variant(table, *key).set_index(SIZE).reindex(sizes)
        for axis, values, shown in (
            (axes[0], part["step_s"], part["speedup"].map(lambda ratio: _or_nothing(ratio) and f"{ratio:.2f}×")),
            (axes[1], part["temp_bytes"] / 2**20, part["memory_share"].map(_or_nothing)),
        ):
            bars = axis.bar(
                place + (index - (len(shown_variants) - 1) / 2) * width,
                values,
                width,
                label=name,
                edgecolor="black",
                **look,
            )
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
