"""Figure 7's strip: parts of decoded Kodak images at about equal rates, beside JPEG and JPEG 2000."""

import pandas as pd
import PIL.Image

from benchmarks import records
from benchmarks.figures import style
from benchmarks.figures.results import Drawn, Results, of_recipe, told_recipe

NETWORKS = ("mscn", "coin_pp")
METHODS = (*NETWORKS, "jpeg", "jpeg2000")


def draw(results: Results) -> Drawn:
    """The strip, where there are decoded parts of Kodak images."""
    folder = results.folder / "fig7_rate_distortion_images"
    rows = of_recipe(results.rows("fig7_rate_distortion", records.RATE_COLUMNS))
    rows = rows[(rows["dataset"] == "kodak") & (rows["seed"] == 0)]
    indices = sorted({int(path.name.split("_")[0]) for path in folder.glob("*_original.png")})
    if not indices or not len(rows) or not set(METHODS) <= set(rows["method"]):
        return {}
    shown = {index: chosen(rows[rows["signal_id"] == index]) for index in indices}
    names = [f"{index}_{name}.png" for index, of in shown.items() for name in of.values()]
    # Rows may be of fewer images or bits than the pictures of an earlier run, or have come without theirs.
    if not all(shown.values()) or not all((folder / name).is_file() for name in names):
        return {}
    columns = len(METHODS) + 1
    figure, axes = style.grid(len(indices), columns, 1.75 * columns, 2.2 * len(indices))
    for line, index in zip(axes, indices, strict=True):
        for axis, (label, name) in zip(line, shown[index].items(), strict=True):
            axis.imshow(PIL.Image.open(folder / f"{index}_{name}.png"))
            axis.set_axis_off()
            axis.set_title(label, fontsize=8)
    about = f"networks trained on {style.trained_on(rows)}; PSNR and rate (bits per pixel) of the whole image"
    recipe = told_recipe(rows[rows["method"].isin(NETWORKS)])
    title = f"Parts of images decoded from files of the nearest rates · {results.title('kodak', 'real', recipe)}"
    figure.suptitle(f"{title}\n{about}", fontsize=10)
    return {"fig7_strip": figure}


def chosen(rows: pd.DataFrame) -> dict[str, str]:
    """Title -> name of the picture's file: MSCN at its middle budget, the others at the nearest rates.

    Nothing where a method has no row that a picture was kept of.
    """
    coding = rows["coding"].fillna("plain")
    full = rows["method"].isin(rows.loc[coding == list(records.SHOWN_BITS)[-1], "method"])
    shown = (rows["bits"] == coding.map(records.SHOWN_BITS)) & ((coding != "plain") | ~full)
    rows = rows[~rows["method"].isin(NETWORKS) | shown]
    if not set(METHODS) <= set(rows["method"]):
        return {}
    mine = rows[rows["method"] == "mscn"].sort_values("bpp")
    rate = mine.iloc[len(mine) // 2]["bpp"]
    found = {f"original, image {int(rows.iloc[0]['signal_id']) + 1:02d}": "original"}
    for method in METHODS:
        part = rows[rows["method"] == method]
        row = part.loc[(part["bpp"] - rate).abs().idxmin()]
        name = f"{method}_{row['budget']:g}"
        if method in NETWORKS:
            name = records.kept_as(f"{name}_{row['bits']:g}b", row["recipe"])
        found[f"{style.label(method)}\n{row['bpp']:.3f} bpp, {row['psnr8_db']:.2f} dB"] = name
    return found
