"""What makes meta-learning faster: PSNR of held-out signals against seconds of training, not steps.

A variant changes one thing of Table 1's training, in gin's scope `outer_loop/<variant>`, and has as many outer steps as
take about the same time. Judged on the validation split, never on test signals.
"""

import dataclasses
import hashlib
import shutil

import gin
import numpy as np

from benchmarks import cli, dry_run, evaluation, grid, records, runner, table1_modulations
from benchmarks.cell import Cell, choices, sections_of
from mscn_flax import data, metrics
from mscn_flax.modalities import Signal

NAME = "outer_loop"

COLUMNS = (
    "experiment",
    "preset",
    "dataset",
    "source",
    "variant",
    "method",
    "budget",
    "seed",
    "outer_steps",  # of the whole run, to which its schedules refer
    "step",  # after which it was judged
    "train_s",  # seconds of training up to there: compilation, data sets and judging apart
    "psnr_db",  # mean over the validation signals
    "signals",
    "device",
    "run_id",
)


@gin.configurable("outer_loop")
def outer_loop(
    preset: str = "custom",
    dataset: str = gin.REQUIRED,
    standins: list[str] = gin.REQUIRED,
    variants: list[str] = gin.REQUIRED,
    methods: list[str] = gin.REQUIRED,
    budget: int = gin.REQUIRED,
    inner_steps: int = gin.REQUIRED,
    seeds: list[int] = gin.REQUIRED,
    judged_at: list[float] = gin.REQUIRED,
    signals: int = gin.REQUIRED,
) -> None:
    """Trains every variant that there are no rows of; a run that was stopped begins anew, as its seconds are lost.

    Args:
      preset: name of the gin overlay.
      dataset: a key of `data.DATA_SETS`.
      standins: what takes its place where it is not here, in order.
      variants: scopes of gin; `base` is compared with.
      methods: keys of `table1_modulations.METHODS`.
      budget: non-zeros a signal.
      inner_steps: K of the judging, whatever a variant trains with.
      seeds: of the runs.
      judged_at: shares of the outer steps, rising to 1.
      signals: of the validation split.
    """
    grid.check("outer_loop", methods=methods, valid=table1_modulations.METHODS, datasets=[dataset], standin=None)
    found = grid.find(dataset, standins)
    cells = {
        (variant, seed, method): table1_modulations.cell(
            preset, variant, found, data.DATA_SETS[found].resolution, method, budget, seed
        )
        for seed in cli.seeds(seeds)
        for variant in variants
        for method in methods
    }
    _check(cells, judged_at)
    if cli.dry_run():
        for variant in variants:
            print(f"variant {variant}:")
            dry_run.show([cell for (name, _, _), cell in cells.items() if name == variant])
        return
    for (variant, _, _), cell in cells.items():
        cell = dataclasses.replace(cell, experiment=NAME, trained_as=f"{variant}-{cell.method}-{budget}")
        judged = (tuple(judged_at), signals, inner_steps)
        decides = choices((cell.learner, cell.optimizer, cell.training, judged))
        digest = hashlib.sha256(decides.encode()).hexdigest()[:8]
        run_id = f"{NAME}-{cell.dataset}-{cell.signals['train'].source}-{variant}-{cell.method}-s{cell.seed}-{digest}"
        if records.has(cell.csv, run_id):
            print(f"{run_id}: done before")
        else:
            _run(cell, variant, run_id, judged_at, signals, inner_steps)


def _check(cells: dict[tuple[str, int, str], Cell], judged_at: list[float]) -> None:
    """Raises a ValueError where a variant changes nothing, or the last judging is not at the end."""
    if list(judged_at) != sorted(set(judged_at)) or not judged_at or judged_at[0] <= 0 or judged_at[-1] != 1:
        raise ValueError(f"outer_loop.judged_at must rise to 1, got {judged_at}")
    known = {}
    for (variant, seed, method), cell in cells.items():
        decides = choices((seed, method, cell.learner, cell.optimizer, cell.training))
        if other := known.get(decides):
            raise ValueError(f"outer_loop.variants has {variant!r}, which changes nothing of {other!r} as gin has them")
        known[decides] = variant


def _run(cell: Cell, variant: str, run_id: str, judged_at: list[float], signals: int, inner_steps: int) -> None:
    """Adds the rows of a variant."""
    shutil.rmtree(cell.folder, ignore_errors=True)
    commit, held_out = records.commit(), _held_out(cell, signals)
    seen = cell.modality.observed(held_out, cell.resolution, inner_steps)
    shown = cell.modality.whole(held_out, cell.resolution)
    rows, train_s, compile_s = [], 0.0, 0.0
    for share in judged_at:
        cell = dataclasses.replace(cell, stop=round(share * cell.training.outer_steps))
        trained = runner.train(cell)
        train_s, compile_s = train_s + trained.train_s, compile_s + trained.compile_s
        judged = dataclasses.replace(cell, learner=dataclasses.replace(cell.learner, inner_steps=inner_steps))
        fitted = evaluation.fit(judged, trained.state, seen, shown=shown)
        psnr = np.mean(np.asarray(metrics.psnr(metrics.mse(fitted.values, fitted.targets))))
        rows.append(
            evaluation.common(cell)
            | {
                "variant": variant,
                "budget": cell.budget,
                "outer_steps": cell.training.outer_steps,
                "step": cell.stop_step,
                "train_s": f"{train_s:.2f}",
                "psnr_db": f"{psnr:.4f}",
                "signals": len(fitted.targets),
                "device": runner.device_name(),
                "run_id": run_id,
            }
        )
    records.add(
        cell.csv,
        rows,
        COLUMNS,
        seed=cell.seed,
        device=runner.device_name(),
        gin_text=_gin_text(cell, variant),
        wall_s=train_s,
        compile_s=compile_s,
        commit=commit,
    )
    print(f"{run_id}: {rows[-1]['psnr_db']} dB after {train_s:.0f} s", flush=True)


def _gin_text(cell: Cell, variant: str) -> str:
    """A gin file that repeats this run alone."""
    only = {"variants": [variant], "methods": [cell.method], "seeds": [cell.seed]}
    lines = [f"{NAME}/{NAME}.{name} = {value!r}" for name, value in only.items()]
    return "\n".join([sections_of(gin.operative_config_str(), NAME, {variant, cell.method}), "", *lines, ""])


def _held_out(cell: Cell, signals: int) -> Signal:
    split = data.load(cell.dataset, "validation", resolution=cell.resolution, data_dir=cli.data_dir())
    return evaluation.stacked(split, signals)


def main() -> None:
    """The variants as gin has them, their bindings scoped by `outer_loop`."""
    with gin.config_scope(NAME):
        outer_loop()


if __name__ == "__main__":
    cli.run(main)
