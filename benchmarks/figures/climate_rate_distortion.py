"""Rate-distortion curves of maps of the globe, in decibels and in kelvin, and their tables."""

import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.figures import rate_tables, style
from benchmarks.figures.fig7_rate_distortion import draw_published, name_curves
from benchmarks.figures.rate_distortion import about, curve, published, summary
from benchmarks.figures.results import Drawn, Results
from mscn_flax.modalities import maps

RANGE_K = maps.HIGH_K - maps.LOW_K
"""Kelvin that a difference of 1 between values stands for."""

TICKS_K = (0.2, 0.3, 0.5, 1, 2, 3, 5, 10)


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
    parts = list(points.groupby(["dataset", "source"]))
    figure, axes = style.grid(1, len(parts), 6.4 * len(parts), 4.6)
    handles = {}
    for axis, ((dataset, source), part) in zip(axes[0], parts, strict=True):
        if lines := draw_published(axis, dataset, color="0.7", markersize=4):
            handles.setdefault("published", lines[0])
        for method in style.ordered(part["method"]):
            handles |= _draw_method(axis, method, part)
        axis.set(xscale="log", xlabel="rate (bits per point of the map), without headers", ylabel="PSNR (dB)")
        style.plain_numbers(axis.xaxis)
        kelvin = axis.secondary_yaxis("right", functions=(to_kelvin, to_psnr))
        kelvin.set_ylabel("root mean squared error (K)")
        kelvin.yaxis.set_major_locator(matplotlib.ticker.FixedLocator(TICKS_K))
        kelvin.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        style.plain_numbers(kelvin.yaxis)
        name_curves(axis, published(dataset))
        axis.set_title(f"{results.title(dataset, source)}\n{about(part, 'map')}")
    style.legend(figure, 4, handles)
    return figure


def _draw_method(axis: plt.Axes, method: str, part: pd.DataFrame) -> dict[str, plt.Line2D]:
    """Draws a method's curves without headers and of whole files: label -> line, for the legend."""
    payload, whole = curve(part, method, "bpp_payload"), curve(part, method)
    look, handles = style.look(method, markersize=4, linewidth=1.4, zorder=3), {}
    if len(payload):
        (handles[style.label(method)],) = axis.plot(payload["rate"], payload["psnr"], **look)
    if len(whole):
        # The same line, thin, its markers small.
        (line,) = axis.plot(whole["rate"], whole["psnr"], **look | {"markersize": 2, "linewidth": 0.6})
        if not len(payload):  # A format without headers to take off.
            handles[f"{style.label(method)}, whole files"] = line
        elif method.startswith("mscn"):
            handles["thin: whole files"] = line
    return handles
