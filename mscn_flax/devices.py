"""Which devices JAX uses, of which machines, and where it keeps what it has compiled; said before it is first asked."""

import hashlib
import importlib.metadata
import os
import pathlib
import platform
import re

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding


def choose(accelerators: bool = True) -> None:
    """Accelerators where there are any and they are wanted, else one CPU device a core; before JAX is asked for one.

    One device a core, because XLA runs the small operations of these networks faster side by side than each split over
    the cores; or as many as XLA_FLAGS=--xla_force_host_platform_device_count says, where it does.
    """
    _keep_compiled()
    # float32 products everywhere: an accelerator's own default rounds them to 10 bits or less, and w0 magnifies that.
    jax.config.update("jax_default_matmul_precision", "highest")
    if not (accelerators and _has_accelerator()):
        jax.config.update("jax_platforms", "cpu")
        count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        if asked := re.search(r"xla_force_host_platform_device_count=(\d+)", os.environ.get("XLA_FLAGS", "")):
            count = int(asked[1])
        else:
            jax.config.update("jax_num_cpu_devices", count)
        # Size of XLA's thread pool, by default one thread a core. A device that waits for another holds a thread, and
        # with none left for the other's products both wait for ever (seen with one device a core).
        os.environ.setdefault("NPROC", str(2 * count))


def join(coordinator: str, processes: int | None = None, process: int | None = None) -> None:
    """Makes this process one of several, each with devices of its own, that train as one; waits for the others.

    Args:
      coordinator: host:port of the first process, or "auto": what SLURM, Open MPI or a TPU pod say of it.
      processes: how many there are; None with "auto".
      process: which of them this is, 0 the first; None with "auto".

    Raises:
      ValueError: where these do not go together.
    """
    if coordinator == "auto":
        jax.distributed.initialize()
        return
    if processes is None or process is None or not 0 <= process < processes or ":" not in coordinator:
        raise ValueError(
            "several processes need --coordinator=HOST:PORT, --processes=N and --process=0 to N-1 each, "
            "or --coordinator=auto under SLURM, Open MPI or on a TPU pod"
        )
    jax.distributed.initialize(coordinator, processes, process)


def is_first() -> bool:
    """Whether this process is the only one or the first of several: the one that writes."""
    return jax.process_index() == 0


def agreed(value: int) -> int:
    """The first process's value, in all of them."""
    return value if jax.process_count() == 1 else int(multihost_utils.broadcast_one_to_all(np.int32(value)))


def placed(array: np.ndarray, sharding: NamedSharding) -> jax.Array:
    """An array that every process has whole, laid out over the devices of all."""
    return jax.make_array_from_callback(array.shape, sharding, lambda part: array[part])


def _keep_compiled() -> None:
    """Programs once compiled are kept in the user's cache for later processes, unless JAX_COMPILATION_CACHE_DIR is set.

    One folder for each kind of machine, as a home may be shared: another's programs need not run on this one.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    cpuinfo = pathlib.Path("/proc/cpuinfo")  # Linux alone has it.
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    features = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    machine = hashlib.sha256(repr((platform.machine(), platform.system(), features)).encode()).hexdigest()[:8]
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mscn_flax"
    jax.config.update("jax_compilation_cache_dir", str(cache / f"compiled-{machine}"))


def _has_accelerator() -> bool:
    """Whether a GPU or TPU plugin of JAX is installed; asking JAX itself would fix the number of CPU devices."""
    if jax.config.jax_platforms == "cpu":
        return False
    names = {distribution.name.lower() for distribution in importlib.metadata.distributions()}
    return any(re.match(r"jax-cuda\d+-plugin|libtpu|jax-rocm", name) for name in names)
