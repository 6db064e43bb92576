"""How the cost of a meta-step grows: one thing grows at a time, the rest stays as it is, each in a process of its own.

`processes` are weak scaling: so many processes, a core each, train as one on so many times the signals.
"""

import dataclasses
import statistics

import gin

from benchmarks import cli, grid, speed
from benchmarks.job import Job
from benchmarks.run_folder import Result

NAME, SCOPE = "growth", "growth"

FACTORS = ("points", "signals", "width", "depth", "inner_steps", "processes")


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrowthJob(Job):
    """One size.

    Attributes:
      factor: one of `FACTORS`.
      value: how large it is; of points those of a side.
      settings: (name, value) of what `speed_process` measures.
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
        measured = speed.measure(settings | {"tasks": ["meta_step"]})
        step = measured["tasks"]["meta_step"]
        seconds = step["seconds"]
        row = {
            "experiment": NAME,
            "preset": self.preset,
            "factor": self.factor,
            "value": self.value**2 if self.factor == "points" else self.value,
            **{key: settings[key] for key in ("width", "depth", "batch", "inner_steps", "budget")},
            "points": settings["resolution"] ** 2,
            "processes": settings.get("processes", 0),
            "devices": measured["devices"],
            "device": measured["device"],
            "step_s": f"{statistics.median(seconds):.4g}",
            "step_min_s": f"{min(seconds):.4g}",
            "repeats": len(seconds),
            "compile_s": f"{step['compile_s']:.3g}",
            "temp_bytes": step["temp_bytes"],
            "gflop": f"{step['flops'] / 1e9:.4g}",
            "run_id": self.id,
        }
        return Result({"": [row]}, provenance={"compile_s": round(step["compile_s"], 2), "device": measured["device"]})


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
      repeats: number of timed steps.
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
            settings=tuple((base | {"chunk_size": 1} | _grown(factor, value, base)).items()),
        )
        for factor, values in grows.items()
        for value in values
    ]


def _grown(factor: str, value: int, base: dict) -> dict:
    """The settings that change."""
    if factor == "processes":
        return {"processes": value, "batch": value * base["batch"]}
    return {{"points": "resolution", "signals": "batch"}.get(factor, factor): value}


if __name__ == "__main__":
    cli.main(NAME)
