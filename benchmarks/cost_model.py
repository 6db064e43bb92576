"""How far the estimate of `--dry_run` is from a run: time and memory of the steps of Table 1's MSCN.

Each case is a cell of Table 1 with settings of its own, in the gin scope of its name.
"""

import dataclasses
import statistics
import time

import gin
import jax
import numpy as np

from benchmarks import cli, engine, estimate, grid, table1_modulations
from benchmarks.job import TrainingJob, digest_of
from benchmarks.run_folder import Result
from mscn_flax import data
from mscn_flax.siren import base_siren
from mscn_flax.train import batch, batches, devices_for, first_state, step_of

NAME, SCOPE = "cost_model", "cost_model"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CostJob(TrainingJob):
    """Estimates and measures one case.

    Attributes:
      case: its name.
      repeats: number of timed steps.
    """

    case: str
    repeats: int

    @property
    def cell(self) -> str:
        """See `Job.cell`."""
        return f"{NAME}-{self.case}-{self.dataset}"

    @property
    def digest(self) -> str:
        """See `Job.digest`."""
        setup = self.setup
        return digest_of(
            (setup.learner, setup.optimizer, setup.training, setup.resolution, self.repeats, *self.own_code)
        )

    def run(self) -> Result:
        """One row."""
        began = time.perf_counter()
        estimated = estimate.estimate(self.setup)
        estimate_s = time.perf_counter() - began
        seconds, temp_bytes, compile_s = self._steps()
        siren, train = base_siren(self.setup.learner.field), self.signals("train")
        row = {
            "experiment": NAME,
            "preset": self.preset,
            "case": self.case,
            "dataset": self.dataset,
            "source": train.source,
            "width": siren.width,
            "depth": siren.depth,
            "batch": self.setup.training.batch_size,
            "points": estimate.example(self.setup).targets.shape[-2],
            "chunk_size": self.setup.training.chunk_size,
            "device": engine.device_name(),
            "gflop": f"{estimate.flops(self.setup) / 1e9:.4g}",
            "step_s": f"{statistics.median(seconds):.4g}",
            "step_min_s": f"{min(seconds):.4g}",
            "step_max_s": f"{max(seconds):.4g}",
            "repeats": len(seconds),
            "estimated_step_s": f"{estimated.step_s:.4g}",
            "temp_bytes": temp_bytes,
            "estimated_temp_bytes": f"{estimated.temp_bytes:.0f}",
            "compile_s": f"{compile_s:.3g}",
            "estimate_s": f"{estimate_s:.3g}",
            "run_id": self.id,
        }
        print(
            f"{self.id}: estimated {row['estimated_step_s']} s and {estimated.temp_bytes / 2**20:.0f} MiB, "
            f"measured {row['step_s']} s and {temp_bytes / 2**20:.0f} MiB",
            flush=True,
        )
        return Result({"": [row]}, provenance={"compile_s": round(compile_s, 2)})

    def _steps(self) -> tuple[list[float], int, float]:
        """Seconds of outer steps with their batches, temporary bytes of the program, seconds of its compilation."""
        setup = self.setup
        mesh = devices_for(setup.training.batch_size)
        source = batches(self.signals("train"), setup.training.batch_size, setup.seed)
        state = first_state(setup, mesh)
        seed, began = np.int32(setup.seed), time.perf_counter()
        points = batch(setup, source, 0, mesh)
        compiled = jax.jit(step_of(setup, mesh), donate_argnums=0).lower(state, *points, seed).compile()
        compile_s, seconds = time.perf_counter() - began, []
        for step in range(self.repeats + 2):
            began = time.perf_counter()
            state, _ = compiled(state, *points, seed)
            points = batch(setup, source, step + 1, mesh)  # While the step runs, as in training.
            jax.block_until_ready(state)
            seconds.append(time.perf_counter() - began)
        return seconds[2:], compiled.memory_analysis().temp_size_in_bytes, compile_s


@gin.configurable("cost_model")
def jobs(
    cases: dict[str, tuple[str, int]] = gin.REQUIRED,
    standins: dict[str, list[str]] = gin.REQUIRED,
    budget: int = gin.REQUIRED,
    repeats: int = gin.REQUIRED,
) -> list[CostJob]:
    """The cases.

    Args:
      cases: name -> (data set, resolution).
      standins: data set -> what takes its place where it is not here, in order.
      budget: of MSCN's gates.
      repeats: number of timed steps.
    """
    made = []
    for case, (asked, resolution) in cases.items():
        grid.check_choices("cost_model.cases", [asked], data.DATA_SETS)
        dataset = grid.find(SCOPE, asked, standins.get(asked, []), resolution)
        alone = {"cases": {case: (asked, resolution)}}
        scope = (SCOPE, asked, "mscn", case)
        job = table1_modulations.job(NAME, scope, dataset, resolution, "mscn", budget, 0, alone)
        inherited = {field.name: getattr(job, field.name) for field in dataclasses.fields(TrainingJob)}
        made.append(CostJob(**inherited, case=case, repeats=repeats))
    return made


if __name__ == "__main__":
    cli.main(NAME)
