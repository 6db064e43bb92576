"""Rate-distortion curves: ours and published ones, their Bjøntegaard deltas and differences at equal rates."""

import bjontegaard
import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator

from benchmarks import records
from benchmarks.figures import style, tables

CURVE_BITS = 5
"""Bits per modulation of the curves of networks that are coded plainly; the tables have the others. Paper: 5 to 6."""

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

SHOWN = {"cifar10": ("COIN++", "COIN", "BPG", "BMS", "RECOMBINER"), "kodak": ("MSCN", "VC-INR", "COIN++", "C3", "VTM")}
"""Our data set -> those of `PUBLISHED` that figures show, where not all; tables compare with all."""

CURVES = "points that a lower rate surpasses are left out"
"""What titles say of `curve`."""

CELL = ["dataset", "source", "method", "coding", "budget", "bits"]


def summary(rows: pd.DataFrame, psnr: str = "psnr8_db") -> pd.DataFrame:
    """One line per data set, method, budget (or setting) and number of bits: means over images, then over seeds.

    `psnr` is the mean of the column of that name (by default of 8-bit values, as a picture holds them), `psnr_std` its
    standard deviation over seeds (0 for one); `bpp` is that of the whole file. Rates in bits per pixel.
    """
    rows = rows.assign(bits=rows["bits"].fillna(0).astype(int), coding=rows["coding"].fillna(""))
    means = ["pixels", "bytes", "psnr", "bpp", "bpp_payload", "bpp_entropy", "encode_s", "decode_s"]
    per_seed = tables.seed_means(rows, CELL, {name: name for name in means} | {"psnr": psnr})
    table = tables.across_seeds(per_seed, CELL, means).rename(columns={"signals": "images"})
    table["psnr_std"] = table["psnr_std"].fillna(0)
    return table[[*CELL, *means, "images", "outer_steps", "trained_on", "seeds", "psnr_std"]]


def coded(points: pd.DataFrame) -> pd.DataFrame:
    """The points of codes whose numbers are quantised: those that have a point at full precision, 32 bits."""
    return points[points["method"].isin(points.loc[points["bits"] == 32, "method"])]


def drawn(points: pd.DataFrame) -> pd.DataFrame:
    """The points of curves: a method's fullest coding, at `CURVE_BITS` where that is plain; all of file formats."""
    points = points[points["bits"] != 32].assign(network=points["method"].isin(coded(points)["method"]))
    parts = points["coding"].str.count(r"\+") + ~points["coding"].isin(["", "plain"])
    fullest = parts == parts.groupby(points["method"]).transform("max")
    at_bits = ~points["network"] | (parts > 0) | (points["bits"] == CURVE_BITS)
    return points[fullest & at_bits].drop(columns="network")


def curve(points: pd.DataFrame, method: str, rate: str = "bpp") -> pd.DataFrame:
    """A method's points (columns rate, psnr) in order of rate, as far as a higher rate gives a higher quality.

    Of a method with several numbers of bits those that no two others are better than, mixed: the upper convex hull.
    """
    part = drawn(points)[lambda points: points["method"] == method]
    several = part["bits"].nunique() > 1
    part = pd.DataFrame({"rate": part[rate], "psnr": part["psnr"]}).dropna().sort_values("rate")
    part = part[part["psnr"].cummax() == part["psnr"]].drop_duplicates("psnr")
    return _hull(part) if several else part


def _hull(part: pd.DataFrame) -> pd.DataFrame:
    """The points, in order of rate, that lie above the line between any two others."""
    kept = []
    for index, at in part.iterrows():
        while len(kept) > 1:
            first, middle = part.loc[kept[-2]], part.loc[kept[-1]]
            rise = (at["psnr"] - first["psnr"]) / (at["rate"] - first["rate"])
            if middle["psnr"] > first["psnr"] + rise * (middle["rate"] - first["rate"]):
                break
            kept.pop()
        kept.append(index)
    return part.loc[kept]


def seeds(points: pd.DataFrame) -> str:
    """How many seeds what was trained has, and which has fewer: "3 seeds", "3 seeds (COIN++: 1)"."""
    points = points[points["outer_steps"] > 0]
    most = max(points["seeds"], default=0)
    fewer = points[points["seeds"] < most].groupby("method")["seeds"].min()
    named = "; ".join(f"{style.label(method)}: {number}" for method, number in fewer.items())
    return style.count(most, "seed") + (f" ({named})" if named else "")


def about(part: pd.DataFrame, noun: str) -> str:
    """Two lines for a title: steps, bits, signals (each an "image" or "map") and seeds; training data."""
    networks = drawn(coded(part))
    bits = style.span(networks["bits"])
    signals, steps = style.count(part["images"].max(), noun), networks["outer_steps"].max()
    trained = networks.loc[networks["outer_steps"] > 0, "seeds"]  # Which has fewer, `seeds` says in the table.
    of_seeds = f"{style.span(trained)} seed{'s' if max(trained) > 1 else ''}"
    counts = f"{steps:.0f} steps, {bits} bits, {signals}, {of_seeds}"
    return f"{counts}\ntrained on {style.trained_on(networks)}"


def published(dataset: str) -> dict[str, pd.DataFrame]:
    """Label -> curve as `curve` has it, of the data set's published results."""
    curves = {}
    for name, theirs, method in PUBLISHED.get(dataset, []):
        rows = pd.read_csv(records.PUBLISHED / f"{name}.csv")
        rows = rows[(rows["dataset"] == theirs) & (rows["method"] == method) & (rows["metric"] == "psnr_dB")]
        curves[method] = pd.DataFrame({"rate": rows["x"], "psnr": rows["value"]}).sort_values("rate")
    return curves


def shown_published(dataset: str) -> dict[str, np.ndarray]:
    """Label -> points [n, 2], rate and PSNR, of the published curves that figures show (`SHOWN`)."""
    curves = published(dataset)
    return {method: curves[method][["rate", "psnr"]].to_numpy() for method in SHOWN.get(dataset, curves)}


def _overlap(test: pd.DataFrame, anchor: pd.DataFrame, column: str) -> tuple[float, float]:
    """The range of a column that two curves share, empty where the first is not below the second."""
    return max(test[column].min(), anchor[column].min()), min(test[column].max(), anchor[column].max())


def deltas(test: pd.DataFrame, anchor: pd.DataFrame) -> tuple[float, float]:
    """BD-rate (%) and BD-PSNR (dB) of a curve over an anchor, where their ranges meet; NaN where they do not."""
    data = (anchor["rate"], anchor["psnr"], test["rate"], test["psnr"])
    options = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}
    found = []
    for measure, column in ((bjontegaard.bd_rate, "psnr"), (bjontegaard.bd_psnr, "rate")):
        low, high = _overlap(test, anchor, column)
        able = min(len(test), len(anchor)) > 1 and low < high
        found.append(float(measure(*data, **options)) if able else float("nan"))
    return found[0], found[1]


def differences(test: pd.DataFrame, anchor: pd.DataFrame) -> np.ndarray:
    """PSNR of a curve minus an anchor's (dB) at 100 rates over the range that they share; empty where there is none.

    Interpolated as BD-PSNR is, which is their mean.
    """
    low, high = _overlap(test, anchor, "rate")
    if min(len(test), len(anchor)) < 2 or low >= high:
        return np.empty(0)
    at = np.linspace(np.log10(low), np.log10(high), 100)
    of_test, of_anchor = (PchipInterpolator(np.log10(each["rate"]), each["psnr"])(at) for each in (test, anchor))
    return of_test - of_anchor
