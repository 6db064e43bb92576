"""Rates of meta-learned networks: each is trained once and coded at several numbers of bits per modulation.

So is a linear code, `klt`, whose coefficients go through the same quantiser, tables and streams.
"""

import dataclasses
import itertools
import time
from collections.abc import Callable, Mapping

import gin
import numpy as np

from benchmarks import cli, grid, linear, networks, rates, records
from benchmarks.job import TrainingJob
from benchmarks.run_folder import Result
from mscn_flax import codec, configuration, data, metrics
from mscn_flax.coder import Coder
from mscn_flax.fitting import fit_model, lattices_of
from mscn_flax.learner import MetaLearner
from mscn_flax.linear import LinearField
from mscn_flax.modalities.images import PATCHES
from mscn_flax.modalities.values import targets_to_8_bit
from mscn_flax.model import Model
from mscn_flax.outer import OuterOptimizer
from mscn_flax.stream import parse
from mscn_flax.train import Setup, Training
from mscn_flax.train_state import TrainState
from mscn_flax.transform import Transform

REFERENCE = "coin_pp"
"""The method that the others' networks are compared with, see `records.EQUAL`."""

KLT = "klt"
"""The method without a network: coefficients of principal components (a Karhunen-Loève transform)."""


CODINGS = ("transform", "contexts", "transform+contexts", "transform+contexts+overlap")
"""Values of the column `coding` besides "plain"."""


@gin.configurable
@dataclasses.dataclass(frozen=True)
class Coding:
    """How a trained network codes.

    Attributes:
      bits: numbers of bits per modulation, coded plainly; each gives one row per signal.
      steps: number of inner steps when encoding.
      fit_signals: number of training signals to whose codes quantiser and tables are fitted.
      refined: number of steps with momentum after these, see `mscn_flax/refine.py`.
      codings: other codings, of `CODINGS`, -> numbers of bits likewise: whether coefficients of codes are quantised in
        place of the numbers (`mscn_flax/transform.py`), whether levels are predicted and tables chosen by what is
        around them (`mscn_flax/contexts.py`), and whether borders of patches are blended (`Coder.overlap`).
    """

    bits: tuple[int, ...] = (3, 4, 5, 6, 7, 8)
    steps: int = 10
    fit_signals: int = 5000
    refined: int = 0
    codings: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self):
        for coding in self.codings:
            grid.check_choices("Coding.codings", [coding], CODINGS)


def jobs(
    benchmark: str,
    scope: str,
    asked: str,
    dataset: str,
    resolution: int,
    seed: int,
    recipes: list[str],
    methods: list[str],
    budgets: list[int],
    equal: list[str],
    alone: Callable[[int], dict],
) -> list[TrainingJob]:
    """The networks of one data set and random seed.

    Args:
      benchmark: its name.
      scope: its gin scope.
      asked: data set that was asked for, whose scope configures it.
      dataset: data set that is here.
      resolution: pixels or latitudes per side.
      seed: random seed of the runs.
      recipes: of `records.RECIPES`.
      methods: keys of `METHODS`.
      budgets: numbers per patch or map.
      equal: what methods have as much of as COIN++, of `records.EQUAL`; "network" stands for one of their own.
      alone: budget -> axis of the grid that has it alone, as `grid.gin_text` takes it.
    """
    known, made = data.DATA_SETS[dataset], []
    for at_equal, budget, recipe, name in itertools.product(equal, budgets, recipes, methods):
        grid.check_choices(f"{scope}.equal", [at_equal], records.EQUAL)
        if at_equal != "network" and (name == REFERENCE or recipe != recipes[-1]):
            continue  # The reference is as it is, and one recipe says enough.
        names, others, network = networks.as_large(
            at_equal, (scope, recipe, asked, name), REFERENCE, known, resolution, name, budget
        )
        with configuration.scope(*names):
            learner = networks.learner(known, name, budget, **network)
            setup = Setup(learner, OuterOptimizer(), Training(), known.modality, resolution, seed)
            coding = Coding()
        axes = {"datasets": [asked], "recipes": [recipe], "methods": [name], "seeds": [seed], "real_codecs": []}
        axes["equal"] = {asked: [at_equal]}
        made.append(
            TrainingJob(
                benchmark=benchmark,
                preset=cli.preset(),
                seed=seed,
                gin=grid.gin_text(names, *others, **axes | alone(budget)),
                dataset=dataset,
                method=name,
                budget=budget,
                setup=setup,
                scope=names,
                evaluate=evaluate,
                evaluation=coding,
                recipe=recipe,
                shown=seed == 0 and recipe == recipes[-1] and at_equal == "network",
                equal=at_equal,
            )
        )
    return made


def linear_jobs(
    benchmark: str,
    scope: str,
    asked: str,
    dataset: str,
    resolution: int,
    budgets: list[int],
    alone: Callable[[int], dict],
) -> list[linear.LinearJob]:
    """The linear codes of one data set; arguments as `jobs` has them."""

    def axes(budget):
        return {"real_codecs": []} | alone(budget)

    return linear.jobs(benchmark, scope, asked, dataset, resolution, KLT, budgets, axes, evaluate, Coding)


def _models(job: TrainingJob, coder: Coder, codes: np.ndarray, trained_on: str) -> dict[tuple[str, int], Model]:
    """(coding, bits) -> the model that codes so; plain ones alone where each signal has a mask of its own."""
    how, said = job.evaluation, {"gin": job.gin, "trained_on": trained_on}
    models = {("plain", bits): fit_model(coder, codes, bits, **said) for bits in how.bits}
    if coder.mask is None or not how.codings:
        return models
    parts = {"transform": Transform.of(coder, codes), "fields": _fields(job, coder)}
    # A linear code says nothing of what lies beyond a patch, and maps and solids meet nothing.
    meets = coder.modality.wider_coordinates(coder.side) is not None and not isinstance(
        coder.learner.field, LinearField
    )
    for coding, numbers in how.codings.items():
        options = {"transform": "transform" in coding, "fields": "contexts" in coding}
        options = {name: parts[name] for name, wanted in options.items() if wanted}
        coded = dataclasses.replace(coder, overlap=meets and "overlap" in coding)
        made = [fit_model(coded, codes, bits, **options, **said) for bits in numbers]
        models |= {(each.coding, each.quantizer.bits): each for each in made}
    return models


def _fields(job: TrainingJob, coder: Coder) -> list[np.ndarray]:
    """Codes of the patches of larger crops of the training photographs; none where a signal has one part."""
    if not data.DATA_SETS[job.dataset].crops:
        return []
    larger = data.load(job.dataset, "train", resolution=PATCHES * coder.side)
    count = max(1, job.evaluation.fit_signals // PATCHES**2)
    chosen = [larger[i] for i in np.random.default_rng(job.seed).permutation(len(larger))[:count]]
    return lattices_of(coder, chosen)


def evaluate(job: TrainingJob, state: TrainState) -> Result:
    """One row per signal and number of bits, and one for float32 codes, which 32 bits stand for."""
    how = job.evaluation
    coder = Coder.of(job.setup.learner, state, job.setup.resolution, how.steps, job.setup.modality)
    coder = dataclasses.replace(coder, refined=how.refined)
    train = job.signals("train")
    chosen = np.random.default_rng(job.seed).permutation(len(train))[: how.fit_signals]
    trained_codes = coder.adapt(np.stack([train[i] for i in chosen]))
    tested = rates.test_signals(job, job.setup.training.test_signals)
    # A stream of maps holds as many as one likes; here each has its own.
    parts = [coder.split(signal) for signal in tested]
    ends = np.cumsum([len(part) for part in parts])
    everything = np.concatenate(parts)
    coder.adapt(everything[:33])  # Compiled before anything is timed: more patches than 16 are all one shape.
    began = time.perf_counter()
    codes = np.split(coder.adapt(everything), ends[:-1])
    adapt_s = (time.perf_counter() - began) / ends[-1]
    trained_on = f"{train.name} ({train.source})"
    models = _models(job, coder, trained_codes, trained_on)
    # The file of a model says nothing of a learner from outside the repository.
    for (coding, bits), shared in models.items() if type(job.setup.learner) is MetaLearner else ():
        shared.save(job.folder / f"model_{coding}_{bits}b.safetensors")
    decoders = {decoder.overlap: decoder for decoder in (coder, *(shared.coder for shared in models.values()))}
    for decoder in decoders.values():  # Compiled before anything is timed.
        decoder.values(codes[0], *job.setup.modality.extent(tested[0]))

    # Of a patch: 4 bytes per number, and one bit per entry where the mask is its own.
    exact_bytes = 4 * job.budget + (-(-coder.size // 8) if coder.mask is None else 0)
    coded, files = [], {}
    for index, signal in enumerate(tested):
        size = job.setup.modality.extent(signal)
        for coding, bits in [("plain", 32), *models]:
            shared, began = models.get((coding, bits)), time.perf_counter()
            decoder = coder if shared is None else shared.coder
            if bits != 32:
                stream, estimate = codec.pack_with_estimate(shared, codes[index], *size)
            packed = time.perf_counter()
            # What a decoder makes of the bytes.
            seen = codes[index] if bits == 32 else codec.unpack(shared, parse(stream))
            values, _ = decoder.values(seen, *size)
            values = job.setup.modality.join(values, *size, coder.side).reshape(-1, coder.channels)
            done = time.perf_counter()
            length = len(parts[index]) * exact_bytes if bits == 32 else len(stream)
            coded.append(
                rates.row(job, index, signal, values, length)
                | {
                    "budget": job.budget,
                    "budget_unit": job.unit,
                    "shared_parameters": metrics.shared_parameters(coder.theta["field"]),
                    "decode_flops": len(parts[index]) * decoder.flops,
                    "inner_steps": how.steps + how.refined,
                    "inner_optimizer": "meta_sgd" if job.setup.learner.meta_sgd else "sgd",
                    "bits": bits,
                    "coding": coding,
                    "equal": job.equal,
                    "trained_on": trained_on,
                    "encode_s": f"{adapt_s * len(parts[index]) + packed - began:.3g}",
                    "decode_s": f"{done - packed:.3g}",
                }
            )
            if bits != 32:
                points = size[0] * size[1]
                coded[-1]["bpp_payload"] = f"{8 * len(parse(stream).payload) / points:.6g}"
                coded[-1]["bpp_entropy"] = f"{estimate / points:.6g}"
            if bits == records.SHOWN_BITS.get(coding):
                image = targets_to_8_bit(values).reshape(signal.shape)
                name = records.kept_as(f"{job.method}_{job.budget}_{bits}b", job.recipe)
                files |= rates.shown_part(job, index, image, name)
    return Result({"": coded}, files)
