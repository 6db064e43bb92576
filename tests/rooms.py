"""Small signals of every modality, for the tests of what they have in common."""

import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image

from benchmarks.records import REPOSITORY
from mscn_flax.budget import BudgetController
from mscn_flax.coder import Coder
from mscn_flax.data.made_up import random_map, random_scene, random_solid
from mscn_flax.fitting import fit_model
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import MODALITIES
from mscn_flax.modalities.maps import to_unit
from mscn_flax.model import Model
from mscn_flax.siren import Siren

SIDE = {"image": 8, "map": 10, "volume": 8, "scene": 8}
"""Of what has a code of its own."""


def maps(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return to_unit(np.stack([random_map(rng, (10, 18), degree=3) for _ in range(count)]))[..., None]


def signal(name: str, seed: int = 0):
    """One signal as the codec takes it, of several parts where it can have them."""
    rng = np.random.default_rng(seed)
    return {
        "image": lambda: rng.integers(0, 256, (20, 13, 3)).astype(np.uint8),
        "map": lambda: maps(3, seed),
        "volume": lambda: random_solid(rng, 8),
        "scene": lambda: random_scene(rng, 8, 5),
    }[name]()


def signals(name: str, count: int = 4):
    """Several training signals, along an axis in front."""
    if name == "image":
        return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    if name == "map":
        return maps(count)
    made = [signal(name, seed) for seed in range(count)]
    return {key: np.stack([one[key] for one in made]) for key in made[0]} if name == "scene" else np.stack(made)


def model(name: str, numbers: int = 7, seed: int = 0) -> Model:
    """A model of a modality, 5 bits per number; not trained, which no stream knows."""
    modality, made = MODALITIES[name], signals(name, 30)
    siren = Siren(depth=3, width=8, w0=20.0, out_dim=modality.values(made).shape[-1] + modality.extra_channels)
    learner = MetaLearner(field=modality.field(siren), controller=BudgetController(budget=numbers))
    theta = learner.init(jax.random.key(seed), jnp.asarray(modality.all_coordinates(SIDE[name])))
    mask = np.arange(siren.code_shape[0] * siren.code_shape[1]).reshape(siren.code_shape) < numbers
    coder = Coder(learner, jax.device_get(theta), mask, SIDE[name], 3, modality)
    return fit_model(coder, coder.adapt(made), 5, trained_on="made up, seed 0")


def train(*arguments: str, folder: pathlib.Path = REPOSITORY) -> None:
    """`mscn train` in a process of its own: JAX's stages do not pass the tests' checks of shapes."""
    python("-m", "mscn_flax", "train", *arguments, folder=folder)


def python(*arguments: str, folder: pathlib.Path = REPOSITORY) -> None:
    """Python with these arguments, which has to succeed."""
    command = [sys.executable, *arguments]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr


def write_scene(folder: pathlib.Path, made: dict[str, np.ndarray]) -> None:
    """A scene in SRN's format, with Pillow."""
    for part in ("rgb", "pose"):
        (folder / part).mkdir(parents=True)
    for index, (view, pose) in enumerate(zip(made["views"], made["poses"], strict=True)):
        PIL.Image.fromarray(view).save(folder / "rgb" / f"{index:06}.png")
        (folder / "pose" / f"{index:06}.txt").write_text(" ".join(map(repr, pose.ravel().tolist())) + "\n")
    # As SRN has it, for pictures of 128 pixels whatever their own size.
    lens = " ".join(map(str, (128 / made["views"].shape[1] * made["intrinsics"]).tolist()))
    (folder / "intrinsics.txt").write_text(f"{lens} 0.0\n0. 0. 0.\n1.\n128 128\n")
