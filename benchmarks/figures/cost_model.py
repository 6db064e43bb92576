"""The estimate of `--dry_run` beside what was measured, as a Markdown table."""

import pathlib

import pandas as pd

from benchmarks import records


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes the table; returns the file."""
    rows = pd.read_csv(results / preset / "cost_model.csv")
    header = (
        "case",
        "network",
        "signals x points",
        "GFLOP",
        "s/step",
        "estimate",
        "off by",
        "MiB",
        "estimate",
        "off by",
    )
    lines = [
        f"What `--dry_run` estimates of an outer step and what one is, preset {preset}: "
        f"{' and '.join(sorted(rows['device'].unique()))}. Memory is XLA's temporary memory of a device.",
        "",
        "| " + " | ".join(header) + " |",
        "|" + "---|" * len(header),
    ]
    for row in rows.itertuples():
        cells = (
            f"{row.case} ({row.dataset}, {row.source})",
            f"{row.depth} layers of {row.width}",
            f"{row.batch} x {row.points}",
            f"{row.gflop:g}",
            f"{row.step_s:.3g}",
            f"{row.estimated_step_s:.3g}",
            f"{100 * (row.estimated_step_s / row.step_s - 1):+.0f}%",
            f"{row.temp_bytes / 2**20:.1f}",
            f"{row.estimated_temp_bytes / 2**20:.1f}",
            f"{100 * (row.estimated_temp_bytes / row.temp_bytes - 1):+.0f}%",
        )
        lines.append("| " + " | ".join(cells) + " |")
    path = plots / preset / "cost_model.md"
    with records.replaced(path) as out:
        out.write("\n".join(lines) + "\n")
    return [path]
