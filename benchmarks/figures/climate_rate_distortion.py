"""Rate-distortion curves of maps of the globe, in decibels and in kelvin, and their tables."""

import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.figures import published_curves, rate_tables, style
from benchmarks.figures.rate_distortion import CURVES, about, coded, curve, shown_published, summary
from benchmarks.figures.results import Drawn, Results
from mscn_flax.modalities import maps

RANGE_K = maps.HIGH_K - maps.LOW_K
"""Kelvin that a difference of 1 between values stands for."""

RATES = {"bpp_payload": "without headers", "bpp": "of whole files"}
"""Column of a rate -> what it counts; each has a column of panels."""

TICKS_K = (0.2, 0.3, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 7, 10)


def draw(results: Results) -> Drawn:
    """The tables and the figure."""
    name = "climate_rate_distortion"
    points = summary(results.compared(name, records.RATE_COLUMNS), "psnr_db")
    heading = f"Maps of the globe, preset {results.preset}. PSNR"
    return {f"{name}.md": rate_tables.markdown(points, heading, "map"), name: _figure(points, results)}


def to_kelvin(psnr: np.ndarray) -> np.ndarray:
    """Root mean squared error in kelvin of a PSNR in dB."""
    return RANGE_K * 10 ** (-np.asarray(psnr) / 20)


def to_psnr(kelvin: np.ndarray) -> np.ndarray:
    """The inverse of `to_kelvin`."""
    return 20 * np.log10(RANGE_K / np.maximum(kelvin, 1e-9))


def _figure(points: pd.DataFrame, results: Results) -> plt.Figure:
    """Two rows of panels for each data set: everything, and the networks' curves alone."""
    parts = list(points.groupby(["dataset", "source"]))
    figure, axes = style.grid(2 * len(parts), len(RATES), 9.4, 6.2 * len(parts) + 0.8, sharey="row")
    handles, named, lines = {}, [], iter(axes)
    for (dataset, source), part in parts:
        networks = coded(part)["method"].unique()
        for line, methods in ((next(lines), part["method"].unique()), (next(lines), networks)):
            for axis, (rate, what) in zip(line, RATES.items(), strict=True):
                if rate == "bpp_payload" and methods is not networks:  # The published rates are without headers.
                    named.append((axis, published_curves.draw(axis, shown_published(dataset))))
                for method in style.ordered(methods):
                    found = curve(part, method, rate)
                    if len(found):  # JPEG XL has no headers to take off.
                        look = {"markersize": 4, "linewidth": 1.2} | style.look(method, zorder=3)
                        (line_of,) = axis.plot(found["rate"], found["psnr"], **look)
                        handles.setdefault(style.label(method), line_of)
                axis.set_xlabel(f"rate {what} (bits per point of the map)")
                if methods is not networks:
                    axis.set(xscale="log", title=f"{style.named(dataset, source)}: rates {what}")
                    axis.margins(x=0.1)
                    style.plain_numbers(axis.xaxis)
                else:
                    axis.set_title("the networks alone")
            line[0].set_ylabel("PSNR (dB)")
            _kelvin(line[-1])
    on = "; ".join(about(part, "map").replace("\n", ", ") for _, part in parts)
    on += f"\nmeans over maps and seeds; thin lines without markers: published; {CURVES}"
    figure.suptitle(f"Rate and quality of codecs of temperature maps · preset {results.preset}\n{on}", fontsize=10)
    style.legend(figure, 4, handles)
    for axis, curves in named:
        published_curves.name_ends(axis, curves)
    return figure


def _kelvin(axis: plt.Axes) -> None:
    """Gives a panel a second vertical axis in kelvin."""
    kelvin = axis.secondary_yaxis("right", functions=(to_kelvin, to_psnr))
    kelvin.set_ylabel("root mean squared error (K)")
    kelvin.yaxis.set_major_locator(matplotlib.ticker.FixedLocator(TICKS_K))
    kelvin.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    style.plain_numbers(kelvin.yaxis)
