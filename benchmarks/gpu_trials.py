"""Short trainings of preset gpu's networks at several outer rates: seconds per step, PSNR of signals not seen before.

Started by `benchmarks.gpu`, which takes each method's best rate and learns how many steps fit. All methods have the
same trials. A step's signals are judged before they are trained on, and no signal is seen twice in so few steps.
"""

import concurrent.futures
import dataclasses
import json
import pathlib
import time

import gin
import jax
import numpy as np
from absl import flags

from benchmarks import cli, fig7_rate_distortion, rates_networks, records, runner, table1_modulations
from benchmarks.cell import Cell
from mscn_flax import data

_TRIALS_FILE = flags.DEFINE_string("trials_file", None, "JSON file to write: a list of trials.")


@gin.configurable
def trials(rates: list[float] = gin.REQUIRED, steps: int = gin.REQUIRED) -> None:
    """Compiles every training, side by side, then runs one after the other.

    Args:
      rates: outer rates that are tried.
      steps: of a trial.
    """
    cells = [_with(cell, rate, steps) for cell in _cells() for rate in rates]
    with concurrent.futures.ThreadPoolExecutor(len(cells)) as pool:
        programs = list(pool.map(_compiled, cells))
    found = []
    for cell, program in zip(cells, programs, strict=True):
        found.append(_trial(cell, *program))
        print(json.dumps(found[-1]), flush=True)
    with records.replaced(pathlib.Path(_TRIALS_FILE.value)) as out:
        json.dump(found, out, indent=1)


def _with(cell: Cell, rate: float, steps: int) -> Cell:
    """The cell at another rate, trained for so many steps."""
    return dataclasses.replace(
        cell,
        optimizer=dataclasses.replace(cell.optimizer, learning_rate=rate),
        training=dataclasses.replace(cell.training, outer_steps=steps),
    )


def _cells() -> list[Cell]:
    """The trainings as the benchmarks have them."""
    preset = gin.query_parameter("table1.preset")
    with gin.config_scope("table1"):
        of_table1 = [
            table1_modulations.cell(preset, "cifar10", "cifar10", 32, method, 64, seed=0)
            for method in table1_modulations.METHODS
        ]
    with gin.config_scope("fig7"):
        methods, grid = gin.query_parameter("fig7.methods"), fig7_rate_distortion.GRID
        of_fig7 = rates_networks.cells(fig7_rate_distortion.NAME, grid, preset, "kodak", 32, 0, methods, [64])
    return of_table1 + of_fig7


def _compiled(cell: Cell) -> tuple:
    """What a training needs: batches, mesh, first state, program."""
    mesh = runner.devices_for(cell.training.batch_size)
    batches = data.batches(cell.signals["train"], cell.training.batch_size, cell.seed)
    state = runner.first_state(cell, mesh)
    arguments = (state, *runner.batch(cell, batches, 0, mesh), np.int32(cell.seed))
    return batches, mesh, state, jax.jit(runner.step_of(cell, mesh), donate_argnums=0).lower(*arguments).compile()


def _trial(cell: Cell, batches, mesh, state, program) -> dict:
    """Trains; seconds are those of the second half of the steps, PSNR the mean of the last quarter's."""
    steps, psnr, began = cell.training.outer_steps, [], 0.0
    for step in range(steps):
        if step == steps // 2:
            jax.block_until_ready(state)
            began = time.perf_counter()
        state, logged = program(state, *runner.batch(cell, batches, step, mesh), np.int32(cell.seed))
        psnr.append(logged["psnr"])
    jax.block_until_ready(state)
    step_s = (time.perf_counter() - began) / (steps - steps // 2)
    return {
        "benchmark": cell.experiment,
        "method": cell.method,
        "outer_rate": cell.optimizer.learning_rate,
        "outer_steps": steps,
        "psnr_db": round(float(np.mean(psnr[-max(1, steps // 4) :])), 3),
        "step_s": round(step_s, 6),
        "temp_bytes": program.memory_analysis().temp_size_in_bytes,
    }


if __name__ == "__main__":
    cli.run(trials)
