"""What the decoder made of damaged streams, as a table."""

import pathlib

import pandas as pd

from benchmarks import records

HEADER = {
    "model": "model",
    "checksum": "checksum",
    "mutations": "damaged streams",
    "refused": "refused",
    "decoded": "decoded",
    "slowest_ms": "slowest (ms)",
    "peak_kib": "most memory (KiB)",
}
"""Column -> its title."""


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes the table; returns the file."""
    rows = pd.read_csv(results / preset / "codec_robustness.csv")
    lines = [f"Damaged streams, preset {preset}. No other outcome than these two.", ""]
    lines += ["| " + " | ".join(HEADER.values()) + " |", "|" + "---|" * len(HEADER)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows[list(HEADER)].itertuples(index=False)]
    path = plots / preset / "codec_robustness.md"
    with records.replaced(path) as out:
        out.write("\n".join([*lines, ""]))
    return [path]
