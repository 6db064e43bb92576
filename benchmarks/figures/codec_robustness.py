"""What the decoder made of damaged streams, as a table."""

from benchmarks.figures import tables
from benchmarks.figures.results import Drawn, Results

CELLS = [
    ("model", "{model}"),
    ("checksum", "{checksum}"),
    ("damaged streams", "{mutations}"),
    ("refused", "{refused}"),
    ("decoded", "{decoded}"),
    ("slowest (ms)", "{slowest_ms}"),
    ("most memory (KiB)", "{peak_kib}"),
]


def draw(results: Results) -> Drawn:
    """The table."""
    columns = ("model", "checksum", "mutations", "refused", "decoded", "slowest_ms", "peak_kib")
    table = tables.formatted(results.rows("codec_robustness", columns), CELLS)
    heading = f"Damaged streams, preset {results.preset}. No other outcome than these two."
    return {"codec_robustness.md": f"{heading}\n\n{table}"}
