"""Table 1 (and figures 4 to 6): structured sparse modulations against Functa, method x budget x data set.

A stand-in is configured as the data set that it stands in for.
"""

import dataclasses
import io
from collections.abc import Sequence

import gin
import numpy as np

from benchmarks import cli, evaluation, grid, records
from benchmarks.job import TrainingJob
from benchmarks.methods import METHODS
from benchmarks.run_folder import Result
from mscn_flax import configuration, data
from mscn_flax.meta import TrainState
from mscn_flax.modalities import IMAGES, VOLUMES, Points, Sampling, Scene
from mscn_flax.outer import OuterOptimizer
from mscn_flax.rendering import RadianceField
from mscn_flax.siren import Siren
from mscn_flax.train import Setup, Training
from mscn_flax.views import ring

NAME, SCOPE = "table1_modulations", "table1"

SHOWN = 2
"""Number of test signals whose values are kept for figures: the first, or the solids of most surface."""

FRAMES = 24
"""Pictures of a turn around the first test scene."""


@gin.configurable
@dataclasses.dataclass(frozen=True)
class NovelViews:
    """Which views of a test scene are given, and which are asked for.

    Attributes:
      context: indices of the views that are given.
      rays: number of random rays from each of these, drawn afresh for every inner step.
      novel: indices of the views that are asked for.
    """

    context: tuple[int, ...] = (0, 31, 63, 127)
    rays: int = 1024
    novel: tuple[int, ...] = (23, 55, 82, 119)


@gin.configurable("table1")
def jobs(
    datasets: list[str] = gin.REQUIRED,
    standins: dict[str, list[str]] = gin.REQUIRED,
    resolutions: dict[str, int] = gin.REQUIRED,
    methods: list[str] = gin.REQUIRED,
    budgets: list[int] = gin.REQUIRED,
    seeds: list[int] = gin.REQUIRED,
) -> list[TrainingJob]:
    """The grid.

    Args:
      datasets: keys of `data.DATA_SETS`.
      standins: data set -> what takes its place where it is not here, in order; those without stop the run instead.
      resolutions: data set -> pixels, latitudes or voxels per side; those without have their own.
      methods: keys of `METHODS`.
      budgets: non-zeros per signal.
      seeds: random seeds of the runs.
    """
    grid.check("table1", methods=methods, valid=METHODS, datasets=datasets, standin=None)
    for standin in (name for names in standins.values() for name in names):
        grid.check_choices("table1.standins", [standin], data.DATA_SETS)
    if not budgets:
        raise ValueError("table1.budgets is empty; the paper's are 64, 128, 256, 512, 1024")
    made = []
    for asked in datasets:
        dataset = grid.find(SCOPE, asked, standins.get(asked, []), resolutions.get(asked))
        resolution = resolutions.get(asked, data.DATA_SETS[dataset].resolution)
        for seed in cli.seeds(seeds):
            for budget in budgets:
                for method in methods:
                    alone = {"datasets": [asked], "methods": [method], "budgets": [budget], "seeds": [seed]}
                    scope = (SCOPE, asked, method)
                    made.append(job(NAME, scope, dataset, resolution, method, budget, seed, alone, _evaluate))
    return made


def job(
    benchmark: str,
    scope: Sequence[str],
    dataset: str,
    resolution: int,
    method: str,
    budget: int,
    seed: int,
    alone: dict,
    evaluate=None,
) -> TrainingJob:
    """One cell as gin has it in a scope; `alone` as `grid.gin_text` takes it, the rest as `TrainingJob` has it."""
    known = data.DATA_SETS[dataset]
    with configuration.scope(*scope):
        seen = NovelViews() if isinstance(known.modality, Scene) else None
        # A scene has a density besides.
        siren = Siren(out_dim=known.channels if seen is None else known.channels + 1)
        field = METHODS[method].field(siren, budget)
        learner = METHODS[method].learner(field if seen is None else RadianceField(siren=field), budget)
        setup = Setup(learner, OuterOptimizer(), Training(), known.modality, resolution, seed)
    return TrainingJob(
        benchmark=benchmark,
        preset=cli.preset(),
        seed=seed,
        gin=grid.gin_text(scope, **alone),
        dataset=dataset,
        method=method,
        budget=budget,
        setup=setup,
        evaluate=evaluate or _evaluate,
        evaluation=seen,
    )


def _evaluate(job: TrainingJob, state: TrainState) -> Result:
    """One row per test signal, and one per modulation kept by the shared mask (none without a shared mask)."""
    setup = job.setup
    arrays = evaluation.test_arrays(job, setup.training.test_signals)
    fitted = (_scenes if isinstance(setup.modality, Scene) else _on_grid)(job, state, arrays)
    codes = fitted.codes.reshape(len(fitted.codes), -1)
    kept = np.count_nonzero(codes, axis=1)
    if (kept != job.budget).any():
        print(f"{job.id}: {np.sum(kept != job.budget)} of {len(kept)} codes do not have {job.budget} non-zeros")
    train = job.signals("train")

    def per_signal(i):
        measured = setup.modality.measured(fitted.values[i], fitted.targets[i], setup.resolution)
        own = {name: f"{value:.6g}" for name, value in measured.items()}
        return {"budget": int(kept[i]), "surviving_fraction": f"{kept[i] / codes.shape[1]:.6g}"} | own

    empty = dict.fromkeys(records.MODULATION_COLUMNS, "")
    of_run = {"budget_unit": "modulations", "trained_on": f"{train.name} ({train.source})"}
    rows = [empty | row for row in evaluation.rows(job, fitted, per_signal, **of_run)]
    masks = []
    if state.gates is not None and setup.learner.shares_pattern:
        common = evaluation.common(job) | {"budget": job.budget}
        masks = [common | {"layer": int(a), "unit": int(b)} for a, b in np.argwhere(np.asarray(state.gates.mask))]
    return Result({"": rows, "_masks": masks}, _shown(job, state, fitted, arrays) if job.seed == 0 else {})


def _on_grid(job: TrainingJob, state: TrainState, arrays: np.ndarray) -> evaluation.Fitted:
    """Signals that are fitted to all points, or to some, and judged at all."""
    setup = job.setup
    whole = setup.modality.whole(arrays, setup.resolution)
    stride = setup.training.encode_stride
    sampling = Sampling(stride, 1 if stride == 1 else setup.learner.inner_steps)
    seen = setup.modality.draw(arrays, setup.resolution, sampling, np.random.default_rng(0))
    return evaluation.fit(setup, state, seen, shown=whole)


def _scenes(job: TrainingJob, state: TrainState, arrays: dict[str, np.ndarray]) -> evaluation.Fitted:
    """Scenes that are fitted to some views and judged by others."""
    setup, how, count = job.setup, job.evaluation, arrays["views"].shape[1]
    if wrong := [view for view in (*how.context, *how.novel) if view >= count]:
        raise ValueError(f"NovelViews has view {wrong[0]}, the scenes of {job.dataset} have {count}")
    given = {name: value if name == "intrinsics" else value[:, list(how.context)] for name, value in arrays.items()}
    rng = np.random.default_rng(0)
    drawn = [
        setup.modality.draw(given, setup.resolution, Sampling(views=len(how.context), rays=how.rays), rng)
        for _ in range(setup.learner.inner_steps)
    ]
    seen = Points(*(np.stack(part, axis=1) for part in zip(*drawn, strict=True)))
    asked = [setup.modality.view(arrays, setup.resolution, index) for index in how.novel]
    fitted = evaluation.fit(setup, state, seen, shown=asked[0])
    values = [fitted.values] + [evaluation.decode(setup, state, fitted.codes, points.coords)[0] for points in asked[1:]]
    return fitted._replace(targets=np.stack([p.targets for p in asked], axis=1), values=np.stack(values, axis=1))


def _shown(job: TrainingJob, state: TrainState, fitted: evaluation.Fitted, arrays) -> dict[str, bytes]:
    """Files with values of some test signals, for figures 5 and 6 and the views of scenes; images need none."""
    setup = job.setup
    if setup.modality is IMAGES:
        return {}
    shown = np.arange(SHOWN)
    if setup.modality is VOLUMES:  # Many are flat tiles.
        inside = fitted.targets.reshape(-1, *[setup.resolution] * 3) > 0.5
        surface = sum(np.count_nonzero(np.diff(inside, axis=axis), axis=(1, 2, 3)) for axis in (1, 2, 3))
        shown = np.argsort(-surface, kind="stable")[:SHOWN]
    kept = {f"{job.method}_{job.budget}": fitted.values[shown], "original": fitted.targets[shown]}
    if isinstance(setup.modality, Scene) and job.method == "mscn":
        kept[f"{job.method}_{job.budget}_turntable"] = _turntable(job, state, fitted.codes[:1], arrays)
    files = {}
    for label, values in kept.items():
        # 16 bits are finer than any difference that a figure shows; of solids what is inside is all there is.
        solid = values.shape[-2] == setup.resolution**3
        stored = np.packbits(values > 0.5, axis=-2) if solid else np.clip(values, -0.5, 1.5).astype(np.float16)
        content = io.BytesIO()
        np.savez_compressed(content, values=stored)
        files[f"values/{evaluation.judged_dataset(job)}_{job.judged.source}_{label}.npz"] = content.getvalue()
    return files


def _turntable(job: TrainingJob, state: TrainState, codes: np.ndarray, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Pictures [FRAMES, N, 3] of a scene from a ring around it, as high and as far away as its cameras on average."""
    setup, places = job.setup, arrays["poses"][0, :, :3, 3]
    height, distance = places[:, 2].mean(), np.linalg.norm(places, axis=1).mean()
    cameras = {"poses": ring(distance, height, FRAMES), "intrinsics": arrays["intrinsics"][0] / 2}
    rays = setup.modality.rays(cameras, setup.resolution // 2)
    return evaluation.decode(setup, state, np.repeat(codes, FRAMES, axis=0), rays)[0]


if __name__ == "__main__":
    cli.main(NAME)
