"""Rate-distortion curves of maps of the globe, in decibels and in kelvin, and their tables."""

import pathlib

import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.figures import fig7_rate_distortion, style
from benchmarks.figures.fig7_rate_distortion import CURVE_BITS, PATCHED, curve, published, seeds
from mscn_flax.modalities import maps

RANGE_K = maps.HIGH_K - maps.LOW_K
"""What the values' range of 1 stands for."""

TICKS_K = (0.2, 0.3, 0.5, 1, 2, 3, 5, 10)


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes the tables and the figure; returns the files."""
    name = "climate_rate_distortion"
    rows = records.read(results / preset / f"{name}.csv", records.RATE_COLUMNS)
    points = fig7_rate_distortion.summary(rows, "psnr_db")
    path = plots / preset / f"{name}.md"
    with records.replaced(path) as out:
        out.write(fig7_rate_distortion.markdown(points, f"Maps of the globe, preset {preset}. PSNR", "map"))
    return [path, *style.save(_figure(points, preset), plots / preset, name)]


def to_kelvin(psnr: np.ndarray) -> np.ndarray:
    """Root mean squared error in kelvin of a PSNR in dB."""
    return RANGE_K * 10 ** (-np.asarray(psnr) / 20)


def to_psnr(kelvin: np.ndarray) -> np.ndarray:
    """The inverse of `to_kelvin`."""
    return 20 * np.log10(RANGE_K / np.maximum(kelvin, 1e-9))


def _figure(points: pd.DataFrame, preset: str) -> plt.Figure:
    parts = list(points.groupby(["dataset", "source"]))
    figure, axes = plt.subplots(1, len(parts), figsize=(6.4 * len(parts), 4.6), squeeze=False, layout="constrained")
    handles = {}
    for axis, ((dataset, source), part) in zip(axes[0], parts, strict=True):
        for theirs in published(dataset).values():
            axis.plot(theirs["rate"], theirs["psnr"], color="0.7", linewidth=0.9, marker=".", markersize=4, zorder=1)
            handles.setdefault("published", axis.lines[-1])
        for method in style.METHOD_STYLES:
            for rate in ("bpp_payload", "bpp"):
                line = curve(part, method, rate)
                if not len(line):
                    continue
                look = style.METHOD_STYLES[method] | {"markersize": 4, "linewidth": 1.4}
                # Whole files: the same line, fainter, its markers hollow.
                look |= {"markerfacecolor": "white", "linewidth": 0.7} if rate == "bpp" else {}
                (drawn,) = axis.plot(line["rate"], line["psnr"], **look, zorder=3)
                label = style.METHOD_NAMES[method]
                if rate == "bpp_payload":
                    handles[label] = drawn
                elif label not in handles:  # A format without headers to take off.
                    handles[f"{label}, whole files"] = drawn
                elif method == "mscn":
                    handles["hollow: whole files"] = drawn
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        axis.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        axis.set_xlabel("rate (bits a point of the map), without headers")
        axis.set_ylabel("PSNR (dB)")
        kelvin = axis.secondary_yaxis("right", functions=(to_kelvin, to_psnr))
        kelvin.set_ylabel("root mean squared error (K)")
        kelvin.yaxis.set_major_locator(matplotlib.ticker.FixedLocator(TICKS_K))
        kelvin.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        kelvin.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        fig7_rate_distortion.name_curves(axis, published(dataset))
        coded = part[part["method"].isin(PATCHED) & (part["bits"] == CURVE_BITS)]
        maps = style.count(part["images"].max(), "map")
        about = f"{coded['outer_steps'].max():.0f} steps, {CURVE_BITS} bits, {maps}, {seeds(coded)}"
        on = ", ".join(style.trained_on(text) for text in sorted(coded["trained_on"].unique()))
        axis.set_title(f"{style.title(dataset, source, preset)}\n{about}\ntrained on {on}")
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
    return figure
