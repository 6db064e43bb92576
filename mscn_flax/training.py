"""Training a codec's model on signals in memory, for `python -m mscn_flax train`; benchmarks train by their runner."""

import functools
import pathlib

import gin
import jax
import numpy as np
from jax.sharding import Mesh

from mscn_flax import data, meta, model
from mscn_flax.budget import BudgetController
from mscn_flax.coder import Coder
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import IMAGES, Modality, Sampling, Signal
from mscn_flax.modalities.images import pictures_in
from mscn_flax.model import Model
from mscn_flax.outer import OuterOptimizer
from mscn_flax.progress import Progress
from mscn_flax.quantize import check_bits
from mscn_flax.siren import Siren

_CROPS = 256
"""Patches cut from a picture, at random places."""


def patches_of(folder: pathlib.Path | None, seed: int) -> tuple[Signal, str, Modality]:
    """As `signals_of`, patches cut from the pictures of a folder, or the embedded photographs where it is None.

    Raises:
      ValueError: where the folder has no picture, or one too small.
    """
    if folder is None:
        return signals_of("photos", None)
    paths, side = pictures_in(folder), IMAGES.patch_side
    if not paths:
        raise ValueError(f"{folder} has no picture that ends in {', '.join(IMAGES.readable)}")
    crops = []
    for index, path in enumerate(paths):
        picture, rng = IMAGES.read(path), np.random.default_rng([seed, index])
        room = np.array(picture.shape[:2]) - side
        if room.min() < 0:
            raise ValueError(f"{path} is smaller than a patch of {side}x{side} pixels")
        for top, left in rng.integers(room + 1, size=(_CROPS, 2)):
            crops.append(picture[top : top + side, left : left + side])
    return np.stack(crops), f"{len(paths)} pictures of {folder.name}", IMAGES


def signals_of(name: str, resolution: int | None) -> tuple[Signal, str, Modality]:
    """Training signals of a data set, their name and their modality.

    Raises:
      ValueError: for a data set that there is not.
    """
    if name not in data.DATA_SETS:
        raise ValueError(f"no data set {name!r}; there are {', '.join(data.DATA_SETS)}")
    known = data.DATA_SETS[name]
    found = data.load(name, "train", resolution=resolution or known.modality.patch_side or known.resolution)
    count = min(len(found), known.modality.in_memory)
    title = f"{found.name} ({found.source})" + (f", the first {count:,}" if count < len(found) else "")
    return jax.tree.map(lambda *each: np.stack(each), *[found[i] for i in range(count)]), title, known.modality


@gin.configurable("codec")
def train(
    signals: Signal,
    *,
    modality: Modality,
    modulations: int,
    bits: int,
    seed: int,
    trained_on: str,
    outer_steps: int = gin.REQUIRED,
    batch_size: int = gin.REQUIRED,
    stride: int = gin.REQUIRED,
    chunk_size: int = gin.REQUIRED,
    encoding_steps: int = gin.REQUIRED,
    fit_signals: int = gin.REQUIRED,
    views: int = gin.REQUIRED,
    rays: int = gin.REQUIRED,
) -> Model:
    """Meta-learns MSCN on signals and fits quantiser and tables to them.

    Args:
      signals: to train on: patches, maps, solids or scenes, along an axis in front.
      modality: of the signals.
      modulations: n, kept per signal.
      bits: of a quantised modulation.
      seed: of initialisation, batches and gates.
      trained_on: name of the signals.
      outer_steps: of the outer loop.
      batch_size: signals a step.
      stride: one random point is drawn of every cell of `stride` points a side, afresh every step.
      chunk_size: signals that a device works on at a time.
      encoding_steps: inner steps of the model when it codes a signal.
      fit_signals: signals whose codes quantiser and tables are fitted to.
      views: of a scene, drawn at random for every step.
      rays: of each of these views, likewise.

    Raises:
      FloatingPointError: where the loss is not finite.
      ValueError: for bits or modulations that there cannot be, or too few signals, before anything is trained.
    """
    check_bits(bits)
    array, (side, _) = modality.values(signals), modality.extent(signals)
    count = len(array)
    if count < batch_size:
        raise ValueError(f"a batch has {batch_size} signals, there are {count}")
    field = modality.field(Siren(out_dim=array.shape[-1] + modality.extra_channels))
    learner = MetaLearner(field=field, controller=BudgetController(budget=modulations))

    def of(chosen):
        return jax.tree.map(lambda each: each[chosen], signals)

    optimizer = OuterOptimizer().build(outer_steps)
    devices = jax.devices()
    mesh = Mesh(np.array(devices[: np.gcd(len(devices), batch_size)]), (meta.SIGNALS,))
    step_fn = jax.jit(
        functools.partial(
            meta.train_step,
            learner=learner,
            optimizer=optimizer,
            outer_steps=outer_steps,
            mesh=mesh,
            chunk_size=int(np.gcd(chunk_size, batch_size // mesh.size)),
        ),
        donate_argnums=0,
    )
    init = functools.partial(meta.init_state, learner, optimizer, seed)
    state = jax.jit(init)(modality.all_coordinates(side))
    with Progress("training", outer_steps) as progress:
        for step in range(outer_steps):
            rng = np.random.default_rng([seed, step])
            chosen = rng.integers(count, size=batch_size)
            points = modality.draw(of(chosen), side, Sampling(stride=stride, views=views, rays=rays), rng)
            state, logged = step_fn(state, *points, np.int32(seed))
            if (step + 1) % 20 == 0 or step + 1 == outer_steps:
                values = {name: float(logged[name]) for name in ("mse", "psnr", "open_gates")}
                if not np.isfinite(values["mse"]):
                    raise FloatingPointError(f"loss {values['mse']} at outer step {step}; lower the outer rate")
                progress.show(step + 1, values)
    coder = Coder(learner, jax.device_get(state.theta), np.asarray(state.gates.mask), side, encoding_steps, modality)
    chosen = np.random.default_rng([seed, outer_steps]).permutation(count)[:fit_signals]
    trained_on = f"{trained_on}, {outer_steps} outer steps"
    return model.fit(coder, coder.adapt(of(chosen)), bits, gin=gin.operative_config_str(), trained_on=trained_on)
