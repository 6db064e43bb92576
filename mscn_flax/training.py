"""Training a codec's model on signals in memory, for `python -m mscn_flax train`; benchmarks train by their runner."""

import contextlib
import functools
import pathlib
from collections.abc import Iterator

import gin
import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float, UInt8

from mscn_flax import data, files, kinds, meta, model
from mscn_flax.budget import BudgetController
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import Sampling
from mscn_flax.model import Model
from mscn_flax.network import Network
from mscn_flax.outer import OuterOptimizer
from mscn_flax.progress import Progress
from mscn_flax.quantize import check_bits
from mscn_flax.rendering import RadianceField
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
    paths = files.pictures_in(folder)
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


_MOST = {"image": 30_000, "scene": 100}
"""Signals of a data set that are kept in memory; of other kinds 1,000. All views of 100 scenes are a gigabyte."""


def signals_of(
    name: str, resolution: int | None
) -> tuple[Float[np.ndarray, "S *shape C"] | dict[str, np.ndarray], str, str]:
    """Training signals of a data set, their name and their kind.

    Raises:
      ValueError: for a data set that there is not, or whose signals the codec does not take.
    """
    if name not in data.DATA_SETS:
        raise ValueError(f"no data set {name!r}; there are {', '.join(data.DATA_SETS)}")
    known = data.DATA_SETS[name]
    kind = kinds.of(known.modality)
    found = data.load(name, "train", resolution=resolution or (SIDE if kind == "image" else known.resolution))
    count = min(len(found), _MOST.get(kind, 1000))
    title = f"{found.name} ({found.source})" + (f", the first {count:,}" if count < len(found) else "")
    return jax.tree.map(lambda *each: np.stack(each), *[found[i] for i in range(count)]), title, kind


@contextlib.contextmanager
def scope(kind: str) -> Iterator[None]:
    """Of the bindings in gin/codec.gin for signals of a kind."""
    with gin.config_scope("codec"), contextlib.nullcontext() if kind == "image" else gin.config_scope(kind):
        yield


@gin.configurable("codec")
def train(
    arrays: UInt8[np.ndarray, "S s s C"] | Float[np.ndarray, "S *shape C"] | dict[str, np.ndarray],
    *,
    kind: str,
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
      arrays: training signals: patches, maps, solids or scenes.
      kind: of the signals, a key of `kinds.KINDS`.
      modulations: n, kept a signal.
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
    modality, scenes = kinds.KINDS[kind].modality, kind == "scene"
    first = arrays["views"] if scenes else arrays
    count, side = len(first), first.shape[2 if scenes else 1]
    if count < batch_size:
        raise ValueError(f"a batch has {batch_size} signals, there are {count}")
    field = RadianceField(siren=Siren(out_dim=4)) if scenes else Siren(out_dim=first.shape[-1])
    learner = MetaLearner(field=field, controller=BudgetController(budget=modulations))

    def of(chosen):
        return jax.tree.map(lambda array: array[chosen], arrays)

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
    network = Network(learner, jax.device_get(state.theta), np.asarray(state.gates.mask), side, encoding_steps, kind)
    chosen = np.random.default_rng([seed, outer_steps]).permutation(count)[:fit_signals]
    trained_on = f"{trained_on}, {outer_steps} outer steps"
    return model.fit(network, network.adapt(of(chosen)), bits, gin=gin.operative_config_str(), trained_on=trained_on)
