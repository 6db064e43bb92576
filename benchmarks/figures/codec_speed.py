"""What the commands of the codec take, as a table."""

from benchmarks.figures import style, tables
from benchmarks.figures.results import Drawn, Results

COLUMNS = ("task", "model", "height", "width", "device", "step_s", "repeats", "megapixels_per_s", "peak_mib")

CELLS = [
    ("command", "mscn {task}"),
    ("picture", "{width} x {height}"),
    ("seconds (median)", "{step_s:.2f}"),
    ("megapixels/s", "{megapixels_per_s:.2g}"),
    ("most memory (MiB)", "{peak_mib:.0f}"),
]


def draw(results: Results) -> Drawn:
    """The table."""
    rows = results.rows("codec_speed", COLUMNS)
    heading = f"Commands of the codec on one picture, from start to end, preset {results.preset}: "
    heading += f"{style.devices(rows)}, model {', '.join(rows['model'].unique())}."
    return {"codec_speed.md": f"{heading}\n\n{tables.formatted(rows.sort_values(['width', 'task']), CELLS)}"}
