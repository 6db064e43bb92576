"""What a researcher imports, and a model's own training: killed and resumed, without TensorFlow, refused in time."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import PIL.Image
import pytest

import mscn_flax
from benchmarks import records
from mscn_flax import model

SMALL = ["--modulations=8", "--gin_param=Siren.width=8", "--gin_param=codec.fit_signals=30"]
SMALL += ["--gin_param=Training.outer_steps=14", "--gin_param=Training.checkpoint_every=1"]

WITHOUT_TENSORFLOW = """
import runpy, sys
for name in ("tensorflow", "tensorflow_datasets"):
    sys.modules[name] = None  # As if it were not installed.
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("pictures")
    for index in range(2):
        pixels = np.random.default_rng(index).integers(0, 256, (40, 50, 3)).astype(np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def command(*arguments, blocked: bool = False) -> list[str]:
    start = ["-c", WITHOUT_TENSORFLOW, "mscn_flax"] if blocked else ["-m", "mscn_flax"]
    return [sys.executable, *start, *map(str, arguments)]


def run(*arguments, blocked: bool = False) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*arguments, blocked=blocked),
        cwd=records.REPOSITORY,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_every_name_of_the_library_is_there_and_others_are_named():
    assert 10 <= len(mscn_flax.__all__) <= 16
    for name in mscn_flax.__all__:
        assert getattr(mscn_flax, name) is not None
    assert set(mscn_flax.__all__) <= set(dir(mscn_flax))
    with pytest.raises(AttributeError, match="no attribute 'Sirren'; there are BudgetController"):
        _ = mscn_flax.Sirren


@pytest.mark.parametrize(
    ("imported", "not_needed"),
    [("mscn_flax", {"jax", "tensorflow"}), ("mscn_flax.codec", {"optax", "orbax", "tensorflow", "pandas"})],
)
def test_importing_takes_no_more_than_is_needed(imported, not_needed):
    seen = f"import {imported}, sys; print({not_needed} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", seen], cwd=records.REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(("imported", "seldom"), [("mscn_flax.codec", False), ("benchmarks.plot", True)])
def test_programs_look_for_garbage_seldom_and_the_library_leaves_that_to_them(imported, seldom):
    seen = f"import gc; before = gc.get_threshold()[0]; import {imported}; print(gc.get_threshold()[0] > 10 * before)"
    done = subprocess.run(
        [sys.executable, "-c", seen], cwd=records.REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(seldom)


def test_the_codec_on_one_s_own_files_needs_no_tensorflow(pictures, tmp_path):
    made = tmp_path / "m.safetensors"
    for arguments in (
        ["train", "--pictures", pictures, "-o", made, *SMALL],
        ["encode", pictures / "0.png", "-o", tmp_path / "0.mscn", "--model", made],
        ["decode", tmp_path / "0.mscn", "-o", tmp_path / "0.png", "--model", made],
    ):
        done = run(*arguments, blocked=True)
        assert done.returncode == 0, done.stderr
    with PIL.Image.open(tmp_path / "0.png") as decoded:
        assert decoded.size == (50, 40)


def test_a_killed_training_goes_on_to_the_same_model(pictures, tmp_path):
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    assert run("train", "--pictures", pictures, "-o", whole, *SMALL).returncode == 0
    arguments = ["train", "--pictures", pictures, "-o", killed, *SMALL]
    process = subprocess.Popen(
        command(*arguments), cwd=records.REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 240
    while not list(tmp_path.glob(".killed*/*/[1-9]*")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    (before,) = tmp_path.glob(".killed*/*")
    resumed = subprocess.Popen(
        command(*arguments), cwd=records.REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while resumed.poll() is None:  # Another folder would be another run, from the start.
        assert set(tmp_path.glob(".killed*/*")) <= {before}
        time.sleep(0.02)
    assert resumed.returncode == 0
    assert model.load_model(killed).id == model.load_model(whole).id
    assert not list(tmp_path.glob(".*"))


def test_an_output_that_cannot_be_written_is_refused_before_training(pictures, tmp_path):
    (tmp_path / "file").touch()
    done = run("train", "--pictures", pictures, "-o", tmp_path / "file" / "m.safetensors", *SMALL)
    assert done.returncode == 2
    assert f"{tmp_path / 'file' / 'm.safetensors'} cannot be written" in done.stderr.strip().splitlines()[-1]
    assert "step" not in done.stderr


@pytest.mark.parametrize(
    ("binding", "says"),
    [
        ("codec.outer_steps=60", "There is Training.outer_steps."),
        ("codec/scene/Training.stride=4", "did you mean"),
    ],
)
def test_a_binding_without_effect_is_named(pictures, tmp_path, binding, says):
    done = run("train", "--pictures", pictures, "-o", tmp_path / "m.safetensors", *SMALL, f"--gin_param={binding}")
    assert done.returncode == 2
    assert says in done.stderr.strip().splitlines()[-1]


LATENTS = """
import numpy as np
import mscn_flax as mscn

learner = mscn.MetaLearner(mscn.LatentModulatedSiren(mscn.Siren(depth=3, width=8, w0=20.0), latent_dim=4))
length = mscn.Training(outer_steps=2, batch_size=4)
setup = mscn.Setup(learner, mscn.OuterOptimizer(), length, mscn.MODALITIES["image"], 8)
patches = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3)).astype(np.uint8)
made = mscn.train_model(setup, patches, bits=4)
assert made.id == mscn.train_model(setup, list(patches), bits=4).id
print(mscn.decode(made, mscn.encode(made, patches[0])).shape)
"""


def test_a_learner_of_latents_makes_a_model_too():
    # In a process of its own: JAX's stages do not pass the tests' checks of shapes.
    done = subprocess.run(
        [sys.executable, "-c", LATENTS], cwd=records.REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(8, 8, 3)"
