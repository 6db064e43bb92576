"""How time and memory of a meta-step grow: curves and their exponents."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks.figures import style, tables
from benchmarks.figures.results import Drawn, Results
from benchmarks.looks import Look

COLUMNS = ("factor", "value", "device", "step_s", "temp_bytes")

LOOKS = {
    "points": Look("points per signal", "#08306b", "-", "o"),
    "signals": Look("signals per batch", "#fc8d59", "--", "s"),
    "width": Look("width", "#238b45", "-.", "^"),
    "depth": Look("depth", "#807dba", ":", "D"),
    "inner_steps": Look("inner steps", "#252525", "--", "x"),
}
"""Factor -> name and look; weak scaling, and the collecting of rows, are in the table alone."""


def draw(results: Results) -> Drawn:
    """The table and the figure."""
    rows = results.rows("growth", COLUMNS).sort_values(["factor", "value"])
    return {"growth.md": _markdown(rows, results.preset), "growth": _figure(rows, results.preset)}


def exponent(values: np.ndarray, costs: np.ndarray) -> float:
    """The p of cost ~ value^p that fits best (1 is linear); NaN for fewer than two values."""
    return float(np.polyfit(np.log(values), np.log(costs), 1)[0]) if len(values) > 1 else float("nan")


def _markdown(rows: pd.DataFrame, preset: str) -> str:
    devices = style.devices(rows[~rows["factor"].isin(["processes", "rows"])])
    header = ("what grows", "values", "s/step (median)", "exponent", "the last doubling", "MiB", "exponent of memory")
    body = []
    for factor, look in LOOKS.items():
        part = rows[rows["factor"] == factor]
        if not len(part):
            continue
        memory = part["temp_bytes"] / 2**20
        body.append(
            (
                look.label,
                ", ".join(f"{value:g}" for value in part["value"]),
                ", ".join(f"{second:.3g}" for second in part["step_s"]),
                f"{exponent(part['value'], part['step_s']):.2f}",
                f"{exponent(part['value'][-2:], part['step_s'][-2:]):.2f}",
                ", ".join(f"{mib:.3g}" if mib < 1000 else f"{mib:.0f}" for mib in memory),
                f"{exponent(part['value'], memory):.2f}",
            )
        )
    text = f"Cost of a meta-step as one thing grows, preset {preset}, {devices}. Exponent 1 is linear.\n\n"
    text += tables.markdown(header, body)
    weak = rows[rows["factor"] == "processes"].set_index("value")["step_s"]
    for count, second in weak.items():
        if count > 1 and 1 in weak.index:
            text += f"\nWeak scaling: {count} processes of one core, {count} times the signals: {second:.3g} s per "
            text += f"step where one process has {weak[1]:.3g} s, an efficiency of {weak[1] / second:.2f}.\n"
    collected = rows[rows["factor"] == "rows"]
    if len(collected):
        numbers, seconds = (", ".join(f"{each:,g}" for each in collected[name]) for name in ("value", "step_s"))
        text += f"\nCollecting {numbers} rows beside as many that were recorded: {seconds} s"
        text += (
            f", exponent {exponent(collected['value'], collected['step_s']):.2f}.\n" if len(collected) > 1 else ".\n"
        )
    return text


def _figure(rows: pd.DataFrame, preset: str) -> plt.Figure:
    figure, axes = style.grid(1, 2, 8.2, 3.8)
    costs = {"step_s": "time of a meta-step", "temp_bytes": "temporary memory"}
    for axis, (cost, label) in zip(axes[0], costs.items(), strict=True):
        for factor, look in LOOKS.items():
            part = rows[rows["factor"] == factor]
            grown, costs_more = (part[column] / part[column].iloc[:1].sum() for column in ("value", cost))
            axis.plot(grown, costs_more, markersize=4, **look._asdict())
        ends = np.array([1, 2 ** np.ceil(np.log2(max(axis.get_xlim()[1], 2)))])
        axis.plot(ends, ends, color="0.5", linewidth=1, zorder=0)
        axis.annotate("linear", ends[[1, 1]] ** 0.85, (6, -4), textcoords="offset points", va="top", color="0.35")
        axis.set_xscale("log", base=2)
        axis.set_yscale("log", base=2)
        style.plain_numbers(axis.xaxis)
        style.plain_numbers(axis.yaxis)
        axis.set(
            xlabel="what grows (times its smallest size)", ylabel="cost (times that of the smallest size)", title=label
        )
    style.legend(figure, 5, fontsize=8)
    title = f"How the cost of a meta-step grows with one thing at a time · random signals · preset {preset}"
    figure.suptitle(f"{title}\n{style.devices(rows[rows['factor'].isin(LOOKS)])}", fontsize=10)
    return figure
