"""What a meta-step, encoding and decoding cost: this project against a plain version, side by side.

Each in a process of its own, because allocator and devices are chosen when it starts; in turns, because machines are
noisy. On an accelerator, where neither matters and compilation takes most of the time, all in one process.

"plain" is what one would write first: `jnp.sin`, the inner loop unrolled in Python, the whole batch in one vmap, one
device, the allocator as it comes. "mscn_flax" is `meta.meta_gradient`, `meta.encode` and `meta.decode` with the
launcher's settings.
"""

import hashlib
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

import gin

from benchmarks import cli, grid, launch, records, speed_process
from mscn_flax.sine import SINES
from mscn_flax.siren import PRODUCTS

NAME = "speed"

COLUMNS = (
    "experiment",
    "preset",
    "task",  # meta_step: a batch's gradient; encode: its codes; decode: its values
    "variant",  # plain, or mscn_flax with the sine named
    "sine",  # fast or plain
    "precision",  # of the products between hidden layers: float32, tf32 or bfloat16
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
    "compile_s",  # in one process: while others are compiled
    "temp_bytes",  # XLA's temporary memory, all devices together
    "gflop",  # of the fewest matrix products that do it
    "gflop_per_s",
    "matmul_gflop_per_s",  # of [batch points, width] x [width, width], same precision and process
    "memory_gb_per_s",  # that adding two large arrays reads and writes, same process
    "signals_per_s",
    "megapixels_per_s",
    "run_id",
)


VARIANTS = [("plain", "plain"), *(("mscn_flax", sine) for sine in SINES)]
"""(variant, sine) of every row of a size that is compared."""

ALONE = [("mscn_flax", "fast")]
"""The same of a size that is not."""


class _Size(NamedTuple):
    """What is measured side by side.

    Attributes:
      name: for people and run ids.
      digest: of the settings.
      settings: for `speed_process`, but those of a variant.
      variants: (variant, sine).
    """

    name: str
    digest: str
    settings: dict
    variants: list[tuple[str, str]]

    def run_id(self, variant: str, sine: str) -> str:
        """Of the rows of one variant."""
        return f"speed-{self.name}-{variant}-{sine}-{self.digest}"

    def cases(self) -> list[dict]:
        """The settings of each variant."""
        return [self.settings | {"variant": variant, "sine": sine} for variant, sine in self.variants]


@gin.configurable("speed")
def speed(
    preset: str = "custom",
    sizes: list[tuple[int, ...]] = gin.REQUIRED,
    codes: list[str] = gin.REQUIRED,
    whole_networks: list[tuple[int, int, int, int]] = gin.REQUIRED,
    budget: int = gin.REQUIRED,
    inner_steps: int = gin.REQUIRED,
    resolution: int = gin.REQUIRED,
    rounds: int = gin.REQUIRED,
    repeats: int = gin.REQUIRED,
    chunk_size: int | None = gin.REQUIRED,
    tile_values: int | None = None,
    precisions: list[str] = ("float32",),
    compared: list[tuple[int, ...]] | None = None,
    sizes_per_process: int | None = None,
) -> None:
    """Measures every size.

    Args:
      preset: name of the gin overlay.
      sizes: (width, depth, batch), or (width, depth, batch, pixels a side).
      codes: "functa" (latent of size `budget`) or "mscn" (gates of that budget, capped at the modulations there are).
      whole_networks: (width, depth, batch, pixels a side) of networks that are adapted whole, unstructured, a fifth of
        the updates kept.
      budget: see `codes`.
      inner_steps: K.
      resolution: pixels a side.
      rounds: processes of each variant, in turns; the median over all their steps counts.
      repeats: timed steps per process.
      chunk_size: signals that a device works on at a time, where they divide the batch, None for as many as its memory
        holds; "plain" takes them all at once.
      tile_values: values of a layer, points times width, that "mscn_flax" works on at a time; None for all.
      precisions: of the products between hidden layers, some of `siren.PRODUCTS`.
      compared: those of `sizes` at which all of `VARIANTS` are measured, in float32; None for all.
      sizes_per_process: compile so many sizes at once, each precision counted, and time them one after the other in one
        process, in one round; None for a process for each variant and round.
    """
    grid.check_choices("speed.precisions", list(precisions), PRODUCTS)
    csv = cli.results_dir() / preset / f"{NAME}.csv"
    common = {"inner_steps": inner_steps, "repeats": repeats, "chunk_size": chunk_size}
    wanted = []
    for size in [
        *(
            {"width": width, "depth": depth, "batch": batch, "code": code, "resolution": (*side, resolution)[0]}
            | {"budget": min(budget, width * (depth - 1))}
            for width, depth, batch, *side in sizes
            for code in codes
        ),
        *(
            {"width": width, "depth": depth, "batch": batch, "code": "delta", "resolution": side}
            | {"budget": _parameters(width, depth) // 5}
            for width, depth, batch, side in whole_networks
        ),
    ]:
        side_by_side = compared is None or (size["width"], size["depth"], size["batch"]) in map(tuple, compared)
        for precision in precisions:
            settings = size | common | {"tile": tile_values and max(1, tile_values // size["width"])}
            # What was measured before there was a choice keeps its name.
            settings |= {} if precision == "float32" else {"precision": precision}
            keys = ("width", "depth", "batch", "resolution", "code", "precision")
            name = "-".join(str(settings[key]) for key in keys if key in settings)
            digest = hashlib.sha256(repr((settings, rounds)).encode()).hexdigest()[:8]
            variants = VARIANTS if side_by_side and precision == "float32" else ALONE
            wanted.append(_Size(name, digest, settings, variants))
    if cli.dry_run():
        for size in wanted:
            gflop = speed_process.flops(size.settings)["meta_step"] / 1e9
            print(f"{size.settings}: {gflop:.1f} GFLOP per step, {rounds * len(size.variants)} processes")
        return
    left = [size for size in wanted if not _done(csv, preset, size)]
    commit = records.commit()
    together = _in_one_process(left, sizes_per_process) if sizes_per_process else None
    measured = together or (_in_turns(size, rounds) for size in left)
    for size, found in zip(left, measured, strict=True):
        _record(csv, preset, size, found, commit)
        _marker(preset, size).parent.mkdir(parents=True, exist_ok=True)
        _marker(preset, size).touch()


def _marker(preset: str, size: _Size) -> pathlib.Path:
    """A file that is there once a size has been measured."""
    return cli.runs_dir() / preset / NAME / f"{size.name}-{size.digest}.done"


def _done(csv: pathlib.Path, preset: str, size: _Size) -> bool:
    """Whether this checkout has measured the size and its rows are there, which is said."""
    done = _marker(preset, size).exists() and all(records.has(csv, size.run_id(*variant)) for variant in size.variants)
    if done:
        print(f"{size.name}: measured before")
    return done


def _parameters(width: int, depth: int) -> int:
    """Of a network from 2 coordinates to 3 values."""
    return 3 * width + (depth - 2) * (width + 1) * width + 3 * (width + 1)


def _in_turns(size: _Size, rounds: int) -> list[list[dict]]:
    """Variant by variant, what each round has measured, each in a process of its own."""
    turns = [[measure(case) for case in size.cases()] for _ in range(rounds)]
    return [list(of_variant) for of_variant in zip(*turns, strict=True)]


def _in_one_process(sizes: list[_Size], count: int) -> Iterator[list[list[dict]]]:
    """The same for one size after another, as soon as it has been measured, `count` sizes per process."""
    for first in range(0, len(sizes), count):
        part = sizes[first : first + count]
        measured = measure_all([case for size in part for case in size.cases()])
        for size in part:
            yield [[next(measured)] for _ in size.variants]
        next(measured, None)  # Sees how the process has ended.


def _record(csv: pathlib.Path, preset: str, size: _Size, found: list[list[dict]], commit: str) -> None:
    """Adds the rows of one size."""
    common = size.settings
    for (variant, sine), measured in zip(size.variants, found, strict=True):
        rows = [
            {
                "experiment": NAME,
                "preset": preset,
                "task": task,
                "variant": variant,
                "sine": sine,
                "precision": common.get("precision", "float32"),
                **{key: common[key] for key in ("width", "depth", "batch", "code", "budget", "inner_steps")},
                "points": common["resolution"] ** 2,
                **_figures([one["tasks"][task] for one in measured], common),
                **{key: measured[-1][key] for key in ("chunk_size", "devices", "device")},
                **{name: f"{max(one[name] for one in measured):.4g}" for name in speed_process.LIMITS},
                "run_id": size.run_id(variant, sine),
            }
            for task in speed_process.TASKS
        ]
        for row in rows:
            mib, share = row["temp_bytes"] / 2**20, float(row["gflop_per_s"]) / float(row["matmul_gflop_per_s"])
            print(
                f"{size.name} {row['task']} {variant} ({sine} sine): {row['step_s']} s, {mib:.0f} MiB, "
                f"{share:.2f} of the matrix product's rate",
                flush=True,
            )
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
    count = settings.get("processes", 1)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        place = {"coordinator": f"localhost:{free.getsockname()[1]}"} if count > 1 else {}
    started = [_start([settings | place | {"process": process}]) for process in range(count)]
    said = [process.communicate() for process in started]
    for process, (_, errors) in zip(started, said, strict=True):
        _check(process, errors, settings)
    return json.loads(said[0][0].splitlines()[-1])


def measure_all(cases: list[dict]) -> Iterator[dict]:
    """The cases one after the other, as they are measured in one process.

    Raises:
      ValueError: where the process fails, with the end of what it said.
    """
    with tempfile.TemporaryFile("w+") as errors, _start(cases, stderr=errors) as process:
        for line in process.stdout:
            yield json.loads(line)
        process.wait()
        errors.seek(0)
        _check(process, errors.read(), cases)


def _start(cases: list[dict], stderr=subprocess.PIPE) -> subprocess.Popen:
    """Starts a process that measures."""
    # What was compiled before says nothing of how long it takes.
    environment = launch.environment(allocator=any(settings["variant"] != "plain" for settings in cases))
    environment |= {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.speed_process", json.dumps(cases)],
        cwd=records.REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def _check(process: subprocess.Popen, errors: str, measured: dict | list[dict]) -> None:
    """Raises a ValueError where a process that has ended has failed."""
    if process.returncode:
        last = (errors.strip() or "no message").splitlines()[-1]
        raise ValueError(f"measuring {measured} failed with status {process.returncode}: {last}")


if __name__ == "__main__":
    cli.run(speed)
