"""Strict JAX for every test; data sets are prepared in a folder that goes away."""

import os
import pathlib

from benchmarks import launch

# Before anything imports TFDS or asks JAX for a device.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Most of a test's time is XLA's compilation, of a training step six times as fast without these optimisations; what is
# computed is the same. Processes that tests start inherit it. `XLA_FLAGS= ./run_all.sh --tests` tests with them.
os.environ.setdefault("XLA_FLAGS", launch.COMPILE_FAST["XLA_FLAGS"])

import jax
import pytest

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session", autouse=True)
def _shared_folders(tmp_path_factory):
    """Prepared data sets and compiled programs, of all workers; never from, or in, the user's own folders."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    os.environ["TFDS_DATA_DIR"] = str(folder / "tfds")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / "compiled")


@pytest.fixture(scope="session")
def data_dir() -> str:
    """The folder of prepared local copies; the test is skipped where there is none."""
    folder = os.environ.get("MSCN_DATA_DIR", "")
    if not (pathlib.Path(folder) / "cifar10" / "cifar10_subset.npz").is_file():
        pytest.skip("MSCN_DATA_DIR does not name a folder with cifar10/cifar10_subset.npz")
    return folder
