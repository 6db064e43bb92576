"""The verdict: what the paper claims of its tables and figures, what the rows have, and whether that agrees."""

from collections.abc import Iterator

from benchmarks.figures import tables
from benchmarks.figures.claims import fig2, fig7, table1
from benchmarks.figures.claims.claim import Claim
from benchmarks.figures.claims.margins import by_cell, margins
from benchmarks.figures.results import Drawn, Results

CLAIMS = (
    (fig2.fig2, "fig2_unstructured"),
    (fig2.fig3a, "fig2_unstructured_layers"),
    (fig2.fig3b, "fig2_unstructured"),
    (table1.table1, "table1_modulations"),
    (table1.fig4, "table1_modulations_masks"),
    (table1.fig5, "table1_modulations"),
    (table1.fig6, "table1_modulations"),
    (fig7.coin_pp, "fig7_rate_distortion"),
    (fig7.formats, "fig7_rate_distortion"),
    (table1.floor, "table1_modulations"),
)
"""What finds a claim, and the CSV that it is judged by."""


def draw(results: Results) -> Drawn:
    """The verdict, and what MSCN has over Functa cell by cell; nothing where there are no rows of either."""
    drawn, found = {}, list(claims(results))
    if found:
        header = ["paper", "its claim", "reproduced", f"here, preset {results.preset}", "data", "seeds"]
        body = [[c.paper, c.claim, f"**{c.reproduced}**", c.measured, c.data, c.seeds] for c in found]
        drawn["verdict.md"] = tables.markdown(header, body)
    if results.has("table1_modulations") and len(cells := margins(results)):
        drawn["table1_margins.md"] = by_cell(cells)
    return drawn


def claims(results: Results) -> Iterator[Claim]:
    """The claims that there are rows for, in the order of the paper."""
    for find, name in CLAIMS:
        if results.has(name) and (found := find(results)):
            yield found
