"""What `mscn encode` and `mscn decode` take of whole pictures: seconds from start to end, and memory."""

import dataclasses
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import gin
import numpy as np
from jaxtyping import UInt8

from benchmarks import cli, engine, grid, launch, records
from benchmarks.job import Job
from benchmarks.run_folder import Result
from mscn_flax import data, shipped
from mscn_flax.modalities import IMAGES

NAME, SCOPE = "codec_speed", "codec_speed"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecSpeedJob(Job):
    """One size of picture, coded by one model of the package.

    Attributes:
      model: its name.
      dataset: key of `data.DATA_SETS`, of whose test pictures it is put together.
      megapixels: about its size.
      repeats: timed runs of either command; where there are several, one before them fills the cache of programs.
    """

    model: str
    dataset: str
    megapixels: float
    repeats: int

    @property
    def cell(self) -> str:
        """See `Job.cell`."""
        return f"{self.dataset}-{self.model}-{self.megapixels:g}mp-s0"

    @property
    def decides(self) -> tuple:
        """See `Job.decides`."""
        return (shipped.Shelf().card(self.model)["id"], self.repeats)

    def run(self) -> Result:
        """One row per command."""
        with tempfile.TemporaryDirectory() as folder:
            picture, stream = pathlib.Path(folder) / "picture.png", pathlib.Path(folder) / "picture.mscn"
            found = data.load(self.dataset, "test", resolution=data.DATA_SETS[self.dataset].resolution)
            side = math.sqrt(1e6 * self.megapixels / 6)
            height, width = round(2 * side), round(3 * side)
            IMAGES.write(picture, mosaic([found[index] for index in range(len(found))], height, width))
            commands = {
                "encode": (picture, "-o", stream, "--model", self.model),
                "decode": (stream, "-o", picture.with_name("decoded.png")),
            }
            # Where there are several, the first fills the cache of compiled programs.
            runs = range(self.repeats + (self.repeats > 1))
            ran = {task: [_measure(task, *rest, "--force", "--json") for _ in runs] for task, rest in commands.items()}
        facts, rows = ran["encode"][-1].facts, []
        for task, measured in ran.items():
            timed = measured[-self.repeats :]
            seconds = statistics.median(each.seconds for each in timed)
            rows.append(
                {
                    "experiment": NAME,
                    "preset": self.preset,
                    "task": task,
                    "model": self.model,
                    "dataset": self.dataset,
                    "height": height,
                    "width": width,
                    "device": engine.device_name(),
                    "step_s": f"{seconds:.4g}",
                    "step_min_s": f"{min(each.seconds for each in timed):.4g}",
                    "repeats": self.repeats,
                    "megapixels_per_s": f"{height * width / 1e6 / seconds:.4g}",
                    "peak_mib": f"{max(each.peak_mib for each in timed):.0f}",
                    "bytes": facts["bytes"],
                    "psnr_db": f"{facts['psnr_db']:.6g}",
                    "run_id": self.id,
                }
            )
        return Result({"": rows})


@gin.configurable("codec_speed")
def jobs(
    model: str = gin.REQUIRED,
    dataset: str = gin.REQUIRED,
    standin: str | None = gin.REQUIRED,
    megapixels: list[float] = gin.REQUIRED,
    repeats: int = gin.REQUIRED,
) -> list[CodecSpeedJob]:
    """One job per size.

    Args:
      model: of the package, for pictures.
      dataset: key of `data.DATA_SETS`.
      standin: takes its place where it is not here; None to stop instead.
      megapixels: sizes; of the smallest starting takes nearly all of the time.
      repeats: timed runs of each command.
    """
    grid.check_choices("codec_speed.model", [model], shipped.Shelf().names())
    found = grid.available(SCOPE, [dataset], standin)[dataset]
    return [
        CodecSpeedJob(
            benchmark=NAME,
            preset=cli.preset(),
            gin=grid.gin_text((SCOPE,), megapixels=[size]),
            model=model,
            dataset=found,
            megapixels=size,
            repeats=repeats,
        )
        for size in megapixels
    ]


def mosaic(pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]], height: int, width: int) -> UInt8[np.ndarray, "H W 3"]:
    """The middles of the pictures, of one size, side by side and again, until height and width are filled."""
    rows, columns = (min(picture.shape[axis] for picture in pictures) for axis in (0, 1))

    def middle(picture):
        top, left = (picture.shape[0] - rows) // 2, (picture.shape[1] - columns) // 2
        return picture[top : top + rows, left : left + columns]

    down, across = -(-height // rows), -(-width // columns)
    tiles = [[middle(pictures[(i * across + j) % len(pictures)]) for j in range(across)] for i in range(down)]
    return np.concatenate([np.concatenate(line, axis=1) for line in tiles])[:height, :width]


@dataclasses.dataclass(frozen=True)
class _Run:
    """A command that ran: seconds from start to end, most memory, and what it said."""

    seconds: float
    peak_mib: float
    facts: dict


def _measure(*arguments: object) -> _Run:
    """Runs `mscn` in a process of its own, as a user would.

    Raises:
      ValueError: where it fails; it has said why.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "mscn_flax", *map(str, arguments)],
        cwd=records.REPOSITORY,
        env=launch.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ValueError(f"mscn {arguments[0]} failed with status {process.returncode}")
    return _Run(seconds, used.ru_maxrss / 1024, json.loads(said.splitlines()[-1]))


if __name__ == "__main__":
    cli.main(NAME)
