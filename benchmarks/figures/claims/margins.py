"""What MSCN has over Functa in each cell of Table 1."""

import pandas as pd

from benchmarks import records
from benchmarks.figures import style, table1_modulations, tables
from benchmarks.figures.claims.claim import LEVEL, signed
from benchmarks.figures.results import Results

AS_TRAINED = "as trained"
"""The only recipe that there is, where rows name none."""


def margins(results: Results) -> pd.DataFrame:
    """What MSCN has over Functa in each cell: dataset, source, budget, comparison, difference, unit, fewest seeds."""
    lines = []
    for (dataset, source), part in table1_modulations.measured(results).groupby(["dataset", "source"]):
        shown = table1_modulations.headline(part)
        at = part.set_index(["method", "budget"])
        value, seeds = at[shown], at["seeds"]
        for method, budget in value.index:
            name, _, recipe = method.partition(style.RECIPE)
            # At equal FLOPs the networks are the same.
            if name != "mscn" or recipe.endswith("equal flops"):
                continue
            anchor = style.recipe(method)
            rival = "functa" + (style.RECIPE + anchor if anchor else "")
            if (rival, budget) in value:
                difference = value[method, budget] - value[rival, budget]
                unit = "points" if shown == "accuracy_pct" else "dB"
                fewest = min(seeds[method, budget], seeds[rival, budget])
                lines.append([dataset, source, budget, recipe or AS_TRAINED, difference, unit, fewest])
    columns = ["dataset", "source", "budget", "comparison", "difference", "unit", "seeds"]
    return pd.DataFrame(lines, columns=columns)


def judged(margins: pd.DataFrame) -> pd.Series:
    """The differences by which the paper's claims are judged: those of the published recipe where there are two."""
    comparison = margins["comparison"]
    return margins.loc[comparison.isin([AS_TRAINED, records.RECIPES[0]]), "difference"]


def comparisons(margins: pd.DataFrame) -> list[str]:
    """What is compared, in the order in which it is told."""
    known = [AS_TRAINED, *(f"{recipe}{more}" for recipe in records.RECIPES for more in ("", ", equal parameters"))]
    known.append("equal parameters")
    return [each for each in known if each in set(margins["comparison"])]


def by_cell(margins: pd.DataFrame) -> str:
    """The margins as a table: a line per data set, a column per comparison, one margin per number of non-zeros."""

    def said(value: float) -> str:
        if pd.isna(value):
            return "–"
        return f"**{signed(value)}**" if value >= LEVEL else signed(value)

    columns, body = comparisons(margins), []
    for (dataset, source, unit), part in margins.groupby(["dataset", "source", "unit"]):
        cells = part.pivot(index="budget", columns="comparison", values="difference").reindex(columns=columns)
        texts = [", ".join(map(said, cells[each])) for each in columns]
        body.append([f"{style.named(dataset, source)}, {unit}", ", ".join(map(str, cells.index)), *texts])
    return tables.markdown(["MSCN minus Functa", "numbers per signal", *columns], body)
