"""Which devices JAX uses, on which machines, and where it keeps compiled programs: to be set before JAX is used."""

import hashlib
import importlib.util
import os
import pathlib
import pkgutil
import platform
import re

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding

from mscn_flax import cores


def choose(accelerators: bool = True) -> None:
    """Chooses accelerators if there are any and they are wanted, otherwise one CPU device per core.

    One device per core, because XLA runs the small operations of these networks faster side by side than each of them
    split over the cores. XLA_FLAGS=--xla_force_host_platform_device_count asks for another number of CPU devices. To be
    called before JAX is asked for a device.
    """
    _keep_compiled()
    # float32 products everywhere: the default of an accelerator rounds to 10 bits or less, and w0 magnifies that.
    jax.config.update("jax_default_matmul_precision", "highest")
    if not (accelerators and has_accelerator()):
        jax.config.update("jax_platforms", "cpu")
        count = len(cores.available())
        if asked := re.search(r"xla_force_host_platform_device_count=(\d+)", os.environ.get("XLA_FLAGS", "")):
            count = int(asked[1])
        else:
            jax.config.update("jax_num_cpu_devices", count)
        # Size of XLA's thread pool, by default one thread per core. A device that waits for another one holds a thread,
        # and if none is left for the products of the other, both wait for ever (seen with one device per core).
        os.environ.setdefault("NPROC", str(2 * count))


_GOODBYE = 30
"""Seconds in which processes that end together (see `together`) have said so: where the first is gone before another
has its answer, that one waits for all of them (seen once in fourteen runs, with JAX's 300)."""


def join(coordinator: str, processes: int | None = None, process: int | None = None) -> None:
    """Makes this process one of several that train as one, each with devices of its own; waits for the others.

    Args:
      coordinator: host:port of the first process, or "auto" to learn all from SLURM, Open MPI or a TPU pod.
      processes: number of processes; None with "auto".
      process: index of this process, from 0; None with "auto".

    Raises:
      ValueError: if these arguments do not fit together.
    """
    if coordinator == "auto":
        jax.distributed.initialize(shutdown_timeout_seconds=_GOODBYE)
        return
    if processes is None or process is None or not 0 <= process < processes or ":" not in coordinator:
        raise ValueError(
            "several processes need --coordinator=HOST:PORT, --processes=N and --process=0 to N-1 each, "
            "or --coordinator=auto under SLURM, Open MPI or on a TPU pod"
        )
    jax.distributed.initialize(coordinator, processes, process, shutdown_timeout_seconds=_GOODBYE)


def is_first() -> bool:
    """Whether this process is the first of several, or the only one: the one that writes files."""
    return jax.process_index() == 0


def agreed(value: int) -> int:
    """The value that the first process has, in all processes."""
    return value if jax.process_count() == 1 else int(multihost_utils.broadcast_one_to_all(np.int32(value)))


def together() -> None:
    """Waits for the other processes, if there are any: as long as these work."""
    agreed(0)


def placed(array: np.ndarray, sharding: NamedSharding) -> jax.Array:
    """Lays an array that each process has as a whole out over the devices of all processes."""
    return jax.make_array_from_callback(array.shape, sharding, lambda part: array[part])


def _keep_compiled() -> None:
    """Keeps compiled programs in the user's cache for later processes, unless JAX_COMPILATION_CACHE_DIR is set.

    There is one folder per kind of machine: a home may be shared, and a program compiled on another machine may not run
    on this one. JAX by itself keeps what took a second; a short command has a dozen programs of less. The environment's
    JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS wins.
    """
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    cpuinfo = pathlib.Path("/proc/cpuinfo")  # Only on Linux.
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    features = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    machine = hashlib.sha256(repr((platform.machine(), platform.system(), features)).encode()).hexdigest()[:8]
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mscn_flax"
    folder = cache / f"compiled-{machine}"
    # Where nothing can be kept, JAX would complain of every program.
    if os.access(next(path for path in (folder, *folder.parents) if path.exists()), os.W_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))


def has_accelerator() -> bool:
    """Whether a GPU or TPU plugin for JAX is installed; asking JAX itself would fix the number of CPU devices."""
    if jax.config.jax_platforms == "cpu":
        return False
    # Where JAX looks for its plugins, too: asking every installed package for its name takes a tenth of a second.
    plugins = importlib.util.find_spec("jax_plugins")
    names = [found.name for found in pkgutil.iter_modules(plugins.submodule_search_locations)] if plugins else []
    return bool(importlib.util.find_spec("libtpu")) or any(re.match(r"xla_(cuda|rocm)\d+$", name) for name in names)
