"""Figure 7: rate and distortion of real bytes, on CIFAR-10 and on Kodak by patches.

A meta-learned cell is trained once and coded at several bits a modulation; `coin` fits every image anew; the real
codecs of `codecs.py` code the same images. Nothing is fitted to a test image but its own code.
"""

import concurrent.futures
import dataclasses
import functools
import hashlib
import os
import time
from collections.abc import Callable

import gin
import jax
import numpy as np
import PIL.Image

from benchmarks import cli, codecs, evaluation, grid, records, runner
from benchmarks.cell import Cell, Training
from mscn_flax import codec, data, meta, model, patches, signals
from mscn_flax.budget import BudgetController
from mscn_flax.delta import DeltaSiren
from mscn_flax.files import replaced
from mscn_flax.finetune import AdamFit
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import Points
from mscn_flax.network import Network
from mscn_flax.outer import OuterOptimizer
from mscn_flax.progress import Progress
from mscn_flax.siren import LatentModulatedSiren, Siren

NAME = "fig7_rate_distortion"

SHOWN = {14: (96, 160), 22: (160, 448)}
"""Kodak images of the strip, and the top left corner of the part shown."""

SHOWN_BITS, SHOWN_BPP = 5, 0.6
"""Bits a modulation of the networks in the strip, and the rate up to which codecs may stand beside them."""

SHOWN_SIDE = 192
"""Pixels a side of that part."""


@gin.configurable
@dataclasses.dataclass(frozen=True)
class Coding:
    """How a trained cell codes.

    Attributes:
      bits: of a modulation; each gives a row an image.
      steps: inner steps when encoding.
      fit_signals: training signals whose codes quantiser and tables are fitted to.
    """

    bits: tuple[int, ...] = (3, 4, 5, 6, 7, 8)
    steps: int = 10
    fit_signals: int = 5000


@gin.configurable
@dataclasses.dataclass(frozen=True)
class Coin:
    """COIN: a network an image, fitted by Adam, its weights stored in 16 bits.

    Attributes:
      layers: sine layers.
      width: units of each.
      images: test images fitted; None for all.
      adam: how.
    """

    layers: int
    width: int
    images: int | None = None
    adam: AdamFit = dataclasses.field(default_factory=AdamFit)


def _mscn(budget: int) -> MetaLearner:
    return MetaLearner(field=Siren(), controller=BudgetController(budget=budget))


def _coin_pp(budget: int) -> MetaLearner:
    return MetaLearner(field=LatentModulatedSiren(siren=Siren(), latent_dim=budget, uniform_map=True))


METHODS: dict[str, Callable[[int], MetaLearner]] = {
    "mscn": _mscn,
    "coin_pp": _coin_pp,
    "coin_pp_reference": _coin_pp,  # With the inner rate of its own code, where a preset has tuned that of `coin_pp`.
}
"""`method` column -> the learner with `budget` numbers a patch; gin scope fig7/<method> configures it."""


@gin.configurable("fig7")
def fig7(
    preset: str = "custom",
    datasets: list[str] = gin.REQUIRED,
    standin: str | None = None,
    methods: list[str] = gin.REQUIRED,
    budgets: dict[str, list[int]] = gin.REQUIRED,
    coin_sizes: dict[str, list[tuple[int, int]]] = gin.REQUIRED,
    real_codecs: list[str] = gin.REQUIRED,
    seeds: list[int] = gin.REQUIRED,
) -> None:
    """Runs the grid, then the real codecs.

    Args:
      preset: name of the gin overlay, and of the folder of the results.
      datasets: keys of `data.DATA_SETS`.
      standin: data set that takes the place of one that is not here; None to stop instead.
      methods: keys of `METHODS`, or "coin".
      budgets: data set -> modulations or latents a patch.
      coin_sizes: data set -> (sine layers, width) of COIN's networks.
      real_codecs: keys of `codecs.CODECS`; one whose program is not here is left out, which is said.
      seeds: of the runs.
    """
    grid.check("fig7", methods=methods, valid=[*METHODS, "coin"], datasets=datasets, standin=standin)
    if real_codecs:
        grid.check_choices("fig7.real_codecs", real_codecs, codecs.CODECS)
    found = grid.available(datasets, standin)
    grid.check_choices("fig7.datasets", found, budgets)
    cells = [
        cell
        for dataset in found
        for seed in cli.seeds(seeds)
        for cell in _cells(preset, dataset, seed, methods, budgets, coin_sizes)
    ]
    grid.run(cells, _evaluate)
    if not cli.dry_run():
        for cell in {cell.dataset: cell for cell in cells}.values():
            _run_codecs(cell, real_codecs)


def _cells(preset, dataset, seed, methods, budgets, coin_sizes) -> list[Cell]:
    """Those of one data set and seed."""
    common = {
        "experiment": NAME,
        "grid": "fig7/fig7",
        "preset": preset,
        "dataset": dataset,
        "resolution": data.DATA_SETS[dataset].resolution,
        "seed": seed,
        "training": Training(),
    }
    cells = []
    for budget in budgets[dataset]:
        for method in [method for method in methods if method in METHODS]:
            with gin.config_scope(method):
                cells.append(
                    Cell(
                        method=method,
                        budget=budget,
                        axis=("budgets", {dataset: [budget]}),
                        learner=METHODS[method](budget),
                        optimizer=OuterOptimizer(),
                        evaluation=Coding(),
                        **common,
                    )
                )
    for layers, width in coin_sizes.get(dataset, []) if "coin" in methods else []:
        with gin.config_scope("coin"):
            field = DeltaSiren(Siren(depth=layers + 1, width=width))
            cells.append(
                Cell(
                    method="coin",
                    budget=sum(part.size for part in field.parts),
                    axis=("coin_sizes", {dataset: [(layers, width)]}),
                    learner=MetaLearner(field=field),
                    optimizer=OuterOptimizer(),
                    evaluation=Coin(layers=layers, width=width),
                    stop=0,
                    **common,
                )
            )
    return cells


def _evaluate(cell: Cell, state: meta.TrainState) -> list[runner.Table]:
    rows = _coin_rows(cell, state) if cell.method == "coin" else _coded_rows(cell, state)
    return [runner.Table("", rows, records.RATE_COLUMNS)]


def _test_images(cell: Cell, limit: int | None) -> list[np.ndarray]:
    images = cell.signals["test"]
    return [images[i] for i in range(min(len(images), limit or len(images)))]


def _coded_rows(cell: Cell, state: meta.TrainState) -> list[dict]:
    """One row an image for each number of bits, and one for float32 codes, which 32 bits stand for."""
    how, theta = cell.evaluation, jax.device_get(state.theta)
    mask = np.ones(cell.learner.field.code_shape, bool) if state.gates is None else np.asarray(state.gates.mask)
    if cell.learner.adapt_gates:
        mask = None  # Each signal has its own, which its stream holds.
    network = Network(cell.learner, theta, mask, cell.resolution, how.steps)
    train = cell.signals["train"]
    chosen = np.random.default_rng(cell.seed).permutation(len(train))[: how.fit_signals]
    trained_codes = network.adapt(np.stack([train[i] for i in chosen]))
    images = _test_images(cell, cell.training.test_signals)
    tiles = [patches.split(image, network.side) for image in images]
    ends = np.cumsum([len(tile) for tile in tiles])
    everything = np.concatenate(tiles)
    network.adapt(everything[:33])  # Compiled before anything is timed: more patches than 16 are all one shape.
    began = time.perf_counter()
    codes = np.split(network.adapt(everything), ends[:-1])
    adapt_s = (time.perf_counter() - began) / ends[-1]
    trained_on = f"{train.name} ({train.source})"
    models = {
        bits: model.fit(network, trained_codes, bits, gin=cell.gin_text, trained_on=trained_on) for bits in how.bits
    }
    for bits, shared in models.items():
        shared.save(cell.folder / f"{cell.run_id}-{bits}b.safetensors")
    network.render(codes[0])  # Compiled before anything is timed.

    # Of a patch: 4 bytes a number, and a bit an entry where the mask is its own.
    exact_bytes = 4 * cell.budget + (-(-network.size // 8) if mask is None else 0)
    rows = []
    for index, image in enumerate(images):
        for bits in (32, *how.bits):
            began = time.perf_counter()
            stream = None if bits == 32 else codec.pack(models[bits], codes[index], *image.shape[:2])
            packed = time.perf_counter()
            # What a decoder makes of the bytes.
            seen = codes[index] if bits == 32 else codec.unpack(models[bits], codec.parse(stream))
            values = network.assemble(network.render(seen), *image.shape[:2])
            done = time.perf_counter()
            length = len(tiles[index]) * exact_bytes if bits == 32 else len(stream)
            rows.append(
                _row(cell, index, image, values, length)
                | {
                    "budget": cell.budget,
                    "budget_unit": "modulations" if cell.method == "mscn" else "latents",
                    "inner_steps": how.steps,
                    "inner_optimizer": "meta_sgd" if cell.learner.meta_sgd else "sgd",
                    "bits": bits,
                    "trained_on": trained_on,
                    "encode_s": f"{adapt_s * len(tiles[index]) + packed - began:.3g}",
                    "decode_s": f"{done - packed:.3g}",
                }
            )
            if bits != 32:
                pixels = image.shape[0] * image.shape[1]
                rows[-1]["bpp_payload"] = f"{8 * len(codec.parse(stream).payload) / pixels:.6g}"
                rows[-1]["bpp_entropy"] = f"{codec.estimated_bits(models[bits], codes[index]) / pixels:.6g}"
            if bits == SHOWN_BITS:
                label = f"{cell.method}_{cell.budget}_{bits}b"
                _save_part(cell, index, signals.targets_to_image(values, *image.shape[:2]), label)
    return rows


def _coin_rows(cell: Cell, state: meta.TrainState) -> list[dict]:
    """One row an image, its weights rounded to 16 bits; COIN has neither header nor entropy coding."""
    how, field = cell.evaluation, cell.learner.field
    theta0 = np.asarray(field.flat(state.theta["field"]))
    render = jax.jit(cell.learner.render)
    images, rows = _test_images(cell, how.images), []
    for shape in sorted({image.shape[:2] for image in images}):
        coords = signals.grid_coordinates(shape)
        indices = [index for index, image in enumerate(images) if image.shape[:2] == shape]
        targets = signals.image_to_targets(np.stack([images[index] for index in indices]))
        fitted = evaluation.fit(cell, state, Points(coords, targets), how.adam.encode, None)
        for index, delta in zip(indices, fitted.codes, strict=True):
            weights = (theta0 + delta).astype(np.float16).astype(np.float32)
            values = np.asarray(render(state.theta, weights - theta0, coords))
            rows.append(
                _row(cell, index, images[index], values, 2 * cell.budget)
                | {
                    "budget": cell.budget,
                    "budget_unit": "weights",
                    "inner_steps": how.adam.steps,
                    "inner_optimizer": "adam",
                    "bits": 16,
                    "bpp_payload": f"{16 * cell.budget / (shape[0] * shape[1]):.6g}",
                    "encode_s": f"{fitted.encode_s:.3g}",
                    "decode_s": f"{fitted.decode_s:.3g}",
                }
            )
    return rows


def _row(cell: Cell, index: int, image: np.ndarray, values: np.ndarray, length: int) -> dict:
    """What every row has: distortion of values [N, C] and rate of so many bytes."""
    targets, pixels = signals.image_to_targets(image), image.shape[0] * image.shape[1]
    return (
        dict.fromkeys(records.RATE_COLUMNS, "")
        | evaluation.common(cell)
        | evaluation.distortion(values, targets)
        | {
            "outer_steps": cell.stop_step,
            "signal_id": index,
            "pixels": pixels,
            "bytes": length,
            "bpp": f"{8 * length / pixels:.6g}",
        }
    )


def _save_part(cell: Cell, index: int, image: np.ndarray, label: str) -> None:
    """Keeps the part of a decoded image that the figure's strip shows; of Kodak and the first seed alone."""
    if cell.dataset != "kodak" or cell.seed or index not in SHOWN:
        return
    top, left = SHOWN[index]
    path = cell.csv.parent / f"{NAME}_images" / f"{index}_{label}.png"
    with replaced(path, "wb") as out:
        PIL.Image.fromarray(image[top : top + SHOWN_SIDE, left : left + SHOWN_SIDE]).save(out, format="PNG")


def _run_codecs(cell: Cell, names: list[str]) -> None:
    """The real codecs on the test images of `cell`; done once, whatever the cells."""
    images = _test_images(cell, cell.training.test_signals)
    for index, image in enumerate(images):
        _save_part(cell, index, image, "original")
    for name in names:
        real = codecs.CODECS[name]
        if missing := real.missing():
            print(f"left out: {missing}")
            continue
        text = f"{name}: {real.settings}, the first {len(images)} test images, {codecs.versions()}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        run_id = f"{cell.dataset}-{cell.signals['test'].source}-{name}-s0-{digest}"
        if records.has(cell.csv, run_id):
            print(f"{run_id}: done before")
            continue
        began, commit, rows = time.perf_counter(), records.commit(), []
        # Pillow and imagecodecs let other threads run while they code.
        with Progress(run_id, len(images)) as progress, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            coded = pool.map(functools.partial(_codec_rows, cell, real, run_id), range(len(images)), images)
            for done, of_image in enumerate(coded, start=1):
                rows += of_image
                progress.show(done, {})
        records.append(cell.csv, rows, records.RATE_COLUMNS)
        record = records.provenance(
            run_id,
            seed=0,
            device=runner.device_name(),
            gin_text=text,
            wall_s=time.perf_counter() - began,
            compile_s=0.0,
            commit=commit,
        )
        records.append_provenance(cell.csv.with_suffix(".provenance.jsonl"), record)
        print(f"{run_id}: {len(rows)} rows, {record['wall_s']:.0f} s", flush=True)


def _codec_rows(cell: Cell, real: codecs.Codec, run_id: str, index: int, image: np.ndarray) -> list[dict]:
    """One row for each setting of a codec."""
    rows = []
    for setting in real.settings:
        began = time.perf_counter()
        file = real.encode(image, setting)
        encoded = time.perf_counter()
        decoded = real.decode(file)
        done = time.perf_counter()
        values, payload = signals.image_to_targets(decoded), real.payload(file)
        rows.append(
            _row(cell, index, image, values, len(file))
            | {
                "method": real.name,
                "run_id": run_id,
                "outer_steps": "",
                "seed": 0,
                "budget": setting,
                "budget_unit": real.unit,
                "bpp_payload": "" if payload is None else f"{8 * payload / (image.shape[0] * image.shape[1]):.6g}",
                "encode_s": f"{encoded - began:.3g}",
                "decode_s": f"{done - encoded:.3g}",
            }
        )
        if real.name in ("jpeg", "jpeg2000") and float(rows[-1]["bpp"]) <= SHOWN_BPP:
            _save_part(cell, index, decoded, f"{real.name}_{setting:g}")
    return rows


def main() -> None:
    """The grid as gin has it, its bindings scoped by `fig7`."""
    with gin.config_scope("fig7"):
        fig7()


if __name__ == "__main__":
    cli.run(main)
