"""Figure 7: rate-distortion curves of images, and their tables."""

import matplotlib.pyplot as plt
import pandas as pd

from benchmarks import records
from benchmarks.figures import published_curves, rate_tables, style
from benchmarks.figures.rate_distortion import CURVES, about, coded, curve, drawn, shown_published, summary
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
    figure, axes = style.grid(2, len(parts), 4.6 * len(parts), 7.6)
    handles, named = {}, []
    for column, ((dataset, source), part) in enumerate(parts):
        top, bottom = axes[:, column]
        for axis in (top, bottom):
            named.append((axis, published_curves.draw(axis, shown_published(dataset))))
            for method in style.ordered(part["method"]):
                line, network = curve(part, method), (part.loc[part["method"] == method, "bits"] > 0).any()
                look = {"linewidth": 1.6 if network else 0.9, "markersize": 4} | style.look(
                    method, zorder=4 if network else 3
                )
                if len(line):
                    (handles[style.label(method)],) = axis.plot(line["rate"], line["psnr"], **look)
            axis.set(xlabel="rate (bits per pixel, whole files)", ylabel="PSNR (dB)")
        _zoom(bottom, drawn(coded(part)))
        bottom.set_title("the same, at the rates of the networks")
        top.set_xscale("log")
        top.set_xticks([0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10])
        style.plain_numbers(top.xaxis)
        top.set(
            xlim=(0.7 * drawn(part)["bpp"].min(), 20), title=f"{style.named(dataset, source)}\n{about(part, 'image')}"
        )
    style.legend(figure, 5, handles)
    about_all = f"means over images and seeds; thin lines without markers: published\n{CURVES}"
    figure.suptitle(f"Rate and quality of image codecs · preset {results.preset}\n{about_all}", fontsize=10)
    for axis, lines in named:
        published_curves.name_ends(axis, lines)
    return figure


def _zoom(axis: plt.Axes, networks: pd.DataFrame) -> None:
    """Shows the rates of the networks' curves."""
    room = 0.1 * (networks["bpp"].max() - networks["bpp"].min()) + 0.02
    axis.set_xlim(max(networks["bpp"].min() - room, 0), networks["bpp"].max() + room)
    axis.set_ylim(networks["psnr"].min() - 3, networks["psnr"].max() + 6)
