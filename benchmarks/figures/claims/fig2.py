"""Figures 2 and 3: unstructured sparsity."""

import numpy as np
import pandas as pd

from benchmarks import csv_files, records
from benchmarks.figures import fig2_unstructured, style
from benchmarks.figures.claims.claim import Claim, datasets, seeds
from benchmarks.figures.results import Results, of_recipe


def _ends(rows: pd.DataFrame) -> pd.DataFrame:
    """PSNR of MSCN and MetaSparseINR at the smallest and the largest fraction that both have, by data set."""
    table = fig2_unstructured.summary(rows)
    table = table[table["regime"] == "inner loop"]
    wide = table.pivot_table("psnr", ["dataset", "source", "budget"], "method")
    if not {"mscn_meta_sgd", "meta_sparse_inr"} <= set(wide):
        return pd.DataFrame()
    wide = wide[["mscn_meta_sgd", "meta_sparse_inr"]].dropna().reset_index("budget")
    ends = wide.groupby(level=[0, 1])["budget"].agg(["min", "max"])
    at = {end: wide[wide["budget"] == ends[end].reindex(wide.index)].drop(columns="budget") for end in ("min", "max")}
    return pd.concat(at, axis=1).join(pd.concat({"budget": ends}, axis=1))


def _gains(found: pd.DataFrame, end: str) -> pd.Series:
    """What MSCN has over MetaSparseINR at one of the ends."""
    return found[end]["mscn_meta_sgd"] - found[end]["meta_sparse_inr"]


def _seeds(rows: pd.DataFrame) -> str:
    """Of the two methods that are compared."""
    return seeds(rows[rows["method"].isin(["mscn_meta_sgd", "meta_sparse_inr"])], ["method", "budget"])


def fig2(results: Results) -> Claim | None:
    """The margins at both ends of the curves."""
    rows = results.rows("fig2_unstructured")
    found = _ends(of_recipe(rows, which=0))
    if found.empty:
        return None
    said = _said(found)
    if rows["recipe"].nunique() > 1 and len(best := _ends(of_recipe(rows))):
        said += f"; recipe best: {_said(best)}"
    return Claim(
        "Figure 2",
        "With MetaSGD, MSCN is over 9 dB above MetaSparseINR at the highest sparsity, over 4 dB at the lowest.",
        said,
        datasets(found.index),
        _seeds(rows),
        [*(_gains(found, "min") > 9), *(_gains(found, "max") > 4)],
    )


def _said(found: pd.DataFrame) -> str:
    least, most = _gains(found, "min"), _gains(found, "max")
    return "; ".join(
        f"{style.dataset(index[0])}: {least[index]:+.1f} dB with {100 * found['budget']['min'][index]:.3g}% kept, "
        f"{most[index]:+.1f} with {100 * found['budget']['max'][index]:.3g}%"
        for index in found.index
    )


def _spread(density: pd.Series) -> float:
    """How many times the share of the sparsest layer the densest keeps; infinitely many where that keeps nothing."""
    return density.max() / density.min() if density.min() else np.inf


def fig3a(results: Results) -> Claim | None:
    """How unequal the hidden layers are."""
    layers = csv_files.read(results.folder / "fig2_unstructured_layers.csv", records.LAYER_COLUMNS)
    layers = of_recipe(layers, which=0)
    layers = layers[(layers["method"] == "mscn_meta_sgd") & (layers["kind"] == "kernel")]
    if layers.empty:
        return None
    layers = layers[layers["layer"].between(1, layers["layer"].max() - 1)]
    # Of each network: which layer is densest may differ between seeds, whose mean would be even.
    density = layers.set_index(["dataset", "source", "budget", "seed", "layer"]).eval("kept / size")
    spread = density.groupby(level=["dataset", "source", "budget", "seed"]).agg(_spread)
    finite = spread[np.isfinite(spread)]
    said = f"the densest hidden layer keeps {finite.min():.2f} to {finite.max():.1f} times the share of the sparsest"
    if len(finite) < len(spread):
        said += f"; in {len(spread) - len(finite)} of {len(spread)} networks one keeps nothing"
    return Claim(
        "Figure 3a",
        "Unlike in hand-designed distributions, hidden layers are not equally sparse.",
        said,
        datasets((name, source) for name, source, *_ in spread.index),
        seeds(layers),
        list(spread > 1.1),
    )


def fig3b(results: Results) -> Claim | None:
    """Faces at the smallest fraction; whether one can recognise them is for the reader, 3 dB is for the table."""
    rows = of_recipe(results.rows("fig2_unstructured"), which=0)
    found = _ends(rows)
    found = found[[name != "sdf2d" for name, _ in found.index]]
    if found.empty:
        return None
    ours, theirs = (found["min"][method] for method in ("mscn_meta_sgd", "meta_sparse_inr"))
    said = "; ".join(
        f"{style.dataset(index[0])} at {100 * found['budget']['min'][index]:.3g}%: "
        f"{ours[index]:.1f} dB, MetaSparseINR {theirs[index]:.1f}"
        for index in found.index
    )
    claim = "At the highest sparsity faces can be recognised in MSCN's pictures, hardly in MetaSparseINR's."
    of = datasets(found.index), _seeds(rows)
    return Claim("Figure 3b", claim, said, *of, list(ours - theirs > 3))
