"""Training a codec's model on patches in memory, for `python -m mscn_flax train`; benchmarks train by their runner."""

import contextlib
import functools
import pathlib

import gin
import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import UInt8

from mscn_flax import data, files, meta, model, signals
from mscn_flax.budget import BudgetController
from mscn_flax.learner import MetaLearner
from mscn_flax.model import Model
from mscn_flax.network import Network
from mscn_flax.outer import OuterOptimizer
from mscn_flax.progress import Progress
from mscn_flax.quantize import check_bits
from mscn_flax.siren import Siren

SIDE = 32
"""Pixels a side of the patches, as in the paper's and COIN++'s experiment on Kodak."""

_CROPS = 256
"""Patches cut from a picture, at random places."""


def patches_of(folder: pathlib.Path | None, seed: int) -> tuple[UInt8[np.ndarray, "S s s 3"], str]:
    """Training patches and their name: cut from the pictures of a folder, or the embedded photographs where None.

    Raises:
      ValueError: where the folder has no picture, or one too small.
    """
    if folder is None:
        images = data.load("photos", "train", resolution=SIDE)
        return np.stack(list(images)), "photos (stand-in)"
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in files.READABLE)
    if not paths:
        raise ValueError(f"{folder} has no picture that ends in {', '.join(files.READABLE)}")
    crops = []
    for index, path in enumerate(paths):
        picture, rng = files.read_picture(path), np.random.default_rng([seed, index])
        room = np.array(picture.shape[:2]) - SIDE
        if room.min() < 0:
            raise ValueError(f"{path} is smaller than a patch of {SIDE}x{SIDE} pixels")
        for top, left in rng.integers(room + 1, size=(_CROPS, 2)):
            crops.append(picture[top : top + SIDE, left : left + SIDE])
    return np.stack(crops), f"{len(paths)} pictures of {folder.name}"


def scope() -> contextlib.AbstractContextManager:
    """Of the bindings in gin/codec.gin."""
    return gin.config_scope("codec")


@gin.configurable("codec")
def train(
    patches: UInt8[np.ndarray, "S s s C"],
    *,
    modulations: int,
    bits: int,
    seed: int,
    trained_on: str,
    outer_steps: int = gin.REQUIRED,
    batch_size: int = gin.REQUIRED,
    stride: int = gin.REQUIRED,
    chunk_size: int = gin.REQUIRED,
    fit_signals: int = gin.REQUIRED,
) -> Model:
    """Meta-learns MSCN on patches and fits quantiser and tables to them.

    Args:
      patches: square, of training images.
      modulations: n, kept a patch.
      bits: of a quantised modulation.
      seed: of initialisation, batches and gates.
      trained_on: name of the patches.
      outer_steps: of the outer loop.
      batch_size: patches a step.
      stride: one random point is drawn of every `stride` x `stride` cell of the patches, afresh every step.
      chunk_size: patches that a device works on at a time.
      fit_signals: patches whose codes quantiser and tables are fitted to.

    Raises:
      FloatingPointError: where the loss is not finite.
      ValueError: for bits or modulations that there cannot be, before anything is trained.
    """
    check_bits(bits)
    learner = MetaLearner(field=Siren(out_dim=patches.shape[3]), controller=BudgetController(budget=modulations))
    optimizer = OuterOptimizer().build(outer_steps)
    coords = signals.grid_coordinates(patches.shape[1:3])
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
    state = jax.jit(functools.partial(meta.init_state, learner, optimizer, seed))(coords)
    with Progress("training", outer_steps) as progress:
        for step in range(outer_steps):
            rng = np.random.default_rng([seed, step])
            chosen = rng.integers(len(patches), size=batch_size)
            points = signals.stratified_points(patches.shape[1:3], stride, rng)
            targets = signals.image_to_targets(patches[chosen])[:, points]
            state, logged = step_fn(state, coords[points], targets, np.int32(seed))
            if (step + 1) % 20 == 0 or step + 1 == outer_steps:
                values = {name: float(logged[name]) for name in ("mse", "psnr", "open_gates")}
                if not np.isfinite(values["mse"]):
                    raise FloatingPointError(f"loss {values['mse']} at outer step {step}; lower the outer rate")
                progress.show(step + 1, values)
    network = Network(
        learner, jax.device_get(state.theta), np.asarray(state.gates.mask), patches.shape[1], learner.inner_steps
    )
    chosen = np.random.default_rng([seed, outer_steps]).permutation(len(patches))[:fit_signals]
    trained_on = f"{trained_on}, {outer_steps} outer steps"
    return model.fit(
        network, network.adapt(patches[chosen]), bits, gin=gin.operative_config_str(), trained_on=trained_on
    )
