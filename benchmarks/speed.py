"""Cost of one meta-step: this project's against a plain version, side by side, each in a process of its own.

A process of its own, because allocator and devices are chosen when it starts; in turns, because machines are noisy.
"plain" is what one would write first: `jnp.sin`, the inner loop unrolled in Python, the whole batch in one vmap, one
device, the allocator as it comes. "mscn_flax" is `meta.meta_gradient` with the launcher's settings.
"""

import hashlib
import json
import pathlib
import socket
import subprocess
import sys

import gin

from benchmarks import cli, launch, records
from mscn_flax import metrics
from mscn_flax.sine import SINES

NAME = "speed"

COLUMNS = (
    "experiment",
    "preset",
    "variant",  # plain, or mscn_flax with the sine named
    "sine",  # fast or plain
    "width",
    "depth",
    "batch",
    "points",
    "code",  # functa: latent of that size; mscn: budget of that size
    "budget",
    "inner_steps",
    "chunk_size",  # signals that a device works on at a time
    "devices",
    "device",
    "step_s",  # median, after warm-up
    "step_min_s",
    "repeats",
    "compile_s",
    "temp_bytes",  # XLA's temporary memory, all devices together
    "gflop",  # of the fewest matrix products that do it
    "gflop_per_s",
    "matmul_gflop_per_s",  # of [batch points, width] x [width, width], same process
    "run_id",
)


VARIANTS = [("plain", "plain"), *(("mscn_flax", sine) for sine in SINES)]
"""(variant, sine) of every row of a size."""


@gin.configurable("speed")
def speed(
    preset: str = "custom",
    sizes: list[tuple[int, int, int]] = gin.REQUIRED,
    codes: list[str] = gin.REQUIRED,
    budget: int = gin.REQUIRED,
    inner_steps: int = gin.REQUIRED,
    resolution: int = gin.REQUIRED,
    rounds: int = gin.REQUIRED,
    repeats: int = gin.REQUIRED,
    chunk_size: int = gin.REQUIRED,
) -> None:
    """Measures every size.

    Args:
      preset: name of the gin overlay.
      sizes: (width, depth, batch).
      codes: "functa" (latent of size `budget`) or "mscn" (gates of that budget, capped at the modulations there are).
      budget: see `codes`.
      inner_steps: K.
      resolution: pixels a side.
      rounds: processes of each variant, in turns; the median over all their steps counts.
      repeats: timed steps a process.
      chunk_size: signals that a device works on at a time, where they divide the batch; "plain" takes them all at once.
    """
    csv = cli.results_dir() / preset / f"{NAME}.csv"
    for width, depth, batch in sizes:
        for code in codes:
            common = {
                "width": width,
                "depth": depth,
                "batch": batch,
                "code": code,
                "budget": min(budget, width * (depth - 1)),
                "inner_steps": inner_steps,
                "resolution": resolution,
                "repeats": repeats,
                "chunk_size": chunk_size,
            }
            if cli.dry_run():
                forward = metrics.siren_flops(resolution**2, 2, width, depth, 3)
                gflop = batch * metrics.meta_step_flops(forward, inner_steps) / 1e9
                print(f"{common}: {gflop:.1f} GFLOP a step, {rounds * len(VARIANTS)} processes")
                continue
            size = "-".join(str(common[key]) for key in ("width", "depth", "batch", "code"))
            digest = hashlib.sha256(repr((common, rounds)).encode()).hexdigest()[:8]
            done = cli.runs_dir() / preset / NAME / f"{size}-{digest}.done"
            if done.exists() and all(records.has(csv, _run_id(size, *variant, digest)) for variant in VARIANTS):
                print(f"{size}: measured before")
                continue
            _measure_size(csv, preset, common, rounds, size, digest)
            done.parent.mkdir(parents=True, exist_ok=True)
            done.touch()


def _run_id(size: str, variant: str, sine: str, digest: str) -> str:
    """Of the row of one size and variant."""
    return f"speed-{size}-{variant}-{sine}-{digest}"


def _measure_size(csv: pathlib.Path, preset: str, common: dict, rounds: int, size: str, digest: str) -> None:
    """Adds the rows of one size: all variants, in turns."""
    commit = records.commit()
    found = {variant: [] for variant in VARIANTS}
    for _ in range(rounds):
        for variant, sine in VARIANTS:
            found[variant, sine].append(measure({**common, "variant": variant, "sine": sine}))
    for (variant, sine), measured in found.items():
        steps = sorted(second for one in measured for second in one.pop("seconds"))
        last = measured[-1]
        row = {
            "experiment": NAME,
            "preset": preset,
            "variant": variant,
            "sine": sine,
            **{key: common[key] for key in ("width", "depth", "batch", "code", "budget", "inner_steps")},
            "points": common["resolution"] ** 2,
            "chunk_size": last["chunk_size"],
            "devices": last["devices"],
            "device": last["device"],
            "step_s": f"{steps[len(steps) // 2]:.4g}",
            "step_min_s": f"{steps[0]:.4g}",
            "repeats": len(steps),
            "compile_s": f"{last['compile_s']:.3g}",
            "temp_bytes": last["temp_bytes"],
            "gflop": f"{last['flops'] / 1e9:.4g}",
            "gflop_per_s": f"{last['flops'] / 1e9 / steps[len(steps) // 2]:.4g}",
            "matmul_gflop_per_s": f"{max(one['matmul_flops_per_s'] for one in measured) / 1e9:.4g}",
            "run_id": _run_id(size, variant, sine, digest),
        }
        records.append(csv, [row], COLUMNS)
        print(f"{size} {variant} ({sine} sine): {row['step_s']} s, {last['temp_bytes'] / 2**20:.0f} MiB", flush=True)
        record = records.provenance(
            row["run_id"],
            seed=0,
            device=last["device"],
            gin_text=gin.operative_config_str(),
            wall_s=sum(steps),
            compile_s=last["compile_s"],
            commit=commit,
        )
        records.append_provenance(csv.with_suffix(".provenance.jsonl"), record)


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
