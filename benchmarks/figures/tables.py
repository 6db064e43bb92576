"""Tables: means over signals and seeds, and their text as Markdown and LaTeX."""

import functools
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

_OF_CELL = ("signals", "outer_steps", "trained_on")
"""What is the same for all seeds of a cell."""

_DRAWN = 1000
"""Resamples of a bootstrap."""


def seed_means(rows: pd.DataFrame, cell: list[str], columns: dict[str, str]) -> pd.DataFrame:
    """One line per cell and seed: means of `columns` (new name -> column) over the test signals, number of `signals`.

    The first values of `outer_steps` and `trained_on` are kept where there are such columns.
    """
    kept = {name: (name, "first") for name in _OF_CELL if name in rows}
    groups = rows.groupby([*cell, "seed"])
    # Where a value is missing, of a run that diverged, the mean is missing too: that of the others would be better.
    means = groups[[*columns.values()]].mean(skipna=False).set_axis([*columns], axis=1)
    return groups.agg(signals=("signal_id", "size"), **kept).join(means).reset_index()


def across_seeds(per_seed: pd.DataFrame, cell: list[str], columns: list[str]) -> pd.DataFrame:
    """One line per cell: `seeds`, means of `columns` over seeds, and standard deviations `<column>_std` (NaN of one).

    What is the same for all seeds (`signals` and the like) is kept.
    """
    groups = per_seed.groupby(cell)
    table = groups[[name for name in _OF_CELL if name in per_seed]].first().assign(seeds=groups.size())
    deviations = groups[columns].std(ddof=1).add_suffix("_std")
    return table.join([groups[columns].mean(skipna=False), deviations]).reset_index()


def half_widths(
    rows: pd.DataFrame, cell: list[str], column: str, of: Callable[[np.ndarray], np.ndarray] = np.asarray
) -> pd.Series:
    """Half the 95% interval of the mean of a column over seeds and test signals, one value per cell.

    By bootstrap: as many seeds as there are, and as many signals, are drawn with replacement, independently, `_DRAWN`
    times (the percentile method). Methods are judged on the same signals, so that differences are surer than this.
    NaN of one value, and where a seed lacks signals that others have.

    Args:
      rows: of all cells, seeds and signals.
      cell: columns that name a cell.
      column: whose mean it is.
      of: what is made of each mean.
    """

    def of_cell(part: pd.Series) -> float:
        values = part.droplevel(cell).unstack().to_numpy()
        if values.size < 2 or np.isnan(values).any():
            return np.nan
        seeds, signals = map(_drawn, values.shape, (0, 1))
        low, high = np.percentile(of(((seeds @ values) * signals).sum(axis=1)), [2.5, 97.5])
        return (high - low) / 2

    return rows.groupby([*cell, "seed", "signal_id"])[column].mean().groupby(cell).apply(of_cell)


@functools.cache
def _drawn(count: int, axis: int) -> np.ndarray:
    """Of each resample [_DRAWN, count] the share of each of `count` values; those of two axes are independent."""
    return np.random.default_rng(axis).multinomial(count, [1 / count] * count, _DRAWN) / count


def markdown(header: Iterable[str], body: Iterable[Iterable[str]]) -> str:
    """A Markdown table, ending in a line break."""
    header = list(header)
    rows = ([cell.replace("|", "\\|") for cell in cells] for cells in (header, *body))
    first, *others = (f"| {' | '.join(cells)} |" for cells in rows)
    return "\n".join([first, "|" + "---|" * len(header), *others, ""])


def formatted(rows: pd.DataFrame, columns: Iterable[tuple[str, str]]) -> str:
    """A Markdown table of (header, format of a row) pairs, e.g. ("s/step", "{step_s:.3g}")."""
    body = ([text.format_map(row) for _, text in columns] for row in rows.to_dict("records"))
    return markdown([header for header, _ in columns], body)


def latex(caption: str, header: list[str], body: list[list[str]]) -> str:
    """A LaTeX table, ending in a line break: the first two columns are text, the others numbers."""
    first, *others = (" & ".join(map(_escaped, cells)) + " \\\\" for cells in (header, *body))
    rows = ["\\toprule", first, "\\midrule", *others, "\\bottomrule"]
    lines = [f"  \\caption{{{_escaped(caption)}}}", f"  \\begin{{tabular}}{{ll{'r' * (len(header) - 2)}}}"]
    lines += [*(f"    {row}" for row in rows), "  \\end{tabular}"]
    return "\n".join(["\\begin{table}", *lines, "\\end{table}", ""])


def _escaped(text: str) -> str:
    special = ((sign, f"\\{sign}") for sign in "_%&#$")
    for plain, tex in (*special, ("±", "$\\pm$"), ("–", "--")):
        text = text.replace(plain, tex)
    return text
