"""How time and memory of a meta-step grow: curves and their exponents."""

import pathlib

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.figures import style

LOOKS = {
    "points": ("points a signal", {"color": "#08306b", "linestyle": "-", "marker": "o"}),
    "signals": ("signals a batch", {"color": "#fc8d59", "linestyle": "--", "marker": "s"}),
    "width": ("width", {"color": "#238b45", "linestyle": "-.", "marker": "^"}),
    "depth": ("depth", {"color": "#807dba", "linestyle": ":", "marker": "D"}),
    "inner_steps": ("inner steps", {"color": "#252525", "linestyle": "--", "marker": "x"}),
}
"""Factor -> name and look; weak scaling is in the table alone."""


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes the table and the figure; returns the files."""
    rows = pd.read_csv(results / preset / "growth.csv").sort_values(["factor", "value"])
    path = plots / preset / "growth.md"
    with records.replaced(path) as out:
        out.write(_markdown(rows, preset))
    return [path, *style.save(_figure(rows, preset), plots / preset, "growth")]


def exponent(values: np.ndarray, costs: np.ndarray) -> float:
    """The p of cost ~ value^p that fits best, NaN of fewer than two values: 1 is linear."""
    return float(np.polyfit(np.log(values), np.log(costs), 1)[0]) if len(values) > 1 else float("nan")


def _markdown(rows: pd.DataFrame, preset: str) -> str:
    devices = " and ".join(sorted(rows.loc[rows["factor"] != "processes", "device"].unique()))
    lines = [f"Cost of a meta-step as one thing grows, preset {preset}, {devices}. Exponent 1 is linear.", ""]
    header = ("what grows", "values", "s/step (median)", "exponent", "the last doubling", "MiB", "exponent of memory")
    lines += ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for factor, (name, _) in LOOKS.items():
        part = rows[rows["factor"] == factor]
        if not len(part):
            continue
        memory = part["temp_bytes"] / 2**20
        last = exponent(part["value"].to_numpy()[-2:], part["step_s"].to_numpy()[-2:])
        cells = (
            name,
            ", ".join(f"{value:g}" for value in part["value"]),
            ", ".join(f"{second:.3g}" for second in part["step_s"]),
            f"{exponent(part['value'], part['step_s']):.2f}",
            f"{last:.2f}",
            ", ".join(f"{mib:.3g}" if mib < 1000 else f"{mib:.0f}" for mib in memory),
            f"{exponent(part['value'], memory):.2f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    weak = rows[rows["factor"] == "processes"].set_index("value")["step_s"]
    for count, second in weak.items():
        if count > 1 and 1 in weak.index:
            lines += [
                "",
                f"Weak scaling: {count} processes of one core, {count} times the signals: {second:.3g} s a step where "
                f"one process has {weak[1]:.3g} s, an efficiency of {weak[1] / second:.2f}.",
            ]
    return "\n".join(lines) + "\n"


def _figure(rows: pd.DataFrame, preset: str) -> plt.Figure:
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.6), layout="constrained")
    for factor, (name, look) in LOOKS.items():
        part = rows[rows["factor"] == factor]
        grown = part["value"] / part["value"].min()
        for axis, cost in zip(axes, ("step_s", "temp_bytes"), strict=True):
            axis.plot(grown, part[cost] / part[cost].iloc[:1].sum(), label=name, markersize=4, **look)
    for axis, label in zip(axes, ("step time", "temporary memory"), strict=True):
        ends = np.array([1, 2 ** np.ceil(np.log2(max(axis.get_xlim()[1], 2)))])
        axis.plot(ends, ends, color="0.7", linewidth=1, zorder=0, label="linear")
        axis.set_xscale("log", base=2)
        axis.set_yscale("log", base=2)
        for own in (axis.xaxis, axis.yaxis):
            own.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        axis.set_xlabel("what grows, smallest size = 1")
        axis.set_ylabel(f"{label}, smallest size = 1")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=7)
    smallest = rows.iloc[0]
    figure.suptitle(
        f"Growth of a meta-step's cost · random signals · preset {preset}\n{smallest['device']}", fontsize=9
    )
    return figure
