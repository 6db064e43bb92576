"""How the cost of a meta-step grows: one thing grows at a time, the rest stays as it is, each in a process of its own.

`processes` are weak scaling: so many processes, a core each, train as one on so many times the signals. `rows` are no
meta-step, but what collecting so many rows takes.
"""

import dataclasses
import pathlib
import statistics
import tempfile
import time

import gin

from benchmarks import cli, collect, engine, grid, records, run_folder, speed
from benchmarks.job import Job
from benchmarks.run_folder import Result

NAME, SCOPE = "growth", "growth"

FACTORS = ("points", "signals", "width", "depth", "inner_steps", "processes", "rows")

ROWS_OF_A_RUN = 500
"""Rows of each run that `collecting` collects."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrowthJob(Job):
    """One size.

    Attributes:
      factor: one of `FACTORS`.
      value: how large it is; of points those of a side.
      settings: (name, value) of what `speed_process` measures, or of `collecting`.
    """

    factor: str
    value: int
    settings: tuple[tuple[str, object], ...]

    @property
    def cell(self) -> str:
        """See `Job.cell`."""
        return f"{NAME}-{self.factor}-{self.value}-s0"

    @property
    def decides(self) -> tuple:
        """See `Job.decides`."""
        return (self.settings,)

    def run(self) -> Result:
        """One row."""
        settings = dict(self.settings)
        common = {"experiment": NAME, "preset": self.preset, "factor": self.factor, "run_id": self.id}
        if self.factor == "rows":
            seconds, device = collecting(**settings), engine.device_name()
            row = dict.fromkeys(records.GROWTH_COLUMNS, "") | common | {"value": self.value, "device": device}
            return Result({"": [row | _seconds(seconds)]}, provenance={"device": device})
        measured = speed.measure(settings | {"tasks": ["meta_step"]})
        step = measured["tasks"]["meta_step"]
        row = common | {
            "value": self.value**2 if self.factor == "points" else self.value,
            **{key: settings[key] for key in ("width", "depth", "batch", "inner_steps", "budget")},
            "points": settings["resolution"] ** 2,
            "processes": settings.get("processes", 0),
            "devices": measured["devices"],
            "device": measured["device"],
            **_seconds(step["seconds"]),
            "compile_s": f"{step['compile_s']:.3g}",
            "temp_bytes": step["temp_bytes"],
            "gflop": f"{step['flops'] / 1e9:.4g}",
        }
        return Result({"": [row]}, provenance={"compile_s": round(step["compile_s"], 2), "device": measured["device"]})


def _seconds(seconds: list[float]) -> dict:
    median, least = statistics.median(seconds), min(seconds)
    return {"step_s": f"{median:.4g}", "step_min_s": f"{least:.4g}", "repeats": len(seconds)}


def collecting(rows: int, repeats: int) -> list[float]:
    """Seconds of collecting the rows of runs that are here, beside as many rows that were collected before."""
    table, seconds = "table1_modulations", []
    row = dict.fromkeys(records.MODULATION_COLUMNS, "0.123456")
    with tempfile.TemporaryDirectory() as name:
        runs, results = pathlib.Path(name) / "runs", pathlib.Path(name) / "results"
        for first in range(0, rows, ROWS_OF_A_RUN):
            run_id = f"data-source-method-{first}-s0-{first:08x}"
            made = [row | {"run_id": run_id, "signal_id": index} for index in range(min(ROWS_OF_A_RUN, rows - first))]
            said = {"run_id": run_id, "finished": f"{first:08}"}
            run_folder.store(runs / "quick" / table / run_id, table, Result({"": made}), said)
        collect.collect(table, "quick", runs, results)
        for _ in range(repeats):
            began = time.perf_counter()
            collect.collect(table, "quick", runs, results)
            seconds.append(time.perf_counter() - began)
    return seconds


@gin.configurable("growth")
def jobs(
    grows: dict[str, list[int]] = gin.REQUIRED,
    width: int = gin.REQUIRED,
    depth: int = gin.REQUIRED,
    batch: int = gin.REQUIRED,
    resolution: int = gin.REQUIRED,
    inner_steps: int = gin.REQUIRED,
    budget: int = gin.REQUIRED,
    repeats: int = gin.REQUIRED,
) -> list[GrowthJob]:
    """The sizes.

    Args:
      grows: one of `FACTORS` -> its values, from the smallest; of points those of a side.
      width: units per layer, where it is not what grows; likewise:
      depth: number of layers.
      batch: signals per step.
      resolution: pixels per side.
      inner_steps: K.
      budget: of MSCN's gates.
      repeats: number of timed steps, or of times that rows are collected.
    """
    if wrong := sorted(set(grows) - set(FACTORS)):
        raise ValueError(f"growth.grows has {wrong[0]!r}; valid: {', '.join(FACTORS)}")
    base = {"width": width, "depth": depth, "batch": batch, "resolution": resolution, "inner_steps": inner_steps}
    base |= {"budget": budget, "repeats": repeats, "code": "mscn", "variant": "mscn_flax", "sine": "fast"}
    return [
        GrowthJob(
            benchmark=NAME,
            preset=cli.preset(),
            gin=grid.gin_text((SCOPE,), grows={factor: [value]}),
            factor=factor,
            value=value,
            settings=tuple(_settings(factor, value, base).items()),
        )
        for factor, values in grows.items()
        for value in values
    ]


def _settings(factor: str, value: int, base: dict) -> dict:
    """What a job measures."""
    if factor == "rows":
        return {"rows": value, "repeats": base["repeats"]}
    changed = {{"points": "resolution", "signals": "batch"}.get(factor, factor): value}
    if factor == "processes":
        changed["batch"] = value * base["batch"]
    return base | {"chunk_size": 1} | changed


if __name__ == "__main__":
    cli.main(NAME)
