"""Figure 7: rate-distortion curves, their Bjøntegaard deltas, and the rate saved step by step."""

import pathlib

import bjontegaard
import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator

from benchmarks import records
from benchmarks.figures import style

CURVE_BITS = 5
"""Bits a modulation of the networks' curves; the table has the others. The paper: 5 to 6."""

PATCHED = ("mscn", "coin_pp", "coin_pp_reference")
NETWORKS = (*PATCHED, "coin")

PUBLISHED = {
    # (file, their data set, their method) -> label; BMS, MBT and CST are CompressAI's, by way of COIN++'s results.
    "cifar10": [("coinpp_rd", "CIFAR10", name) for name in ("COIN++", "COIN", "BPG", "BMS", "CST")]
    + [("recombiner", "CIFAR10", "RECOMBINER")],
    "era5": [("coinpp_rd", "ERA5-46x90", name) for name in ("COIN++", "BPG", "JPEG2000", "JPEG")],
    "kodak": [("mscn_vcinr_kodak_from_authors", "Kodak", name) for name in ("MSCN", "VC-INR")]
    + [("coinpp_rd", "Kodak", name) for name in ("COIN++", "COIN", "BPG", "BMS", "MBT", "CST", "VTM")]
    + [("recombiner", "Kodak", "RECOMBINER"), ("c3_baselines_kodak", "Kodak", "C3")],
}
"""Our data set -> published curves of the same images, or (era5) of maps of the same kind."""

_RATES = "Rate saved step by step, in bits a pixel; fixed length is that of symbols alone, without what lies outside:"

CELL = ["dataset", "source", "method", "budget", "bits"]


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes the points of the curves, the tables and the figure; returns the files."""
    rows = records.read(results / preset / "fig7_rate_distortion.csv", records.RATE_COLUMNS)
    points = summary(rows)
    written = []
    for suffix, text in (
        ("csv", points.to_csv(index=False, float_format="%.5f")),
        ("md", markdown(points, f"Figure 7, preset {preset}. PSNR of 8-bit values", "image")),
    ):
        path = plots / preset / f"fig7_rate_distortion.{suffix}"
        with records.replaced(path) as out:
            out.write(text)
        written.append(path)
    return written + style.save(_figure(points, preset), plots / preset, "fig7_rate_distortion")


def summary(rows: pd.DataFrame, psnr: str = "psnr8_db") -> pd.DataFrame:
    """One line a data set, method, budget (or setting) and number of bits: means over images, then over seeds.

    `psnr` is the mean of the column of that name (of 8-bit values as a picture gives them back, by default), `psnr_std`
    its standard deviation over seeds (0 for one); `bpp` is of the whole file. Rates in bits a pixel.
    """
    rows = rows.assign(bits=rows["bits"].fillna(0).astype(int))
    per_seed = rows.groupby([*CELL, "seed"], as_index=False).agg(
        images=("signal_id", "size"),
        psnr=(psnr, "mean"),
        pixels=("pixels", "mean"),
        bytes=("bytes", "mean"),
        bpp=("bpp", "mean"),
        bpp_payload=("bpp_payload", "mean"),
        bpp_entropy=("bpp_entropy", "mean"),
        encode_s=("encode_s", "mean"),
        decode_s=("decode_s", "mean"),
        outer_steps=("outer_steps", "first"),
        trained_on=("trained_on", "first"),
    )
    groups = per_seed.groupby(CELL)
    means = ["pixels", "bytes", "psnr", "bpp", "bpp_payload", "bpp_entropy", "encode_s", "decode_s"]
    table = groups[means].mean().join(groups[["images", "outer_steps", "trained_on"]].first())
    table["seeds"] = groups.size()
    table["psnr_std"] = groups["psnr"].std(ddof=1).fillna(0)
    return table.reset_index()


def curve(points: pd.DataFrame, method: str, rate: str = "bpp") -> pd.DataFrame:
    """A method's points (columns rate, psnr) in order of rate, as far as more rate gives more quality."""
    part = points[points["method"] == method]
    if method in PATCHED:
        part = part[part["bits"] == CURVE_BITS]
    part = pd.DataFrame({"rate": part[rate], "psnr": part["psnr"]}).dropna().sort_values("rate")
    return part[part["psnr"].cummax() == part["psnr"]].drop_duplicates("psnr")


def seeds(coded: pd.DataFrame) -> str:
    """How many seeds the networks have, and which have fewer: "3 seeds", "3 seeds (COIN++: 1)"."""
    most = coded["seeds"].max()
    fewer = coded[coded["seeds"] < most].groupby("method")["seeds"].min()
    named = "; ".join(f"{style.METHOD_NAMES[method]}: {number}" for method, number in fewer.items())
    return style.count(most, "seed") + (f" ({named})" if named else "")


def published(dataset: str) -> dict[str, pd.DataFrame]:
    """Label -> curve as `curve` has it, of the data set's published results."""
    curves = {}
    for name, theirs, method in PUBLISHED.get(dataset, []):
        rows = pd.read_csv(records.PUBLISHED / f"{name}.csv")
        rows = rows[(rows["dataset"] == theirs) & (rows["method"] == method) & (rows["metric"] == "psnr_dB")]
        curves[method] = pd.DataFrame({"rate": rows["x"], "psnr": rows["value"]}).sort_values("rate")
    return curves


def deltas(test: pd.DataFrame, anchor: pd.DataFrame) -> tuple[float, float]:
    """BD-rate (%) and BD-PSNR (dB) of a curve over an anchor, where their ranges meet; NaN where they do not."""

    def overlap(column):
        low = max(test[column].min(), anchor[column].min())
        return min(test[column].max(), anchor[column].max()) > low

    if min(len(test), len(anchor)) < 2:
        return float("nan"), float("nan")
    data = (anchor["rate"], anchor["psnr"], test["rate"], test["psnr"])
    options = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}
    rate = bjontegaard.bd_rate(*data, **options) if overlap("psnr") else float("nan")
    psnr = bjontegaard.bd_psnr(*data, **options) if overlap("rate") else float("nan")
    return float(rate), float(psnr)


def differences(test: pd.DataFrame, anchor: pd.DataFrame) -> np.ndarray:
    """PSNR of a curve less an anchor's (dB) at 100 rates between the lowest and highest they share; empty where none.

    Interpolated as BD-PSNR is, which is their mean.
    """
    low, high = max(test["rate"].min(), anchor["rate"].min()), min(test["rate"].max(), anchor["rate"].max())
    if min(len(test), len(anchor)) < 2 or low >= high:
        return np.empty(0)
    at = np.linspace(np.log10(low), np.log10(high), 100)
    of_test, of_anchor = (PchipInterpolator(np.log10(each["rate"]), each["psnr"])(at) for each in (test, anchor))
    return of_test - of_anchor


def _table(header: list[str], body: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)] + ["| " + " | ".join(b) + " |" for b in body]


def markdown(points: pd.DataFrame, heading: str, noun: str) -> str:
    """Tables of deltas, rates and times; `noun` is what a signal is, "image" or "map"."""
    lines = [f"{heading}, means over {noun}s, then over seeds.", ""]
    for (dataset, source), part in points.groupby(["dataset", "source"]):
        coded = part[part["method"].isin(PATCHED)]
        steps, on = coded["outer_steps"].max(), ", ".join(sorted(coded["trained_on"].dropna().unique()))
        lines += [f"## {dataset}{style.SOURCES[source]}, {part['images'].max()} test {noun}s", ""]
        lines += [f"Trained on {on}, {steps:.0f} outer steps, {seeds(coded)}.", ""]
        lines += [f"MSCN at {CURVE_BITS} bits against each method: BD-rate < 0 and BD-PSNR > 0 are in its favour.", ""]
        lines += [*_bd_lines(dataset, part), "", _RATES, ""]
        lines += [*_rate_lines(coded), "", "Time:", "", *_time_lines(part, noun), ""]
    return "\n".join(lines)


def _bd_lines(dataset: str, part: pd.DataFrame) -> list[str]:
    body = []
    for rate, of in (("bpp", "whole files"), ("bpp_payload", "without headers")):
        ours = curve(part, "mscn", rate)
        for method in part["method"].unique():
            anchor = curve(part, method, rate)
            if method != "mscn" and len(anchor):
                body.append([style.METHOD_NAMES[method], of, *_compared(ours, anchor)])
    ours = curve(part, "mscn", "bpp_entropy")
    for label, anchor in published(dataset).items():
        body.append([f"{label}, published", "our entropy estimate", *_compared(ours, anchor)])
    return _table(["against", "rate of", "BD-rate (%)", "BD-PSNR (dB)", "least and most at a common rate (dB)"], body)


def _compared(ours: pd.DataFrame, anchor: pd.DataFrame) -> tuple[str, str, str]:
    (rate, psnr), each = deltas(ours, anchor), differences(ours, anchor)
    none = "no overlap"
    return (
        none if np.isnan(rate) else f"{rate:+.1f}",
        none if np.isnan(psnr) else f"{psnr:+.2f}",
        f"{each.min():+.2f}, {each.max():+.2f}" if len(each) else none,
    )


def _rate_lines(coded: pd.DataFrame) -> list[str]:
    body = []
    for (method, budget), of_budget in coded.groupby(["method", "budget"]):
        exact = of_budget[of_budget["bits"] == 32].iloc[0]
        for _, row in of_budget[of_budget["bits"] != 32].sort_values("bits").iterrows():
            body.append(
                [
                    style.METHOD_NAMES[method],
                    f"{budget:g}",
                    f"{row['bits']}",
                    f"{exact['bpp']:.3f}",
                    f"{exact['bpp'] * row['bits'] / 32:.3f}",
                    f"{row['bpp_entropy']:.3f}",
                    f"{row['bpp_payload']:.3f}",
                    f"{row['bpp']:.3f}",
                    f"{exact['psnr']:.2f}",
                    f"{row['psnr']:.2f}",
                    f"{row['psnr'] - exact['psnr']:+.2f}",
                ]
            )
    header = ["method", "entries a patch", "bits", "float32", "fixed length", "entropy estimate", "payload", "file"]
    return _table([*header, "PSNR float32", "PSNR coded", "loss (dB)"], body)


def _time_lines(part: pd.DataFrame, noun: str) -> list[str]:
    body = []
    for method, of_method in part.groupby("method"):
        mega, cost = of_method["pixels"].mean() / 1e6, of_method[["encode_s", "decode_s"]].mean()
        body.append(
            [style.METHOD_NAMES[method], *(f"{value:.2g}" for value in (*cost, *(cost / mega)))],
        )
    header = [f"{work} s/{size}" for size in (noun, "megapixel") for work in ("encode", "decode")]
    return _table(["method", *header], body)


def _figure(points: pd.DataFrame, preset: str) -> plt.Figure:
    parts = list(points.groupby(["dataset", "source"]))
    figure, axes = plt.subplots(
        2, len(parts), figsize=(4.6 * len(parts), 7.2), squeeze=False, layout="constrained", height_ratios=(1, 1)
    )
    handles = {}
    for column, ((dataset, source), part) in enumerate(parts):
        coded = part[part["method"].isin(PATCHED) & (part["bits"] == CURVE_BITS)]
        for axis, low in zip(axes[:, column], (False, True), strict=True):
            for theirs in published(dataset).values():
                axis.plot(
                    theirs["rate"], theirs["psnr"], color="0.75", linewidth=0.9, marker=".", markersize=3, zorder=1
                )
                handles.setdefault("published", axis.lines[-1])
            for method in style.METHOD_STYLES:
                line = curve(part, method)
                if len(line):
                    width = 1.6 if method in NETWORKS else 1.0
                    look = style.METHOD_STYLES[method] | {"linewidth": width, "markersize": 4}
                    (drawn,) = axis.plot(line["rate"], line["psnr"], **look, zorder=3)
                    handles[style.METHOD_NAMES[method]] = drawn
            axis.set_xlabel("rate (bits a pixel, whole files)")
            axis.set_ylabel("PSNR (dB)")
            if low:
                _zoom(axis, coded)
                name_curves(axis, published(dataset))
                axis.set_title("low rates")
                continue
            axis.set_xscale("log")
            axis.set_xticks([0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10])
            axis.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
            axis.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
            axis.set_xlim(0.03, 20)
            name_curves(axis, published(dataset))
            images = style.count(part["images"].max(), "image")
            about = f"{coded['outer_steps'].max():.0f} steps, {CURVE_BITS} bits, {images}, {seeds(coded)}"
            on = ", ".join(sorted(coded["trained_on"].unique())).replace("standin", "stand-in")
            axis.set_title(f"{style.title(dataset, source, preset)}\n{about}\ntrained on {on}")
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5)
    return figure


def _zoom(axis: plt.Axes, coded: pd.DataFrame) -> None:
    """Shows the rates of the networks' curves."""
    room = 0.1 * (coded["bpp"].max() - coded["bpp"].min()) + 0.02
    axis.set_xlim(max(coded["bpp"].min() - room, 0), coded["bpp"].max() + room)
    axis.set_ylim(coded["psnr"].min() - 3, coded["psnr"].max() + 6)


def name_curves(axis: plt.Axes, curves: dict[str, pd.DataFrame]) -> None:
    """Writes every published curve's name at its last point within the axis, where no other name stands."""
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    taken = []
    for label, line in curves.items():
        inside = line[line["rate"].between(left, right) & line["psnr"].between(bottom, top)]
        for _, at in inside[::-1].iterrows():
            x, y = axis.transData.transform((at["rate"], at["psnr"]))
            right_end, top_end = axis.transData.transform((right, top))
            free = all(abs(x - a) > 75 or abs(y - b) > 16 for a, b in taken)
            if free and x < right_end - 60 and y < top_end - 16:
                taken.append((x, y))
                place = {"textcoords": "offset points", "fontsize": 6, "color": "0.35", "zorder": 4}
                place["bbox"] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
                axis.annotate(label, (at["rate"], at["psnr"]), (2, 2), **place)
                break
