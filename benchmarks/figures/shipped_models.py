"""What the models of the package have on whole files, as a table, and what file formats have at the same rate."""

import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.figures import style, tables
from benchmarks.figures.results import Drawn, Results

FORMATS = ("jpeg", "webp", "jpeg2000")


def draw(results: Results) -> Drawn:
    """The table."""
    rows = results.rows("shipped_models", records.RATE_COLUMNS)
    cell = ["dataset", "source", "method", "budget", "inner_steps", "coding"]
    means = rows.groupby(cell, as_index=False, sort=False, dropna=False).agg(
        files=("signal_id", "size"),
        rate=("bpp", "mean"),
        psnr=("psnr8_db", "mean"),
        bytes=("bytes", "mean"),
        encode_s=("encode_s", "mean"),
        decode_s=("decode_s", "mean"),
    )
    body = []
    for _, model in means[~means["method"].isin(FORMATS)].iterrows():
        same = means[means["dataset"] == model["dataset"]]
        body.append(
            [
                model["method"],
                f"{model['inner_steps']:.0f}",
                model["coding"],
                f"{model['dataset']}{style.SOURCES[model['source']]}, {model['files']}",
                f"{model['rate']:.4g}",
                f"{model['psnr']:.2f}",
                *(_at(same[same["method"] == name], model["rate"]) for name in FORMATS),
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
        *(f"{style.label(name)} there (dB)" for name in FORMATS),
    ]
    heading = f"Models of the package on whole files, preset {results.preset}; means over files."
    table = tables.markdown([*header, "bytes", "encode (s)", "decode (s)"], body)
    return {"shipped_models.md": f"{heading}\n\n{table}"}


def _at(curve: pd.DataFrame, rate: float) -> str:
    """PSNR of a file format at a rate, between its two nearest settings; a dash where it has no files as small."""
    curve = curve.sort_values("rate")
    if not len(curve) or not curve["rate"].iloc[0] <= rate <= curve["rate"].iloc[-1]:
        return "-"
    return f"{np.interp(np.log(rate), np.log(curve['rate']), curve['psnr']):.2f}"
