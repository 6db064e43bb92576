"""Rates of meta-learned networks: a cell is trained once and coded at several bits a modulation."""

import dataclasses
import time
from collections.abc import Callable

import gin
import jax
import numpy as np

from benchmarks import rates
from benchmarks.cell import Cell, Training
from mscn_flax import codec, data, meta, model
from mscn_flax.budget import BudgetController
from mscn_flax.coder import Coder
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities.values import targets_to_8_bit
from mscn_flax.outer import OuterOptimizer
from mscn_flax.siren import LatentModulatedSiren, Siren
from mscn_flax.stream import parse


@gin.configurable
@dataclasses.dataclass(frozen=True)
class Coding:
    """How a trained cell codes.

    Attributes:
      bits: of a modulation; each gives a row a signal.
      steps: inner steps when encoding.
      fit_signals: training signals whose codes quantiser and tables are fitted to.
    """

    bits: tuple[int, ...] = (3, 4, 5, 6, 7, 8)
    steps: int = 10
    fit_signals: int = 5000


def _mscn(siren: Siren, budget: int) -> MetaLearner:
    return MetaLearner(field=siren, controller=BudgetController(budget=budget))


def _coin_pp(siren: Siren, budget: int) -> MetaLearner:
    return MetaLearner(field=LatentModulatedSiren(siren=siren, latent_dim=budget, uniform_map=True))


METHODS: dict[str, Callable[[Siren, int], MetaLearner]] = {
    "mscn": _mscn,
    "coin_pp": _coin_pp,
    "coin_pp_reference": _coin_pp,  # With the inner rate of its own code, where a preset has tuned that of `coin_pp`.
}
"""`method` column -> the learner with `budget` numbers a patch or map; a gin scope of its name configures it."""


def cells(
    experiment: str,
    grid: str,
    preset: str,
    dataset: str,
    resolution: int,
    seed: int,
    methods: list[str],
    budgets: list[int],
) -> list[Cell]:
    """The cells of one data set and seed.

    Args:
      experiment: the benchmark's name.
      grid: gin selector of the function that spans the grid.
      preset: name of the gin overlay.
      dataset: a key of `data.DATA_SETS`.
      resolution: pixels or latitudes a side.
      seed: of the runs.
      methods: keys of `METHODS`.
      budgets: modulations or latents a patch or map.
    """
    found = []
    for budget in budgets:
        for method in methods:
            with gin.config_scope(method):
                found.append(
                    Cell(
                        experiment=experiment,
                        grid=grid,
                        preset=preset,
                        dataset=dataset,
                        resolution=resolution,
                        method=method,
                        budget=budget,
                        seed=seed,
                        learner=METHODS[method](Siren(out_dim=data.DATA_SETS[dataset].channels), budget),
                        optimizer=OuterOptimizer(),
                        training=Training(),
                        evaluation=Coding(),
                    )
                )
    return found


def rows(cell: Cell, state: meta.TrainState) -> list[dict]:
    """One row a signal for each number of bits, and one for float32 codes, which 32 bits stand for."""
    how, theta = cell.evaluation, jax.device_get(state.theta)
    mask = np.ones(cell.learner.field.code_shape, bool) if state.gates is None else np.asarray(state.gates.mask)
    if cell.learner.adapt_gates:
        mask = None  # Each signal has its own, which its stream holds.
    coder = Coder(cell.learner, theta, mask, cell.resolution, how.steps, cell.modality)
    train = cell.signals["train"]
    chosen = np.random.default_rng(cell.seed).permutation(len(train))[: how.fit_signals]
    trained_codes = coder.adapt(np.stack([train[i] for i in chosen]))
    tested = rates.test_signals(cell, cell.training.test_signals)
    parts = [coder.split(signal) for signal in tested]
    ends = np.cumsum([len(part) for part in parts])
    everything = np.concatenate(parts)
    coder.adapt(everything[:33])  # Compiled before anything is timed: more patches than 16 are all one shape.
    began = time.perf_counter()
    codes = np.split(coder.adapt(everything), ends[:-1])
    adapt_s = (time.perf_counter() - began) / ends[-1]
    trained_on = f"{train.name} ({train.source})"
    models = {
        bits: model.fit(coder, trained_codes, bits, gin=cell.gin_text, trained_on=trained_on) for bits in how.bits
    }
    for bits, shared in models.items():
        shared.save(cell.folder / f"{cell.run_id}-{bits}b.safetensors")
    coder.render(codes[0])  # Compiled before anything is timed.

    # Of a patch: 4 bytes a number, and a bit an entry where the mask is its own.
    exact_bytes = 4 * cell.budget + (-(-coder.size // 8) if mask is None else 0)
    coded = []
    for index, signal in enumerate(tested):
        size = cell.modality.extent(signal)
        for bits in (32, *how.bits):
            began = time.perf_counter()
            stream = None if bits == 32 else codec.pack(models[bits], codes[index], *size)
            packed = time.perf_counter()
            # What a decoder makes of the bytes.
            seen = codes[index] if bits == 32 else codec.unpack(models[bits], parse(stream))
            values = cell.modality.join(coder.render(seen), *size, coder.side).reshape(-1, coder.channels)
            done = time.perf_counter()
            length = len(parts[index]) * exact_bytes if bits == 32 else len(stream)
            coded.append(
                rates.row(cell, index, signal, values, length)
                | {
                    "budget": cell.budget,
                    "budget_unit": "modulations" if cell.method == "mscn" else "latents",
                    "inner_steps": how.steps,
                    "inner_optimizer": "meta_sgd" if cell.learner.meta_sgd else "sgd",
                    "bits": bits,
                    "trained_on": trained_on,
                    "encode_s": f"{adapt_s * len(parts[index]) + packed - began:.3g}",
                    "decode_s": f"{done - packed:.3g}",
                }
            )
            if bits != 32:
                points = size[0] * size[1]
                coded[-1]["bpp_payload"] = f"{8 * len(parse(stream).payload) / points:.6g}"
                coded[-1]["bpp_entropy"] = f"{codec.estimated_bits(models[bits], codes[index]) / points:.6g}"
            if bits == rates.SHOWN_BITS:
                image = targets_to_8_bit(values).reshape(signal.shape)
                rates.keep_part(cell, index, image, f"{cell.method}_{cell.budget}_{bits}b")
    return coded
