"""Tables: means over signals and seeds, and their text as Markdown and LaTeX."""

from collections.abc import Iterable

import pandas as pd
import scipy.stats

_OF_CELL = ("signals", "outer_steps", "trained_on")
"""What is the same for all seeds of a cell."""


def seed_means(rows: pd.DataFrame, cell: list[str], columns: dict[str, str]) -> pd.DataFrame:
    """One line per cell and seed: means of `columns` (new name -> column) over the test signals, number of `signals`.

    The first values of `outer_steps` and `trained_on` are kept where there are such columns.
    """
    kept = {name: (name, "first") for name in _OF_CELL if name in rows}
    means = {new: (column, "mean") for new, column in columns.items()}
    return rows.groupby([*cell, "seed"], as_index=False).agg(signals=("signal_id", "size"), **kept, **means)


def across_seeds(per_seed: pd.DataFrame, cell: list[str], columns: list[str]) -> pd.DataFrame:
    """One line per cell: `seeds`, means of `columns` over seeds, and standard deviations `<column>_std` (NaN of one).

    What is the same for all seeds (`signals` and the like) is kept.
    """
    groups = per_seed.groupby(cell)
    table = groups[[name for name in _OF_CELL if name in per_seed]].first().assign(seeds=groups.size())
    deviations = groups[columns].std(ddof=1).add_suffix("_std")
    return table.join([groups[columns].mean(), deviations]).reset_index()


def half_width(deviation: pd.Series, count: pd.Series) -> pd.Series:
    """Half the 95% interval (Student's t) of the mean of `count` values with this standard deviation; NaN of one."""
    return scipy.stats.t.ppf(0.975, count - 1) * deviation / count**0.5


def markdown(header: Iterable[str], body: Iterable[Iterable[str]]) -> str:
    """A Markdown table, ending in a line break."""
    header = list(header)
    first, *others = (f"| {' | '.join(cells)} |" for cells in (header, *body))
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
    for plain, tex in (("_", "\\_"), ("%", "\\%"), ("±", "$\\pm$"), ("–", "--")):
        text = text.replace(plain, tex)
    return text
