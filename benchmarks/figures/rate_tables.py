"""Tables of rate-distortion benchmarks as Markdown: deltas between curves, rates step by step, times."""

import numpy as np
import pandas as pd

from benchmarks.figures import style, tables
from benchmarks.figures.rate_distortion import coded, curve, deltas, differences, drawn, published, seeds

_RATES = "Rate saved step by step, in bits per pixel; fixed length is that of symbols alone, without what lies outside:"


def markdown(points: pd.DataFrame, heading: str, noun: str) -> str:
    """The tables of every data set; `noun` says what a signal is, "image" or "map".

    Raises:
      ValueError: for a data set without any network whose codes are quantised, which is what all is compared with.
    """
    lines = [f"{heading}, means over {noun}s, then over seeds.", ""]
    for (dataset, source), part in points.groupby(["dataset", "source"]):
        networks = coded(part)
        if not (networks["outer_steps"] > 0).any():
            there = ", ".join(style.label(method) for method in part["method"].unique())
            named = style.named(dataset, source)
            raise ValueError(f"{named} has rows of {there} alone; run networks too, which these are compared with")
        steps, on = networks["outer_steps"].max(), ", ".join(sorted(networks["trained_on"].dropna().unique()))
        lines += [f"## {dataset}{style.SOURCES[source]}, {part['images'].max()} test {noun}s", ""]
        lines += [f"Trained on {on}, {steps:.0f} outer steps, {seeds(networks)}.", ""]
        lines += [
            f"MSCN at {style.span(drawn(networks)['bits'])} bits against methods of its recipe: "
            "BD-rate < 0 and BD-PSNR > 0 are in its favour.",
            "",
        ]
        lines += [_deltas(dataset, part), _RATES, "", _rates(networks), "Time:", "", _times(part, noun)]
    return "\n".join(lines)


def _deltas(dataset: str, part: pd.DataFrame) -> str:
    body = []
    for mscn in style.ordered(part["method"].unique(), ["mscn"]):
        recipe = style.recipe(mscn)
        for rate, of in (("bpp", "whole files"), ("bpp_payload", "without headers")):
            ours = curve(part, mscn, rate)
            for method in part["method"].unique():
                anchor, same = curve(part, method, rate), style.recipe(method) in ("", recipe)
                if method != mscn and same and len(anchor):
                    body.append([style.label(mscn), style.label(method), of, *_compared(ours, anchor)])
        ours = curve(part, mscn, "bpp_entropy")
        for label, anchor in published(dataset).items():
            body.append([style.label(mscn), f"{label}, published", "our entropy estimate", *_compared(ours, anchor)])
    header = ["method", "against", "rate of", "BD-rate (%)", "BD-PSNR (dB)", "least and most at a common rate (dB)"]
    return tables.markdown(header, body)


def _compared(ours: pd.DataFrame, anchor: pd.DataFrame) -> tuple[str, str, str]:
    (rate, psnr), each = deltas(ours, anchor), differences(ours, anchor)
    none = "no overlap"
    return (
        none if np.isnan(rate) else f"{rate:+.1f}",
        none if np.isnan(psnr) else f"{psnr:+.2f}",
        f"{each.min():+.2f}, {each.max():+.2f}" if len(each) else none,
    )


def _rates(networks: pd.DataFrame) -> str:
    body = []
    for (method, budget), of_budget in networks.groupby(["method", "budget"]):
        exact = of_budget[of_budget["bits"] == 32].iloc[0]
        for _, row in of_budget[of_budget["bits"] != 32].sort_values(["coding", "bits"]).iterrows():
            rates = exact["bpp"], exact["bpp"] * row["bits"] / 32, row["bpp_entropy"], row["bpp_payload"], row["bpp"]
            cells = [
                style.label(method),
                f"{budget:g}",
                row["coding"] or "plain",
                f"{row['bits']}",
                *(f"{rate:.3f}" for rate in rates),
            ]
            loss = f"{row['psnr'] - exact['psnr']:+.2f}"
            body.append([*cells, f"{exact['psnr']:.2f}", f"{row['psnr']:.2f}", loss])
    header = [
        "method",
        "entries per patch",
        "coding",
        "bits",
        "float32",
        "fixed length",
        "entropy estimate",
        "payload",
        "file",
    ]
    return tables.markdown([*header, "PSNR float32", "PSNR coded", "loss (dB)"], body)


def _times(part: pd.DataFrame, noun: str) -> str:
    body = []
    for method, of_method in part.groupby("method"):
        mega, cost = of_method["pixels"].mean() / 1e6, of_method[["encode_s", "decode_s"]].mean()
        body.append([style.label(method), *(f"{value:.2g}" for value in (*cost, *(cost / mega)))])
    header = [f"{work} s/{size}" for size in (noun, "megapixel") for work in ("encode", "decode")]
    return tables.markdown(["method", *header], body)
