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
    ("pytorch", "plain", "float32"): ("PyTorch, torch.func", {"color": "#fd8d3c", "marker": "X"}),
    ("plain", "plain", "float32"): ("plain: jnp.sin, unrolled", {"color": "white", "marker": "s"}),
    ("mscn_flax", "plain", "float32"): ("MSCN-Flax with jnp.sin", {"color": "0.6", "marker": "^"}),
    ("mscn_flax", "fast", "float32"): ("MSCN-Flax", {"color": "#08306b", "marker": "o"}),
    ("mscn_flax", "fast", "tf32"): ("MSCN-Flax in TF32", {"color": "#2171b5", "marker": "D"}),
    ("mscn_flax", "fast", "bfloat16"): ("MSCN-Flax in bfloat16", {"color": "#9ecae1", "marker": "v"}),
}
"""(variant, sine, precision) -> name and look, in the order in which they are drawn."""

CELLS = [("width, depth, batch", "{width}, {depth}, {batch}"), ("points", "{points}"), ("code", "{code}")]

COST = [
    *CELLS,
    ("version", "{version}"),
    ("s/step (median)", "{step_s:.3g}"),
    ("times faster than plain", "{speedup:.2f}"),
    ("temporary MiB", "{mib}"),
    ("share of plain", "{memory}"),
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
    mib = (table["temp_bytes"] / 2**20).map(lambda value: "not known" if np.isnan(value) else f"{value:.0f}")
    said = {"code": table["code"].map(_code), "task": table["task"].map(tasks), "mib": mib}
    return table.assign(**said, memory=table["memory_share"].map(_ratio))


def _sizes(table: pd.DataFrame) -> tuple[list[tuple], list[str]]:
    """The sizes [`SIZE`] of the rows, and their labels."""
    sizes = list(table.groupby(SIZE).groups)
    return sizes, [f"{w} × {d}, batch {b}\n{n} points, {_code(code)}" for w, d, b, n, code in sizes]


def _roofline(table: pd.DataFrame, preset: str) -> plt.Figure:
    """FLOP/s reached at each size, below the most that the machine can do there.

    That is its memory's bandwidth times the intensity of a hidden layer's product, or its fastest product if less.
    """
    sizes, labels = _sizes(table)
    figure, axes = style.grid(1, 1, 2.4 + 1.5 * len(sizes), 4.6)
    axis = axes[0][0]
    # Of the machine that a size was measured on, in float32: what is less exact may be faster.
    of = table.assign(machine=table["device"].str.partition(" x ")[2])
    machine = of[of["variant"] == "mscn_flax"].groupby(SIZE)["machine"].first().reindex(sizes)
    exact = of[of["precision"] == "float32"].groupby("machine")[["matmul_gflop_per_s", "memory_gb_per_s"]].max()
    peak, bandwidth = exact.reindex(machine).to_numpy().T
    intensity = np.array([width / (4 + 2 * width / points) for width, _, _, points, _ in sizes])
    # The product that JAX reaches, by which shares are counted; others reach more.
    measured = table[table["variant"] == "mscn_flax"].groupby(SIZE)["matmul_gflop_per_s"].max().reindex(sizes)
    place = np.arange(len(sizes))
    ends = {"xmin": place - 0.4, "xmax": place + 0.4, "color": "black"}
    axis.hlines(
        np.minimum(peak, bandwidth * intensity), **ends, linewidth=2, label="limit of memory and float32 products"
    )
    axis.hlines(measured, **ends, linewidth=0.8, linestyle="--", label="one matrix product of this width by JAX")
    drawn = [key for key in VARIANTS if key != ("mscn_flax", "plain", "float32") and not _of_variant(table, *key).empty]
    places = [
        (key, task) for key in drawn for task in TASKS if not _of_variant(table[table["task"] == task], *key).empty
    ]
    for index, (key, task) in enumerate(places):
        (version, shown), (name, marker) = VARIANTS[key], TASKS[task]
        part = _of_variant(table[table["task"] == task], *key).set_index(SIZE)["gflop_per_s"].reindex(sizes)
        look = {"color": shown["color"], "marker": marker, "markeredgecolor": "black", "linestyle": ""}
        at = place + style.dodge(index, len(places))
        axis.plot(at, part, **look, label=f"{name}, {version.split(':')[0]}")
    _logarithmic(axis)
    axis.set_xticks(place, labels, fontsize=7)
    axis.set_xlim(-0.5, len(sizes) - 0.5)
    axis.grid(visible=False, axis="x")
    axis.set(xlabel="width × depth of the network, signals per batch", ylabel="speed (GFLOP/s)")
    handles, names = axis.get_legend_handles_labels()
    style.legend(figure, 4, dict(zip(names, handles, strict=True)), fontsize=7)
    on = style.devices(table[table["variant"] == "mscn_flax"])
    title = f"Speed reached, and the most that the machine can do · random signals · preset {preset}"
    figure.suptitle(f"{title}\n{on}; only the products that a task needs at least are counted", fontsize=10)
    return figure


def _logarithmic(axis: plt.Axes) -> None:
    """A logarithmic vertical axis with the labels 1, 2, 5, 10, 20, ..."""
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    style.plain_numbers(axis.yaxis)


def _common(table: pd.DataFrame) -> str:
    points, steps = ("/".join(map(str, sorted(table[name].unique()))) for name in ("points", "inner_steps"))
    on = style.devices(table[table["variant"] == "mscn_flax"])
    return f"{points} points, {steps} inner steps, {'/'.join(table['precision'].unique())}, {on}"


def _figure(table: pd.DataFrame, preset: str) -> plt.Figure:
    """A line for each size and version: time on the left, memory on the right."""
    sizes, labels = _sizes(table)
    figure, axes = style.grid(1, 2, 9.6, 0.8 * len(sizes) + 1.8, sharey=True)
    there = {key: shown for key, shown in VARIANTS.items() if not _of_variant(table, *key).empty}
    for index, (key, (name, look)) in enumerate(there.items()):
        part = _of_variant(table, *key).set_index(SIZE).reindex(sizes)
        at = np.arange(len(sizes)) + style.dodge(index, len(there), 0.7)
        for axis, values, shown in (
            (axes[0][0], part["step_s"], part["speedup"].map(lambda ratio: _ratio(ratio, "× as fast"))),
            (axes[0][1], part["temp_bytes"] / 2**20, part["memory_share"].map(lambda ratio: _ratio(ratio, "× plain"))),
        ):
            axis.plot(values, at, linestyle="", markersize=6, markeredgecolor="black", label=name, **look)
            if key[0] != "plain":
                for x, y, text in zip(values, at, shown, strict=True):
                    axis.annotate(text, (x, y), (7, 0), textcoords="offset points", va="center", fontsize=7)
    # Room for what is written beside the markers.
    for axis, label, room in zip(
        axes[0], ("time of a meta-step (s)", "temporary memory (MiB)"), (3.5, 2.2), strict=True
    ):
        axis.set_xscale("log")
        axis.set_xlim(right=axis.get_xlim()[1] * room)
        axis.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
        style.plain_numbers(axis.xaxis)
        axis.set_xlabel(label)
        axis.set_yticks(range(len(sizes)), labels, fontsize=7)
        axis.set_yticks(np.arange(len(sizes) + 1) - 0.5, minor=True)
        axis.grid(visible=False, axis="y", which="major")
        axis.grid(visible=True, axis="y", which="minor")
        axis.set_ylim(len(sizes) - 0.5, -0.5)
    axes[0][0].set_ylabel("width × depth, signals per batch")
    style.legend(figure, 3)
    title = f"Cost of one meta-step beside a plain version · random signals · preset {preset}"
    figure.suptitle(f"{title}\n{_common(table)}; numbers: ratio to plain", fontsize=10)
    return figure
