"""What the models of the package have on whole files, as a table, beside file formats and a linear code."""

import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.figures import rate_distortion, style, tables
from benchmarks.figures.results import Drawn, Results
from mscn_flax import shipped
from mscn_flax.modalities import IMAGES

FORMATS = ("jpeg", "webp", "jpeg2000")


def psnr_column(name: str) -> str:
    """The column of the PSNR that counts for what a model, or a file format, codes: only pictures have 8 bits."""
    entry = shipped.ENTRIES.get(name)
    return "psnr8_db" if entry is None or entry.modality is IMAGES else "psnr_db"


def draw(results: Results) -> Drawn:
    """The table."""
    rows = results.rows("shipped_models", records.RATE_COLUMNS)
    in_8_bits = rows["method"].map(psnr_column) == "psnr8_db"
    rows = rows.assign(psnr=rows["psnr8_db"].where(in_8_bits, rows["psnr_db"]))
    cell = ["dataset", "source", "method", "budget", "inner_steps", "coding"]
    means = rows.groupby(cell, as_index=False, sort=False, dropna=False).agg(
        files=("signal_id", "size"),
        rate=("bpp", "mean"),
        psnr=("psnr", "mean"),
        accuracy=("voxel_accuracy", "mean"),
        bytes=("bytes", "mean"),
        encode_s=("encode_s", "mean"),
        decode_s=("decode_s", "mean"),
    )
    floors, body = _floors(results), []
    for _, model in means[~means["method"].isin(FORMATS)].iterrows():
        same = means[means["dataset"] == model["dataset"]]
        body.append(
            [
                model["method"],
                f"{model['inner_steps']:.0f}",
                model["coding"],
                f"{style.named(model['dataset'], model['source'])}, {model['files']}",
                f"{model['rate']:.4g}",
                f"{model['psnr']:.2f}",
                "-" if np.isnan(model["accuracy"]) else f"{100 * model['accuracy']:.2f}",
                *(_at(same[same["method"] == name], model["rate"]) for name in FORMATS),
                _at(floors.get(model["dataset"], means.head(0)), model["rate"]),
                f"{model['bytes']:,.0f}",
                f"{model['encode_s']:.2g}",
                f"{model['decode_s']:.2g}",
            ]
        )
    header = [
        "model",
        "steps",
        "coding",
        "files",
        "bits per point",
        "PSNR (dB)",
        "right voxels (%)",
        *(f"{style.label(name)} there (dB)" for name in (*FORMATS, "klt")),
    ]
    heading = f"Models of the package on whole files, preset {results.preset}; means over files. "
    heading += "A dash: no files of that rate."
    table = tables.markdown([*header, "bytes", "encode (s)", "decode (s)"], body)
    saved = _saved(means)
    return {"shipped_models.md": f"{heading}\n\n{table}" + (f"\n{saved}\n" if saved else "")}


def _saved(means: pd.DataFrame) -> str:
    """What contexts save of each model's files; empty where nothing was coded without."""
    found = []
    for method, part in means.groupby("method", sort=False):
        for steps, same in part.groupby("inner_steps"):
            sizes = same.set_index("coding")["bytes"]
            if {"transform", "transform+contexts"} <= set(sizes.index):
                found.append(f"{method} {1 - sizes['transform+contexts'] / sizes['transform']:.1%} ({steps:.0f} steps)")
    return f"Prediction and contexts save of the bytes: {', '.join(found)}." if found else ""


def _floors(results: Results) -> dict[str, pd.DataFrame]:
    """Data set -> curve of the linear code of figure 7, where that was run: principal components, coded likewise."""
    if not results.has("fig7_rate_distortion"):
        return {}
    points = rate_distortion.summary(results.rows("fig7_rate_distortion", records.RATE_COLUMNS))
    return {name: rate_distortion.curve(part, "klt") for name, part in points.groupby("dataset")}


def _at(curve: pd.DataFrame, rate: float) -> str:
    """PSNR of a curve at a rate, between its two nearest points; a dash beyond its ends."""
    curve = curve.sort_values("rate")
    if not len(curve) or not curve["rate"].iloc[0] <= rate <= curve["rate"].iloc[-1]:
        return "-"
    return f"{np.interp(np.log(rate), np.log(curve['rate']), curve['psnr']):.2f}"
