"""How the cost of a meta-step grows: one thing grows at a time, the rest stays as it is, each in a process of its own.

`processes` are weak scaling: so many processes, a core each, train as one on so many times the signals.
"""

import hashlib
import statistics

import gin

from benchmarks import cli, records, speed

NAME = "growth"

COLUMNS = (
    "experiment",
    "preset",
    "factor",  # what grows: points, signals, width, depth, inner_steps or processes
    "value",  # how large it is
    "width",
    "depth",
    "batch",
    "points",
    "inner_steps",
    "budget",
    "processes",  # 0: one, on all cores
    "devices",
    "device",
    "step_s",  # median, after warm-up
    "step_min_s",
    "repeats",
    "compile_s",
    "temp_bytes",  # XLA's temporary memory, all devices of a process together
    "gflop",  # of the fewest matrix products that do it
    "run_id",
)

FACTORS = ("points", "signals", "width", "depth", "inner_steps", "processes")


@gin.configurable("growth")
def growth(
    preset: str = "custom",
    grows: dict[str, list[int]] = gin.REQUIRED,
    width: int = gin.REQUIRED,
    depth: int = gin.REQUIRED,
    batch: int = gin.REQUIRED,
    resolution: int = gin.REQUIRED,
    inner_steps: int = gin.REQUIRED,
    budget: int = gin.REQUIRED,
    repeats: int = gin.REQUIRED,
) -> None:
    """Measures every size that there is no row of.

    Args:
      preset: name of the gin overlay.
      grows: one of `FACTORS` -> its values, from the smallest; of points those of a side.
      width: units a layer, where it is not what grows; likewise:
      depth: layers.
      batch: signals a step.
      resolution: pixels a side.
      inner_steps: K.
      budget: of MSCN's gates.
      repeats: timed steps.
    """
    if wrong := sorted(set(grows) - set(FACTORS)):
        raise ValueError(f"growth.grows has {wrong[0]!r}; valid: {', '.join(FACTORS)}")
    base = {"width": width, "depth": depth, "batch": batch, "resolution": resolution, "inner_steps": inner_steps}
    base |= {"budget": budget, "repeats": repeats, "code": "mscn", "variant": "mscn_flax", "sine": "fast"}
    for factor, values in grows.items():
        for value in values:
            _one(preset, factor, value, base | {"chunk_size": 1} | _grown(factor, value, base))


def _grown(factor: str, value: int, base: dict) -> dict:
    """The settings that change."""
    if factor == "processes":
        return {"processes": value, "batch": value * base["batch"]}
    return {{"points": "resolution", "signals": "batch"}.get(factor, factor): value}


def _one(preset: str, factor: str, value: int, settings: dict) -> None:
    digest = hashlib.sha256(repr(settings).encode()).hexdigest()[:8]
    run_id = f"growth-{factor}-{value}-s0-{digest}"
    csv, commit = cli.results_dir() / preset / f"{NAME}.csv", records.commit()
    if cli.dry_run():
        print(f"{run_id}: {settings}")
        return
    if records.has(csv, run_id):
        print(f"{run_id}: measured before")
        return
    measured = speed.measure(settings | {"tasks": ["meta_step"]})
    step = measured["tasks"]["meta_step"]
    seconds = step["seconds"]
    row = {
        "experiment": NAME,
        "preset": preset,
        "factor": factor,
        "value": value**2 if factor == "points" else value,
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
        "run_id": run_id,
    }
    records.add(
        csv,
        [row],
        COLUMNS,
        seed=0,
        device=measured["device"],
        gin_text=gin.operative_config_str(),
        wall_s=sum(seconds),
        compile_s=step["compile_s"],
        commit=commit,
    )
    print(f"{run_id}: {row['step_s']} s, {step['temp_bytes'] / 2**20:.0f} MiB", flush=True)


if __name__ == "__main__":
    cli.run(growth)
