"""Cost of a meta-step, encoding and decoding beside the plain version: two figures and their tables."""

import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np
import pandas as pd

from benchmarks.figures import style, tables
from benchmarks.figures.results import Drawn, Results

SIZE = ["width", "depth", "batch", "points", "code"]

COLUMNS = (
    *SIZE,
    "task",
    "variant",
    "sine",
    "precision",
    "inner_steps",
    "device",
    "step_s",
    "temp_bytes",
    "gflop_per_s",
)
COLUMNS += ("matmul_gflop_per_s", "memory_gb_per_s", "signals_per_s", "megapixels_per_s")

TASKS = {"meta_step": ("meta-step", "o"), "encode": ("encode", "s"), "decode": ("decode", "^")}
"""`task` column -> name, marker."""

VARIANTS = {
    ("plain", "plain", "float32"): ("plain: jnp.sin, unrolled", {"color": "0.85", "hatch": "//"}),
    ("mscn_flax", "plain", "float32"): ("MSCN-Flax with jnp.sin", {"color": "0.6", "hatch": ""}),
    ("mscn_flax", "fast", "float32"): ("MSCN-Flax", {"color": "#08306b", "hatch": ""}),
    ("mscn_flax", "fast", "tf32"): ("MSCN-Flax in TF32", {"color": "#2171b5", "hatch": ""}),
    ("mscn_flax", "fast", "bfloat16"): ("MSCN-Flax in bfloat16", {"color": "#9ecae1", "hatch": ""}),
}
"""(variant, sine, precision) -> name and look, in the order in which they are drawn."""

CELLS = [("width, depth, batch", "{width}, {depth}, {batch}"), ("points", "{points}"), ("code", "{code}")]

COST = [
    *CELLS,
    ("version", "{version}"),
    ("s/step (median)", "{step_s:.3g}"),
    ("times faster than plain", "{speedup:.2f}"),
    ("temporary MiB", "{mib:.0f}"),
    ("share of plain", "{memory_share:.2f}"),
    ("GFLOP/s", "{gflop_per_s:.1f}"),
    ("share of matmul rate", "{matmul_share:.2f}"),
]

THROUGHPUT = [
    *CELLS,
    ("task", "{task}"),
    ("version", "{version}"),
    ("signals/s", "{signals_per_s:.3g}"),
    ("megapixels/s", "{megapixels_per_s:.3g}"),
    ("times plain", "{speedup:.2f}"),
]


def draw(results: Results) -> Drawn:
    """The tables and the figures."""
    table = compared(results.rows("speed", COLUMNS))
    is_step = table["task"] == "meta_step"
    steps, cost = table[is_step], tables.formatted(_listed(table[is_step]), COST)
    text = f"Cost of one meta-step, preset {results.preset}: {_common(steps)}.\n\n{cost}"
    return {
        "speed.md": f"{text}\nThroughput:\n\n{tables.formatted(_listed(table[~is_step]), THROUGHPUT)}",
        "speed": _figure(steps, results.preset),
        "speed_roofline": _roofline(table, results.preset),
    }


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `speedup` and `memory_share` relative to the plain version of the same task, size and run.

    `matmul_share` is relative to the rate of the machine's matrix product.
    """
    plain = rows.loc[rows["variant"] == "plain", ["task", *SIZE, "step_s", "temp_bytes"]]
    joined = rows.merge(plain, how="left", on=["task", *SIZE], suffixes=("", "_plain"))
    return joined.assign(
        speedup=joined["step_s_plain"] / joined["step_s"],
        memory_share=joined["temp_bytes"] / joined["temp_bytes_plain"],
        matmul_share=joined["gflop_per_s"] / joined["matmul_gflop_per_s"],
    )


def _code(name: str) -> str:
    return "whole network" if name == "delta" else style.label(name)


def _of_variant(table: pd.DataFrame, variant: str, sine: str, precision: str) -> pd.DataFrame:
    chosen = (table["variant"] == variant) & (table["sine"] == sine) & (table["precision"] == precision)
    return table[chosen].sort_values(SIZE)


def _ratio(value: float, unit: str = "") -> str:
    """A ratio to the plain version, empty where that has not been measured."""
    return "" if np.isnan(value) else f"{value:.2f}{unit}"


def _listed(table: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order of the tables, with names instead of keys and memory in MiB."""
    versions = [_of_variant(table, *key).assign(version=name) for key, (name, _) in VARIANTS.items()]
    table = pd.concat(versions).sort_values([*SIZE, "task"], kind="stable")
    tasks = {task: name for task, (name, _) in TASKS.items()}
    return table.assign(code=table["code"].map(_code), task=table["task"].map(tasks), mib=table["temp_bytes"] / 2**20)


def _roofline(table: pd.DataFrame, preset: str) -> plt.Figure:
    """FLOP/s reached over the intensity of a hidden layer's product, below the most that the machine can do."""
    figure, axes = style.grid(1, 1, 8.0, 4.0)
    axis = axes[0][0]
    reached = table.assign(intensity=table["width"] / (4 + 2 * table["width"] / table["points"]))
    peak, bandwidth = reached["matmul_gflop_per_s"].max(), reached["memory_gb_per_s"].max()
    x = np.geomspace(reached["intensity"].min() / 4, reached["intensity"].max() * 2, 200)
    axis.plot(x, np.minimum(peak, bandwidth * x), color="black", label="roof: memory and fastest product")
    widths = reached.groupby("intensity")["matmul_gflop_per_s"].max()
    points = {"linestyle": "none", "markersize": 6, "markeredgecolor": "black"}
    axis.plot(widths.index, widths, label="one product", **points | {"marker": "_", "markersize": 14})
    drawn = [key for key in VARIANTS if key != ("mscn_flax", "plain", "float32")]
    looks = {key: (VARIANTS[key][0].split(":")[0], VARIANTS[key][1]["color"]) for key in reversed(drawn)}
    for key, (version, color) in looks.items():
        for task, (name, marker) in TASKS.items():
            part = _of_variant(reached[reached["task"] == task], *key)
            if part.empty:
                continue
            look = points | {"marker": marker, "color": color, "label": f"{name}, {version}"}
            axis.plot(part["intensity"], part["gflop_per_s"], **look)
    for intensity, size in reached.groupby("intensity"):
        whole = (size["code"] == "delta").all()
        text = f"{size['width'].iloc[0]}" + (" (whole network)" if whole else "")
        axis.annotate(text, (intensity, peak * (1.6 if whole else 1.2)), ha="center", fontsize=7)
    axis.set_xscale("log", base=2)
    style.plain_numbers(axis.xaxis)
    _logarithmic(axis)
    axis.set_ylim(top=peak * 2.2)
    axis.set_xlabel("intensity of a hidden layer's product (FLOP a byte read or written once); above: width")
    axis.set_ylabel("GFLOP/s of the fewest products that do it")
    axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.02, 1))
    on = style.devices(table[table["variant"] != "plain"])
    figure.suptitle(f"Roofline · random signals · preset {preset}\n{on}", fontsize=9)
    return figure


def _logarithmic(axis: plt.Axes) -> None:
    """A logarithmic vertical axis with the labels 1, 2, 5, 10, 20, ..."""
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    style.plain_numbers(axis.yaxis)


def _common(table: pd.DataFrame) -> str:
    points, steps = ("/".join(map(str, sorted(table[name].unique()))) for name in ("points", "inner_steps"))
    on = style.devices(table[table["variant"] != "plain"])
    return f"{points} points, {steps} inner steps, {'/'.join(table['precision'].unique())}, {on}"


def _figure(table: pd.DataFrame, preset: str) -> plt.Figure:
    sizes = list(table.groupby(SIZE).groups)
    labels = [f"{w}×{d}, batch {b}\n{n} points\n{_code(code)}" for w, d, b, n, code in sizes]
    figure, axes = style.grid(1, 2, 3.6 + 1.5 * len(sizes), 3.8)
    there = {key: shown for key, shown in VARIANTS.items() if not _of_variant(table, *key).empty}
    place, width = np.arange(len(sizes)), 0.81 / len(there)
    for index, (key, (name, look)) in enumerate(there.items()):
        part = _of_variant(table, *key).set_index(SIZE).reindex(sizes)
        for axis, values, shown in (
            (axes[0][0], part["step_s"], part["speedup"].map(lambda ratio: _ratio(ratio, "×"))),
            (axes[0][1], part["temp_bytes"] / 2**20, part["memory_share"].map(_ratio)),
        ):
            bars = axis.bar(
                place + (index - (len(there) - 1) / 2) * width, values, width, label=name, edgecolor="black", **look
            )
            if key[0] != "plain":
                axis.bar_label(bars, shown, fontsize=6, padding=1)
    names = {"time of a meta-step (s)": "times faster than plain", "temporary memory (MiB)": "share of plain"}
    for axis, (label, above) in zip(axes[0], names.items(), strict=True):
        axis.set(xlabel="width × depth, signals per batch", ylabel=label, title=f"above the bars: {above}")
        _logarithmic(axis)
        axis.margins(y=0.2)
        axis.set_xticks(place, labels, fontsize=6)
        axis.grid(visible=False, axis="x")
    style.legend(figure, 3, fontsize=7)
    figure.suptitle(f"Cost of one meta-step · random signals · preset {preset}\n{_common(table)}", fontsize=9)
    return figure
