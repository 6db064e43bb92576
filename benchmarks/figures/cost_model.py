"""The estimate of `--dry_run` beside what was measured, as a table."""

from benchmarks.figures import style, tables
from benchmarks.figures.results import Drawn, Results

COLUMNS = ("case", "dataset", "source", "width", "depth", "batch", "points", "device", "gflop", "step_s")
COLUMNS += ("estimated_step_s", "temp_bytes", "estimated_temp_bytes")

CELLS = [
    ("case", "{case} ({dataset}, {source})"),
    ("network", "{depth} layers of {width}"),
    ("signals x points", "{batch} x {points}"),
    ("GFLOP", "{gflop:g}"),
    ("s/step", "{step_s:.3g}"),
    ("estimate", "{estimated_step_s:.3g}"),
    ("off by", "{time_off:+.0%}"),
    ("MiB", "{mib:.1f}"),
    ("estimate", "{estimated_mib:.1f}"),
    ("off by", "{memory_off:+.0%}"),
]


def draw(results: Results) -> Drawn:
    """The table."""
    rows = results.rows("cost_model", COLUMNS)
    rows = rows.assign(
        time_off=rows["estimated_step_s"] / rows["step_s"] - 1,
        mib=rows["temp_bytes"] / 2**20,
        estimated_mib=rows["estimated_temp_bytes"] / 2**20,
        memory_off=rows["estimated_temp_bytes"] / rows["temp_bytes"] - 1,
    )
    heading = f"What `--dry_run` estimates of an outer step and what one is, preset {results.preset}: "
    heading += f"{style.devices(rows)}. Memory is XLA's temporary memory of a device."
    return {"cost_model.md": f"{heading}\n\n{tables.formatted(rows, CELLS)}"}
