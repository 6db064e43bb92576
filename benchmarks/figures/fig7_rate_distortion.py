"""Figure 7: rate-distortion curves of images, and their tables."""

import matplotlib.pyplot as plt
import pandas as pd

from benchmarks import records
from benchmarks.figures import rate_tables, style
from benchmarks.figures.rate_distortion import about, coded, curve, drawn, published, summary
from benchmarks.figures.results import Drawn, Results


def draw(results: Results) -> Drawn:
    """The points of the curves, the tables and the figure."""
    name = "fig7_rate_distortion"
    points = summary(results.compared(name, records.RATE_COLUMNS))
    heading = f"Figure 7, preset {results.preset}. PSNR of 8-bit values"
    return {
        f"{name}.csv": points.to_csv(index=False, float_format="%.5f"),
        f"{name}.md": rate_tables.markdown(points, heading, "image"),
        name: _figure(points, results),
    }


def _figure(points: pd.DataFrame, results: Results) -> plt.Figure:
    parts = list(points.groupby(["dataset", "source"]))
    figure, axes = style.grid(2, len(parts), 4.6 * len(parts), 7.2)
    handles = {}
    for column, ((dataset, source), part) in enumerate(parts):
        top, bottom = axes[:, column]
        for axis in (top, bottom):
            if lines := draw_published(axis, dataset, color="0.75", markersize=3):
                handles.setdefault("published", lines[0])
            for method in style.ordered(part["method"]):
                line, network = curve(part, method), (part.loc[part["method"] == method, "bits"] > 0).any()
                look = style.look(method, linewidth=1.6 if network else 1.0, markersize=4)
                if len(line):
                    (handles[style.label(method)],) = axis.plot(line["rate"], line["psnr"], **look, zorder=3)
            axis.set(xlabel="rate (bits per pixel, whole files)", ylabel="PSNR (dB)")
        _zoom(bottom, drawn(coded(part)))
        bottom.set_title("low rates")
        top.set_xscale("log")
        top.set_xticks([0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10])
        style.plain_numbers(top.xaxis)
        top.set(xlim=(0.03, 20), title=f"{results.title(dataset, source)}\n{about(part, 'image')}")
        for axis in (top, bottom):
            name_curves(axis, published(dataset))
    style.legend(figure, 5, handles)
    return figure


def _zoom(axis: plt.Axes, networks: pd.DataFrame) -> None:
    """Shows the rates of the networks' curves."""
    room = 0.1 * (networks["bpp"].max() - networks["bpp"].min()) + 0.02
    axis.set_xlim(max(networks["bpp"].min() - room, 0), networks["bpp"].max() + room)
    axis.set_ylim(networks["psnr"].min() - 3, networks["psnr"].max() + 6)


def draw_published(axis: plt.Axes, dataset: str, **look) -> list[plt.Line2D]:
    """Draws the data set's published curves behind ours."""
    look |= {"linewidth": 0.9, "marker": ".", "zorder": 1}
    return [axis.plot(theirs["rate"], theirs["psnr"], **look)[0] for theirs in published(dataset).values()]


def name_curves(axis: plt.Axes, curves: dict[str, pd.DataFrame]) -> None:
    """Writes every published curve's name at its last point within the axis where no other name stands."""
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    right_end, top_end = axis.transData.transform((right, top))
    style_of_names = {"textcoords": "offset points", "fontsize": 6, "color": "0.35", "zorder": 4}
    style_of_names["bbox"] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
    taken = []
    for label, line in curves.items():
        inside = line[line["rate"].between(left, right) & line["psnr"].between(bottom, top)]
        for _, at in inside[::-1].iterrows():
            x, y = axis.transData.transform((at["rate"], at["psnr"]))
            free = all(abs(x - a) > 75 or abs(y - b) > 16 for a, b in taken)
            if free and x < right_end - 60 and y < top_end - 16:
                taken.append((x, y))
                axis.annotate(label, (at["rate"], at["psnr"]), (2, 2), **style_of_names)
                break
