"""How far `--dry_run`'s estimate of time and memory is from a run: steps of Table 1's MSCN as `runner.train` has them.

Each case is a cell of Table 1 with settings of its own, in gin's scope `cost_model/<case>`.
"""

import hashlib
import statistics
import time

import gin
import jax
import numpy as np

from benchmarks import cli, dry_run, grid, records, runner, table1_modulations
from benchmarks.cell import Cell, choices
from mscn_flax import data
from mscn_flax.siren import base_siren

NAME = "cost_model"

COLUMNS = (
    "experiment",
    "preset",
    "case",
    "dataset",
    "source",
    "width",
    "depth",
    "batch",
    "points",  # of a signal
    "chunk_size",
    "device",
    "gflop",  # of a step
    "step_s",  # median of steps on batches of the data set, after two
    "step_min_s",
    "step_max_s",
    "repeats",
    "estimated_step_s",
    "temp_bytes",  # of the program that ran, a device
    "estimated_temp_bytes",
    "compile_s",
    "estimate_s",  # what the estimate took
    "run_id",
)


@gin.configurable("cost_model")
def cost_model(
    preset: str = "custom",
    cases: dict[str, tuple[str, int]] = gin.REQUIRED,
    standins: dict[str, list[str]] = gin.REQUIRED,
    budget: int = gin.REQUIRED,
    repeats: int = gin.REQUIRED,
) -> None:
    """Estimates and measures every case that there is no row of.

    Args:
      preset: name of the gin overlay.
      cases: name -> (data set, resolution).
      standins: data set -> what takes its place where it is not here, in order.
      budget: of MSCN's gates.
      repeats: timed steps.
    """
    for case, (asked, resolution) in cases.items():
        grid.check_choices("cost_model.cases", [asked], data.DATA_SETS)
        dataset = grid.find(asked, standins.get(asked, []), resolution)
        cell = table1_modulations.cell(preset, case, dataset, resolution, "mscn", budget, seed=0)
        digest = hashlib.sha256(
            choices((cell.learner, cell.optimizer, cell.training, resolution, repeats)).encode()
        ).hexdigest()
        run_id, csv = f"{NAME}-{case}-{dataset}-{digest[:8]}", cli.results_dir() / preset / f"{NAME}.csv"
        if cli.dry_run():
            dry_run.show([cell])
        elif records.has(csv, run_id):
            print(f"{run_id}: measured before")
        else:
            _measure(csv, preset, case, cell, run_id, repeats)


def _measure(csv, preset: str, case: str, cell: Cell, run_id: str, repeats: int) -> None:
    """Adds the row of a case."""
    commit, began = records.commit(), time.perf_counter()
    estimate = dry_run.estimate(cell)
    estimate_s = time.perf_counter() - began
    seconds, temp_bytes, compile_s = _steps(cell, repeats)
    siren, train = base_siren(cell.learner.field), cell.signals["train"]
    row = {
        "experiment": NAME,
        "preset": preset,
        "case": case,
        "dataset": cell.dataset,
        "source": train.source,
        "width": siren.width,
        "depth": siren.depth,
        "batch": cell.training.batch_size,
        "points": dry_run.example(cell).targets.shape[-2],
        "chunk_size": cell.training.chunk_size,
        "device": runner.device_name(),
        "gflop": f"{dry_run.flops(cell) / 1e9:.4g}",
        "step_s": f"{statistics.median(seconds):.4g}",
        "step_min_s": f"{min(seconds):.4g}",
        "step_max_s": f"{max(seconds):.4g}",
        "repeats": len(seconds),
        "estimated_step_s": f"{estimate.step_s:.4g}",
        "temp_bytes": temp_bytes,
        "estimated_temp_bytes": f"{estimate.temp_bytes:.0f}",
        "compile_s": f"{compile_s:.3g}",
        "estimate_s": f"{estimate_s:.3g}",
        "run_id": run_id,
    }
    records.add(
        csv,
        [row],
        COLUMNS,
        seed=0,
        device=row["device"],
        gin_text=gin.operative_config_str(),
        wall_s=time.perf_counter() - began,
        compile_s=compile_s,
        commit=commit,
    )
    print(
        f"{run_id}: estimated {row['estimated_step_s']} s and {estimate.temp_bytes / 2**20:.0f} MiB, "
        f"measured {row['step_s']} s and {temp_bytes / 2**20:.0f} MiB",
        flush=True,
    )


def _steps(cell: Cell, repeats: int) -> tuple[list[float], int, float]:
    """Seconds of outer steps with their batches, temporary bytes of the program, seconds of its compilation."""
    training, mesh = cell.training, runner.devices_for(cell.training.batch_size)
    batches = data.batches(cell.signals["train"], training.batch_size, cell.seed)
    state = runner.first_state(cell, mesh)
    seed, began = np.int32(cell.seed), time.perf_counter()
    points = runner.batch(cell, batches, 0, mesh)
    compiled = jax.jit(runner.step_of(cell, mesh), donate_argnums=0).lower(state, *points, seed).compile()
    compile_s, seconds = time.perf_counter() - began, []
    for step in range(repeats + 2):
        began = time.perf_counter()
        state, _ = compiled(state, *points, seed)
        points = runner.batch(cell, batches, step + 1, mesh)  # While the step runs, as in training.
        jax.block_until_ready(state)
        seconds.append(time.perf_counter() - began)
    return seconds[2:], compiled.memory_analysis().temp_size_in_bytes, compile_s


def main() -> None:
    """The cases as gin has them, their bindings scoped by `cost_model`."""
    with gin.config_scope("cost_model"):
        cost_model()


if __name__ == "__main__":
    cli.run(main)
