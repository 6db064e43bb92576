"""Figure 7's strip: parts of decoded Kodak images at about equal rates, beside JPEG and JPEG 2000."""

import pathlib

import matplotlib.pyplot as plt
import pandas as pd
import PIL.Image

from benchmarks import records
from benchmarks.figures import style
from benchmarks.figures.fig7_rate_distortion import CURVE_BITS

COLUMNS = ("original", "mscn", "coin_pp", "jpeg", "jpeg2000")


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes the strip where there are decoded parts of Kodak images; returns the files."""
    folder = results / preset / "fig7_rate_distortion_images"
    rows = records.read(results / preset / "fig7_rate_distortion.csv", records.RATE_COLUMNS)
    rows = rows[(rows["dataset"] == "kodak") & (rows["seed"] == 0)]
    indices = sorted({int(path.name.split("_")[0]) for path in folder.glob("*_original.png")})
    if not indices or not len(rows):
        return []
    figure, axes = plt.subplots(
        len(indices),
        len(COLUMNS),
        figsize=(1.75 * len(COLUMNS), 2.2 * len(indices)),
        squeeze=False,
        layout="constrained",
    )
    for line, index in enumerate(indices):
        of_image = rows[rows["signal_id"] == index]
        for axis, (label, name) in zip(axes[line], _chosen(of_image).items(), strict=True):
            axis.imshow(PIL.Image.open(folder / f"{index}_{name}.png"))
            axis.set_axis_off()
            axis.set_title(label, fontsize=7)
    on = ", ".join(sorted(rows["trained_on"].dropna().unique())).replace("standin", "stand-in")
    about = f"networks trained on {on} · PSNR and rate of the whole image"
    figure.suptitle(style.title("kodak", "real", preset, about), fontsize=9)
    return style.save(figure, plots / preset, "fig7_strip")


def _chosen(rows: pd.DataFrame) -> dict[str, str]:
    """Title -> name of the picture's file: MSCN at its middle budget, the others at the nearest rates."""
    networks = rows[rows["method"].isin(["mscn", "coin_pp"]) & (rows["bits"] == CURVE_BITS)]
    mine = networks[networks["method"] == "mscn"].sort_values("bpp")
    rate = mine.iloc[len(mine) // 2]["bpp"]
    chosen = {f"original, {int(rows.iloc[0]['signal_id']) + 1:02d}": "original"}
    for method in COLUMNS[1:]:
        part = networks if method in ("mscn", "coin_pp") else rows
        part = part[part["method"] == method]
        row = part.loc[(part["bpp"] - rate).abs().idxmin()]
        name = f"{method}_{row['budget']:g}" + (f"_{CURVE_BITS}b" if method in ("mscn", "coin_pp") else "")
        chosen[f"{style.METHOD_NAMES[method]}\n{row['bpp']:.3f} bpp, {row['psnr8_db']:.2f} dB"] = name
    return chosen
