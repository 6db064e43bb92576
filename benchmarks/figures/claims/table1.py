"""Table 1 and figures 4 to 6: modulations."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.figures import fig4_reuse, style, table1_modulations
from benchmarks.figures.claims.claim import LEVEL, Claim, datasets, of_rows, seeds, signed
from benchmarks.figures.claims.margins import comparisons, judged, margins
from benchmarks.figures.results import Results

MANY = 0.9
"""Share of a table's cells that "almost all" is taken for."""

NOTICEABLE = 0.1
"""Difference that "noticeably" is taken for, in dB or in points of accuracy."""


def table1(results: Results) -> Claim | None:
    """In how many cells MSCN is above Functa."""
    cells = margins(results)
    if cells.empty:
        return None
    paper = table1_modulations.published().pivot_table("paper", ["dataset", "budget"], "method")
    claimed = f"{(paper['mscn'] > paper['functa']).sum()} of {len(paper)}"
    said = []
    for comparison in comparisons(cells):
        each = cells.loc[cells["comparison"] == comparison, "difference"]
        above, level = (each >= LEVEL).sum(), (each.abs() < LEVEL).sum()
        said.append(f"{comparison}: above in {above} of {len(each)}" + (f", level in {level}" if level else ""))
    better = judged(cells) >= LEVEL
    return Claim(
        "Table 1",
        f"MSCN is above Functa in almost all settings; in its table in {claimed}.",
        "; ".join(said),
        of_rows(cells),
        seeds(cells),
        [better.mean() >= MANY, better.any()],
    )


def fig4(results: Results) -> Claim | None:
    """Reuse beside chance, and where the modulations of the smallest budget lie."""
    found, early, runs = {}, [], []
    for index, part, gates in fig4_reuse.masks(results):
        found[index] = fig4_reuse.reuse(part, gates)[list(fig4_reuse.KINDS)].mean()
        smallest = part[part["budget"] == part["budget"].min()]
        early.append((smallest["layer"] < fig4_reuse.layers_of(part, gates) / 2).mean())
        runs.append(part)
    if not found:
        return None
    means = pd.DataFrame(found).T
    said = (
        f"same seed: {_percent(means['same_seed'])} of the smaller budget are reused (a uniform choice: "
        f"{_percent(means['uniform'])}); {_percent(pd.Series(early))} lie in the first half of the layers"
    )
    if means["other_seed"].notna().any():
        said += (
            f"; another seed: {_percent(means['other_seed'])}, a random choice of as many per layer: "
            f"{_percent(means['same_counts'])}"
        )
    return Claim(
        "Figure 4",
        "A larger budget reuses far more of a smaller one's modulations than chance would; most are in early layers.",
        said,
        datasets(means.index),
        seeds(pd.concat(runs)),
        [*(means["same_seed"] > means["uniform"] + 0.1), np.mean(early) > 0.5],
    )


def _percent(shares: pd.Series) -> str:
    least, most = (f"{100 * share:.0f}" for share in (shares.min(), shares.max()))
    return f"{least}%" if least == most else f"{least} to {most}%"


def _at_largest(results: Results, paper: str, claim: str, chosen: Callable[[pd.DataFrame], pd.Series]) -> Claim | None:
    """Whether MSCN is above Functa at the largest budget of some data sets, with equal networks."""
    cells = margins(results)
    cells = cells[chosen(cells) & ~cells["comparison"].str.endswith("parameters")]
    if cells.empty:
        return None
    cells = cells[cells["budget"] == cells.groupby(["dataset", "source"])["budget"].transform("max")]
    unit = "dB" if (cells["unit"] == "dB").all() else "points of accuracy"
    said = []
    for index, part in cells.groupby(["dataset", "source"]):
        at = part.set_index("comparison")["difference"]
        each = ", ".join(f"{comparison} {signed(at[comparison])}" for comparison in comparisons(part))
        said.append((style.named(*index), f"at {part['budget'].iloc[0]} numbers: {each} {unit}"))
    told = "; ".join(f"{named}, {text}" for named, text in said) if len(said) > 1 else said[0][1]
    return Claim(
        paper,
        claim,
        f"MSCN minus Functa{':' if len(said) > 1 else ''} {told}",
        of_rows(cells),
        seeds(cells),
        list(judged(cells) >= NOTICEABLE),
    )


def fig5(results: Results) -> Claim | None:
    """Solids at the largest budget."""
    claim = "Solids are noticeably better than Functa's."
    return _at_largest(results, "Figure 5", claim, lambda cells: cells["unit"] == "points")


def fig6(results: Results) -> Claim | None:
    """Maps at the largest budget."""
    claim = "Maps have noticeably smaller errors than Functa's."
    return _at_largest(results, "Figure 6", claim, lambda cells: cells["dataset"].isin(["era5", "sphere_fields"]))


def floor(results: Results) -> Claim | None:
    """What the best of MSCN has over principal components."""
    table, said, of = table1_modulations.measured(results), [], []
    for index, part in table.groupby(["dataset", "source"]):
        shown, name = table1_modulations.headline(part), part["method"].str.partition(style.RECIPE)[0]
        ours = part[name == "mscn"].groupby("budget")[shown].max()
        gains = (ours - part[name == "pca"].groupby("budget")[shown].max()).dropna()
        if len(gains):
            unit = "points" if shown == "accuracy_pct" else "dB"
            numbers = ", ".join(f"{gain:+.2f} at {budget:g}" for budget, gain in gains.items())
            said.append(f"{style.dataset(index[0])}: {numbers} ({unit})")
            of.append(index)
    claim = "Not in the paper: how MSCN compares with a linear code, the principal components, of as many numbers."
    told = "best MSCN minus linear code, by numbers per signal: " + "; ".join(said)
    return Claim("–", claim, told, datasets(of), seeds(table[table["method"] != "pca"]), None) if said else None
