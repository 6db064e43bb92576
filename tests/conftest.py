"""Strict JAX for every test; data sets are prepared in a folder that goes away."""

import hashlib
import os
import pathlib
import subprocess
import sys

import filelock

from benchmarks import launch, records

# Before anything imports TFDS or asks JAX for a device.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Most of a test's time is XLA's compilation, of a training step six times as fast without these optimisations; what is
# computed is the same. Processes that tests start inherit it. `XLA_FLAGS= ./run_all.sh --tests` tests with them.
os.environ.setdefault("XLA_FLAGS", launch.COMPILE_FAST["XLA_FLAGS"])
# Tests start a hundred processes: what one of them has compiled, of Python or of XLA, however small, serves the others.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import absl.flags
import gin
import jax
import pytest
from absl.testing import flagsaver

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


LONGEST = ["engine", "runner", "golden", "outside", "readme", "library", "modalities", "tuning", "codec", "main"]
"""Test files that take longest. They start first, so that no worker is left with one of them at the end."""


def pytest_collection_modifyitems(items):
    """Puts the tests of the longest files first."""
    rank = {f"test_{name}": index for index, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(scope="session", autouse=True)
def shared_folder(tmp_path_factory) -> pathlib.Path:
    """Has prepared data sets and compiled programs of all workers; never from, or in, the user's own folders."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    os.environ["TFDS_DATA_DIR"] = str(folder / "tfds")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / "compiled")
    return folder


@pytest.fixture(scope="session")
def ran(shared_folder):
    """Function of (benchmark, *gin parameters) -> folder of its results and runs at preset smoke, on stand-ins.

    The benchmark runs once for all tests that ask for the same. They leave the folder as it is.
    """

    def run(name: str, *parameters: str) -> pathlib.Path:
        folder = shared_folder / f"{name}-{hashlib.sha256(repr(parameters).encode()).hexdigest()[:8]}"
        command = [sys.executable, "-m", f"benchmarks.{name}", "--preset=smoke", "--seeds=1"]
        command += [f"--gin_param={parameter}" for parameter in parameters]
        command += [f"--{kind}_dir={folder / kind}" for kind in ("results", "runs", "data")]
        environment = os.environ | {"XLA_FLAGS": launch.COMPILE_FAST["XLA_FLAGS"]}
        with filelock.FileLock(f"{folder}.lock"):
            if not (folder / "done").exists():
                done = subprocess.run(
                    command, cwd=records.REPOSITORY, env=environment, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, done.stderr
                (folder / "done").touch()
        return folder

    return run


@pytest.fixture(scope="session")
def data_dir() -> str:
    """The folder of prepared local copies; the test is skipped where there is none."""
    folder = os.environ.get("MSCN_DATA_DIR", "")
    if not (pathlib.Path(folder) / "cifar10" / "cifar10_subset.npz").is_file():
        pytest.skip("MSCN_DATA_DIR does not name a folder with cifar10/cifar10_subset.npz")
    return folder


@pytest.fixture(scope="session")
def field_files(data_dir) -> pathlib.Path:
    """Files as people have them, beside the local copies; the test is skipped where there are none."""
    folder = pathlib.Path(data_dir).parent / "field_files"
    if not folder.is_dir():
        pytest.skip("there is no folder field_files beside MSCN_DATA_DIR")
    return folder


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Function of (benchmark, *gin parameters) -> its jobs as the command line makes them; nothing is trained.

    Data sets are not here, unless the function's `data_dir` says where: stand-ins take their place, or a dry run.
    """
    # Defines flags, which would be lost at the end of the first test that reads a data set.
    import array_record.python.array_record_data_source  # noqa: F401

    from benchmarks import cli

    def made(name, *parameters, preset="smoke", files=(), flags=("--dry_run",), data_dir=tmp_path / "no_data"):
        asked = [f"--preset={preset}"] if preset else []
        asked += [f"--gin_file={file}" for file in files] + [f"--gin_param={parameter}" for parameter in parameters]
        monkeypatch.setenv("MSCN_DATA_DIR", str(data_dir))
        absl.flags.FLAGS.unparse_flags()
        absl.flags.FLAGS(["test", *asked, *flags])
        gin.clear_config()  # A benchmark that is imported only now adds names to it.
        return cli.jobs(name)

    with flagsaver.flagsaver():
        yield made
    gin.clear_config()
