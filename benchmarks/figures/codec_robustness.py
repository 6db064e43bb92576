"""What the decoder made of damaged streams and models, as a table."""

from benchmarks.figures import tables
from benchmarks.figures.results import Drawn, Results

CELLS = [
    ("model", "{model}"),
    ("checksum", "{checksum}"),
    ("damaged", "{mutations}"),
    ("refused", "{refused}"),
    ("decoded", "{decoded}"),
    ("slowest (ms)", "{slowest_ms}"),
    ("most memory (KiB)", "{peak_kib}"),
]


def draw(results: Results) -> Drawn:
    """The table."""
    columns = ("model", "checksum", "mutations", "refused", "decoded", "slowest_ms", "peak_kib")
    rows = results.rows("codec_robustness", columns).astype({"peak_kib": "Int64"})
    # Of several runs the one of most streams counts.
    rows = rows[rows["mutations"] == rows.groupby(["model", "checksum"], dropna=False)["mutations"].transform("max")]
    known = rows["peak_kib"].astype(object).where(rows["peak_kib"].notna(), "–")
    table = tables.formatted(rows.assign(peak_kib=known), CELLS)
    heading = f"Damaged streams and changed models, preset {results.preset}. No other outcome than these two."
    return {"codec_robustness.md": f"{heading}\n\n{table}"}
