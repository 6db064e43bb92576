"""The browser of signals: each test signal under every method, in numbers, and in pictures where they were kept."""

import base64
import dataclasses
import io
import pathlib
import re
from collections.abc import Iterator

import matplotlib
import numpy as np
import pandas as pd
import PIL.Image

from benchmarks import records
from benchmarks.figures import (
    fig3_reconstructions,
    fig5_voxels,
    fig6_climate,
    novel_views,
    style,
    values,
)
from benchmarks.figures.results import Results, of_recipe
from mscn_flax.modalities.maps import to_kelvin

_SIDE = 192
"""Least width of a picture: smaller ones are enlarged, pixel by pixel."""

_GAIN = 4
"""What errors of pictures are multiplied by before they are shown."""


@dataclasses.dataclass
class Picture:
    """A decoded signal and its error, as data URIs."""

    value: str
    error: str


@dataclasses.dataclass
class Collection:
    """The test signals of one data set in one benchmark.

    Attributes:
      name: for links, such as "table1-cifar10".
      title: for people.
      unit: of the values.
      series: what there is of a signal: label, and ids of the runs.
      signals: their ids.
      values: quality, one list per series, in the order of the signals; None where a series lacks one.
      rates: bits per point likewise, or empty.
      originals: signal -> data URI.
      pictures: signal -> index of a series -> picture.
      error: what an error map shows.
      note: what else is to be known of the pictures.
    """

    name: str
    title: str
    unit: str
    series: list[tuple[str, list[str]]]
    signals: list[int]
    values: list[list[float | None]]
    rates: list[list[float | None]] = dataclasses.field(default_factory=list)
    originals: dict[int, str] = dataclasses.field(default_factory=dict)
    pictures: dict[int, dict[int, Picture]] = dataclasses.field(default_factory=dict)
    error: str = f"absolute error, times {_GAIN}"
    note: str = ""


def collections(results: Results) -> Iterator[Collection]:
    """All that there are rows of."""
    for name, make in (
        ("table1_modulations", _table1),
        ("fig2_unstructured", _fig2),
        ("fig7_rate_distortion", _fig7),
    ):
        if results.has(name):
            yield from make(results)


def uri(picture: np.ndarray | PIL.Image.Image) -> str:
    """A picture as a data URI, enlarged where it is small."""
    image = picture if isinstance(picture, PIL.Image.Image) else PIL.Image.fromarray(picture)
    factor = -(-_SIDE // image.width)
    if factor > 1:
        image = image.resize((factor * image.width, factor * image.height), PIL.Image.Resampling.NEAREST)
    out = io.BytesIO()
    image.convert("RGB").save(out, format="WEBP", quality=80, method=2)
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}"


def _collected(name: str, title: str, unit: str, rows: pd.DataFrame, column: str) -> Collection:
    """Rows with a column `label` as a collection; means over seeds."""
    signals = sorted(rows["signal_id"].unique())

    def wide(column: str) -> dict[str, list[float | None]]:
        found = rows.pivot_table(column, "label", "signal_id", sort=False).reindex(columns=signals)
        return {
            label: [None if value != value else round(value, 3) for value in line]
            for label, line in zip(found.index, found.to_numpy(), strict=True)
        }

    measured = wide(column)
    runs = rows.groupby("label")["run_id"].unique()
    series = [(label, sorted(runs[label])) for label in sorted(measured, key=_by_number)]
    numbers = [measured[label] for label, _ in series]
    made = Collection(name, title, unit, series, [int(signal) for signal in signals], numbers)
    if rows["bpp"].notna().any():
        rates = wide("bpp")
        made.rates = [rates.get(label, [None] * len(signals)) for label, _ in series]
    return made


def _by_number(label: str) -> list:
    """For sorting: numbers in a label count as numbers."""
    return [(float(part), "") if part[:1].isdigit() else (-1.0, part) for part in re.split(r"([\d.]+)", label) if part]


def _index(collection: Collection) -> dict[str, int]:
    return {label: index for index, (label, _) in enumerate(collection.series)}


# Table 1: maps, solids and scenes.


def _table1(results: Results) -> Iterator[Collection]:
    compared = results.compared("table1_modulations", records.MODULATION_COLUMNS)
    budget = compared.groupby("run_id")["budget"].transform("max")
    compared = compared.assign(label=compared["method"].map(style.label) + ", " + budget.map("{:g}".format))
    kept = {one.name: (one, original) for one, original in values.kept(results)}
    for (dataset, source), part in compared[~compared["method"].str.endswith("flops")].groupby(["dataset", "source"]):
        accuracy = part["voxel_accuracy"].notna().any()
        part = part.assign(quality=100 * part["voxel_accuracy"] if accuracy else part["psnr_db"])
        title = f"Table 1: {style.named(dataset, source)}"
        unit = "% of voxels" if accuracy else "dB"
        made = _collected(f"table1-{dataset}", title, unit, part, "quality")
        if f"{dataset}_{source}" in kept:
            one, original = kept[f"{dataset}_{source}"]
            recipe = one.rows["recipe"].dropna()
            _add_values(made, one, original, "" if recipe.empty else style.RECIPE + recipe.iloc[0])
        yield made


def _add_values(made: Collection, one: values.Kept, original: np.ndarray, recipe: str) -> None:
    index = _index(made)
    for signal in range(len(original)):
        draw, made.error = _drawing(original[signal])
        made.originals[signal] = uri(draw(original[signal])[0])
        made.pictures[signal] = {
            index[label]: Picture(*map(uri, draw(stored[signal])))
            for method in one.methods
            for budget in one.budgets
            if (label := f"{style.label(method + recipe)}, {budget:g}") in index
            and (stored := one.load(f"{method}_{budget}")) is not None
        }


def _drawing(original: np.ndarray):
    """What turns stored values into a picture and one of its error, and what the latter shows."""
    if original.dtype == np.uint8:
        solid = fig5_voxels.solid(original)
        grey, red, blue = fig5_voxels.SOLID, fig5_voxels.SURPLUS, fig5_voxels.MISSING

        def voxels(stored):
            found = fig5_voxels.solid(stored)
            labels = np.where(found & ~solid, 2, np.where(solid & ~found, 3, 0))
            shown = [fig5_voxels.render(found.astype(int), {1: grey}), fig5_voxels.render(labels, {2: red, 3: blue})]
            return [_bytes(each) for each in shown]

        return voxels, "red: filled wrongly, blue: left out wrongly"
    if original.ndim == 2:
        shape = fig6_climate.grid(len(original))
        truth = to_kelvin(original.astype(float).reshape(shape))

        def maps(stored):
            found = to_kelvin(stored.astype(float).reshape(shape))
            colours = matplotlib.colormaps["viridis"](_scaled(found, truth.min(), truth.max()))
            errors = matplotlib.colormaps["RdBu_r"](_scaled(found - truth, -10, 10))
            return _bytes(colours), _bytes(errors)

        return maps, "error from -10 K (blue) to 10 K (red)"

    def view(stored):
        return _with_error(novel_views.picture(stored[0]), novel_views.picture(original[0]))

    return view, f"absolute error, times {_GAIN}"


def _scaled(array: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((array - low) / max(high - low, 1e-9), 0, 1)


def _bytes(picture: np.ndarray) -> np.ndarray:
    """8-bit colours of colours from 0 to 1, without transparency."""
    return np.rint(255 * np.clip(picture[..., :3], 0, 1)).astype(np.uint8)


def _with_error(picture: np.ndarray, original: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    error = np.abs(picture.astype(int) - original.astype(int))
    return picture, np.clip(_GAIN * error, 0, 255).astype(np.uint8)


# Figures 2 and 7: pictures.


def _fig2(results: Results) -> Iterator[Collection]:
    rows = of_recipe(results.rows("fig2_unstructured"), which=0)
    rows = rows[rows["inner_optimizer"] != "adam"]
    rows = rows.assign(label=rows["method"].map(style.label) + ", " + (100 * rows["budget"]).map("{:.3g}%".format))
    folder = results.folder / "fig2_unstructured_images"
    for (dataset, source), part in rows.groupby(["dataset", "source"]):
        title = f"Figure 2: {style.named(dataset, source)}"
        made = _collected(f"fig2-{dataset}", title, "dB", part, "psnr_db")
        index, cells = _index(made), part.groupby(["method", "budget", "label"], as_index=False).size()
        files = {
            index[line.label]: folder / f"{dataset}_{source}_{line.method}_{line.budget:g}.png"
            for line in cells.itertuples()
        }
        original = folder / f"{dataset}_{source}_original.png"
        if original.exists():
            for signal, truth in enumerate(fig3_reconstructions.strip(original)):
                made.originals[signal] = uri(truth)
                made.pictures[signal] = {
                    at: Picture(*map(uri, _with_error(fig3_reconstructions.strip(path)[signal], truth)))
                    for at, path in files.items()
                    if path.exists()
                }
        yield made


def _fig7(results: Results) -> Iterator[Collection]:
    rows = results.compared("fig7_rate_distortion", records.RATE_COLUMNS)
    rows = rows[rows["bits"] != 32]
    bits = rows["bits"].map(lambda number: "" if number != number else f", {number:g} bits")
    coding = rows["coding"].fillna("").map(lambda name: f", {name}" if name else "")
    rows = rows.assign(label=rows["method"].map(style.label) + ", " + rows["budget"].map("{:g}".format) + bits + coding)
    folder = results.folder / "fig7_rate_distortion_images"
    for (dataset, source), part in rows.groupby(["dataset", "source"]):
        title = f"Figure 7: {style.named(dataset, source)}"
        made = _collected(f"fig7-{dataset}", title, "dB", part, "psnr8_db")
        if dataset == "kodak":
            made.note = "Pictures are parts, numbers of the whole file."
            _add_files(made, part, folder)
        yield made


def _add_files(made: Collection, rows: pd.DataFrame, folder: pathlib.Path) -> None:
    """The kept parts of pictures; of codes those of the last recipe, at the bits that a coding is shown at."""
    index, coding = _index(made), rows["coding"].fillna("plain")
    shown = rows["bits"].isna() | (rows["bits"] == coding.map(records.SHOWN_BITS))
    # Of several codings with one file the fullest is what was kept.
    cells = of_recipe(rows.assign(parts=coding.str.count(r"\+"))[shown]).sort_values("parts")
    files = {}
    for line in cells.drop_duplicates("label").itertuples():
        name = re.sub(f"{style.RECIPE}.*", "", line.method)
        files[f"{name}_{line.budget:g}" + ("" if line.bits != line.bits else f"_{line.bits:g}b")] = index[line.label]
    for path in sorted(folder.glob("*_original.png")):
        signal = int(path.name.split("_")[0])
        truth = np.asarray(PIL.Image.open(path).convert("RGB"))
        made.originals[signal] = uri(truth)
        made.pictures[signal] = {
            at: Picture(*map(uri, _with_error(np.asarray(PIL.Image.open(kept).convert("RGB")), truth)))
            for name, at in files.items()
            if (kept := folder / f"{signal}_{name}.png").exists()
        }
