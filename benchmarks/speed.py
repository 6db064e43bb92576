"""What a meta-step, encoding and decoding cost: this project against a plain version, side by side.

Each in a process of its own, because allocator and devices are chosen when it starts; in turns, because machines are
noisy. On an accelerator, where neither matters and compilation takes most of the time, all versions of one size are
measured in one process. "plain" is what one would write first: `jnp.sin`, the inner loop unrolled in Python, the whole
batch in one vmap, one device, the allocator as it comes. "mscn_flax" is `meta.meta_gradient`, `over_signals.encode` and
`over_signals.decode` with the launcher's settings. "pytorch" is "plain" in the other framework, see `speed_pytorch`.
"""

import dataclasses
import itertools
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import gin

from benchmarks import cli, grid, launch, records, speed_process, speed_pytorch
from benchmarks.job import Job
from benchmarks.run_folder import Result
from mscn_flax.sine import SINES
from mscn_flax.siren import MATMUL_DTYPES

NAME, SCOPE = "speed", "speed"

VARIANTS = (("plain", "plain", "float32"), *(("mscn_flax", sine, "float32") for sine in SINES))
"""(variant, sine, precision) of the rows of each size."""

PEERS = {speed_pytorch.VARIANT: (speed_pytorch.VARIANT, "plain", "float32")}
"""What a user might have taken instead -> (variant, sine, precision) of its rows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeedJob(Job):
    """All variants of one size, in turns.

    Attributes:
      settings: (name, value) of what `speed_process` measures.
      rounds: processes of each variant; the median over all their steps counts.
      variants: (variant, sine, precision) of the rows.
      together: measure all variants in one process, once.
    """

    settings: tuple[tuple[str, object], ...]
    rounds: int
    variants: tuple[tuple[str, str, str], ...] = VARIANTS
    together: bool = False

    @property
    def cell(self) -> str:
        """See `Job.cell`."""
        of = dict(self.settings)
        return f"{NAME}-{'-'.join(str(of[key]) for key in ('width', 'depth', 'batch', 'resolution', 'code'))}"

    @property
    def decides(self) -> tuple:
        """See `Job.decides`."""
        more = () if self.variants == VARIANTS else (self.variants,)
        return self.settings, self.rounds, *more

    def describe(self) -> str:
        """See `Job.describe`."""
        of = dict(self.settings)
        gflop = speed_process.flops(of)["meta_step"] / 1e9
        return f"{of}: {gflop:.1f} GFLOP per step, {self.rounds * len(self.variants)} times"

    def run(self) -> Result:
        """One row per task and variant."""
        common, found, rows = dict(self.settings), {variant: [] for variant in self.variants}, []
        names = ("variant", "sine", "precision")
        cases = [common | dict(zip(names, variant, strict=True)) for variant in self.variants]
        for _ in range(self.rounds):
            own = [case for case in cases if case["variant"] not in PEERS] if self.together else []
            measured = itertools.chain(measure_all(own) if own else (), map(measure, cases[len(own) :]))
            for variant, one in zip(self.variants, measured, strict=True):
                found[variant].append(one)
        for variant, measured in found.items():
            for task in speed_process.TASKS:
                row = {
                    "experiment": NAME,
                    "preset": self.preset,
                    "task": task,
                    **dict(zip(names, variant, strict=True)),
                }
                row |= {key: common[key] for key in ("width", "depth", "batch", "code", "budget", "inner_steps")}
                row |= {"points": common["resolution"] ** 2, "run_id": self.id}
                row |= _figures([one["tasks"][task] for one in measured], common)
                row |= {key: measured[-1][key] for key in ("chunk_size", "devices", "device")}
                row |= {name: f"{max(one[name] for one in measured):.4g}" for name in speed_process.LIMITS}
                rows.append(row)
                memory = f"{row['temp_bytes'] / 2**20:.0f} MiB, " if row["temp_bytes"] != "" else ""
                share = float(row["gflop_per_s"]) / float(row["matmul_gflop_per_s"])
                said = f"{row['step_s']} s, {memory}{share:.2f} of the matrix product's rate"
                print(f"{self.cell} {task} {' '.join(variant)}: {said}", flush=True)
        return Result({"": rows}, provenance={"device": rows[-1]["device"]})


@gin.configurable("speed")
def jobs(
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
    peers: list[str] = (),
    together: bool = False,
) -> list[SpeedJob]:
    """The sizes.

    Args:
      sizes: (width, depth, batch), or (width, depth, batch, pixels per side).
      codes: "functa" (latent of size `budget`) or "mscn" (gates of that budget, capped at the modulations there are).
      whole_networks: (width, depth, batch, pixels per side) of networks that are adapted whole, unstructured, a fifth
        of the updates kept.
      budget: see `codes`.
      inner_steps: K.
      resolution: pixels per side.
      rounds: processes of each variant, in turns; the median over all their steps counts.
      repeats: number of timed steps per process.
      chunk_size: signals that a device works on at a time, where they divide the batch, None for as many as its memory
        holds; "plain" takes them all at once.
      tile_values: values of a layer, points times width, that "mscn_flax" works on at a time; None for all.
      precisions: of the products between hidden layers, some of `siren.MATMUL_DTYPES`, float32 among them.
      peers: keys of `PEERS`; one that is not installed is left out, and that is said.
      together: measure all versions of a size in one process, once, compiled side by side; peers in one of their own.
    """
    grid.check_choices("speed.precisions", list(precisions), MATMUL_DTYPES)
    if peers:
        grid.check_choices("speed.peers", list(peers), PEERS)
        if not speed_pytorch.installed():
            said = "speed: no rows of PyTorch, which is not installed; `pip install -r requirements-peers.txt`"
            print(said, file=sys.stderr)
            peers = []
    variants = (*VARIANTS, *(("mscn_flax", "fast", name) for name in precisions if name != "float32"))
    variants += tuple(PEERS[peer] for peer in peers)
    found = [
        {"width": width, "depth": depth, "batch": batch, "code": code, "resolution": (*side, resolution)[0]}
        | {"budget": min(budget, width * (depth - 1))}
        for width, depth, batch, *side in sizes
        for code in codes
    ]
    found += [
        {"width": width, "depth": depth, "batch": batch, "code": "delta", "resolution": side}
        | {"budget": _parameters(width, depth) // 5}
        for width, depth, batch, side in whole_networks
    ]
    made = []
    for size in found:
        tile = tile_values and max(1, tile_values // size["width"])
        settings = size | {"inner_steps": inner_steps, "repeats": repeats, "chunk_size": chunk_size, "tile": tile}
        made.append(
            SpeedJob(
                benchmark=NAME,
                preset=cli.preset(),
                gin=grid.gin_text((SCOPE,)),
                settings=tuple(settings.items()),
                rounds=1 if together else rounds,
                variants=variants,
                together=together,
            )
        )
    return made


def _parameters(width: int, depth: int) -> int:
    """Number of parameters of a network from 2 coordinates to 3 values."""
    return 3 * width + (depth - 2) * (width + 1) * width + 3 * (width + 1)


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
    peer = any(settings["variant"] in PEERS for settings in cases)
    return subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{'speed_pytorch' if peer else 'speed_process'}", json.dumps(cases)],
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
    cli.main(NAME)
