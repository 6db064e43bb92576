"""What a meta-step, encoding and decoding cost: this project against a plain version, side by side.

Each in a process of its own, because allocator and devices are chosen when it starts; in turns, because machines are
noisy. "plain" is what one would write first: `jnp.sin`, the inner loop unrolled in Python, the whole batch in one vmap,
one device, the allocator as it comes. "mscn_flax" is `meta.meta_gradient`, `meta.encode` and `meta.decode` with the
launcher's settings.
"""

import hashlib
import json
import pathlib
import socket
import subprocess
import sys

import gin

from benchmarks import cli, launch, records, speed_process
from mscn_flax.sine import SINES

NAME = "speed"

COLUMNS = (
    "experiment",
    "preset",
    "task",  # meta_step: a batch's gradient; encode: its codes; decode: its values
    "variant",  # plain, or mscn_flax with the sine named
    "sine",  # fast or plain
    "width",
    "depth",
    "batch",
    "points",
    "code",  # functa: latent of that size; mscn: budget of that size; delta: every parameter, so many updates kept
    "budget",
    "inner_steps",
    "chunk_size",  # signals that a device works on at a time
    "tile",  # points at a time; none: all
    "devices",
    "device",
    "step_s",  # of a batch: median, after warm-up
    "step_min_s",
    "repeats",
    "compile_s",
    "temp_bytes",  # XLA's temporary memory, all devices together
    "gflop",  # of the fewest matrix products that do it
    "gflop_per_s",
    "matmul_gflop_per_s",  # of [batch points, width] x [width, width], same process
    "memory_gb_per_s",  # that adding two large arrays reads and writes, same process
    "signals_per_s",
    "megapixels_per_s",
    "run_id",
)


VARIANTS = [("plain", "plain"), *(("mscn_flax", sine) for sine in SINES)]
"""(variant, sine) of every row of a size."""


@gin.configurable("speed")
def speed(
    preset: str = "custom",
    sizes: list[tuple[int, int, int]] = gin.REQUIRED,
    codes: list[str] = gin.REQUIRED,
    whole_networks: list[tuple[int, int, int, int]] = gin.REQUIRED,
    budget: int = gin.REQUIRED,
    inner_steps: int = gin.REQUIRED,
    resolution: int = gin.REQUIRED,
    rounds: int = gin.REQUIRED,
    repeats: int = gin.REQUIRED,
    chunk_size: int = gin.REQUIRED,
    tile_values: int | None = None,
) -> None:
    """Measures every size.

    Args:
      preset: name of the gin overlay.
      sizes: (width, depth, batch).
      codes: "functa" (latent of size `budget`) or "mscn" (gates of that budget, capped at the modulations there are).
      whole_networks: (width, depth, batch, pixels a side) of networks that are adapted whole, unstructured, a fifth of
        the updates kept.
      budget: see `codes`.
      inner_steps: K.
      resolution: pixels a side.
      rounds: processes of each variant, in turns; the median over all their steps counts.
      repeats: timed steps a process.
      chunk_size: signals that a device works on at a time, where they divide the batch; "plain" takes them all at once.
      tile_values: values of a layer, points times width, that "mscn_flax" works on at a time; None for all.
    """
    csv = cli.results_dir() / preset / f"{NAME}.csv"
    common = {"inner_steps": inner_steps, "repeats": repeats, "chunk_size": chunk_size}
    for size in [
        *(
            {"width": width, "depth": depth, "batch": batch, "code": code, "resolution": resolution}
            | {"budget": min(budget, width * (depth - 1))}
            for width, depth, batch in sizes
            for code in codes
        ),
        *(
            {"width": width, "depth": depth, "batch": batch, "code": "delta", "resolution": side}
            | {"budget": _parameters(width, depth) // 5}
            for width, depth, batch, side in whole_networks
        ),
    ]:
        settings = size | common | {"tile": tile_values and max(1, tile_values // size["width"])}
        if cli.dry_run():
            gflop = speed_process.flops(settings)["meta_step"] / 1e9
            print(f"{settings}: {gflop:.1f} GFLOP a step, {rounds * len(VARIANTS)} processes")
            continue
        name = "-".join(str(settings[key]) for key in ("width", "depth", "batch", "resolution", "code"))
        digest = hashlib.sha256(repr((settings, rounds)).encode()).hexdigest()[:8]
        done = cli.runs_dir() / preset / NAME / f"{name}-{digest}.done"
        if done.exists() and all(records.has(csv, _run_id(name, *variant, digest)) for variant in VARIANTS):
            print(f"{name}: measured before")
            continue
        _measure_size(csv, preset, settings, rounds, name, digest)
        done.parent.mkdir(parents=True, exist_ok=True)
        done.touch()


def _parameters(width: int, depth: int) -> int:
    """Of a network from 2 coordinates to 3 values."""
    return 3 * width + (depth - 2) * (width + 1) * width + 3 * (width + 1)


def _run_id(size: str, variant: str, sine: str, digest: str) -> str:
    """Of the rows of one size and variant."""
    return f"speed-{size}-{variant}-{sine}-{digest}"


def _measure_size(csv: pathlib.Path, preset: str, common: dict, rounds: int, size: str, digest: str) -> None:
    """Adds the rows of one size: all variants, in turns."""
    commit = records.commit()
    found = {variant: [] for variant in VARIANTS}
    for _ in range(rounds):
        for variant, sine in VARIANTS:
            found[variant, sine].append(measure({**common, "variant": variant, "sine": sine}))
    for (variant, sine), measured in found.items():
        rows = [
            {
                "experiment": NAME,
                "preset": preset,
                "task": task,
                "variant": variant,
                "sine": sine,
                **{key: common[key] for key in ("width", "depth", "batch", "code", "budget", "inner_steps")},
                "points": common["resolution"] ** 2,
                **_figures([one["tasks"][task] for one in measured], common),
                **{key: measured[-1][key] for key in ("chunk_size", "devices", "device")},
                **{name: f"{max(one[name] for one in measured):.4g}" for name in speed_process.LIMITS},
                "run_id": _run_id(size, variant, sine, digest),
            }
            for task in speed_process.TASKS
        ]
        for row in rows:
            mib = row["temp_bytes"] / 2**20
            print(f"{size} {row['task']} {variant} ({sine} sine): {row['step_s']} s, {mib:.0f} MiB", flush=True)
        records.add(
            csv,
            rows,
            COLUMNS,
            seed=0,
            device=measured[-1]["device"],
            gin_text=gin.operative_config_str(),
            wall_s=sum(second for one in measured for task in one["tasks"].values() for second in task["seconds"]),
            compile_s=sum(task["compile_s"] for task in measured[-1]["tasks"].values()),
            commit=commit,
        )


def _figures(measured: list[dict], common: dict) -> dict:
    """Columns of one task from its rounds."""
    steps = sorted(second for one in measured for second in one["seconds"])
    step_s, gflop = steps[len(steps) // 2], measured[-1]["flops"] / 1e9
    return {
        "step_s": f"{step_s:.4g}",
        "step_min_s": f"{steps[0]:.4g}",
        "repeats": len(steps),
        "compile_s": f"{measured[-1]['compile_s']:.3g}",
        "temp_bytes": measured[-1]["temp_bytes"],
        "tile": measured[-1]["tile"],
        "gflop": f"{gflop:.4g}",
        "gflop_per_s": f"{gflop / step_s:.4g}",
        "signals_per_s": f"{common['batch'] / step_s:.4g}",
        "megapixels_per_s": f"{common['batch'] * common['resolution'] ** 2 / 1e6 / step_s:.4g}",
    }


def measure(settings: dict) -> dict:
    """One process of one variant, or `settings["processes"]` that work as one on a core each; see `speed_process`.

    Raises:
      ValueError: where a process fails, with the end of what it said.
    """
    # What was compiled before says nothing of how long it takes.
    environment = launch.environment(allocator=settings["variant"] != "plain")
    environment |= {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    count = settings.get("processes", 1)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        place = {"coordinator": f"localhost:{free.getsockname()[1]}"} if count > 1 else {}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.speed_process", json.dumps(settings | place | {"process": process})],
            cwd=records.REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for process in range(count)
    ]
    said = [process.communicate() for process in started]
    for process, (_, errors) in zip(started, said, strict=True):
        if process.returncode:
            last = (errors.strip() or "no message").splitlines()[-1]
            raise ValueError(f"measuring {settings} failed with status {process.returncode}: {last}")
    return json.loads(said[0][0].splitlines()[-1])


if __name__ == "__main__":
    cli.run(speed)
