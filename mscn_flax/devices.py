"""Which devices JAX uses, and where it keeps what it has compiled: to be said before it is first asked for a device."""

import hashlib
import importlib.metadata
import os
import pathlib
import platform
import re

import jax


def choose() -> None:
    """Accelerators where there are any, otherwise one CPU device a core; before JAX is first asked for one.

    One device a core, because XLA runs the small operations of these networks faster side by side than each split over
    the cores.
    """
    _keep_compiled()
    # float32 products everywhere: an accelerator's own default rounds them to 10 bits or less, and w0 magnifies that.
    jax.config.update("jax_default_matmul_precision", "highest")
    if not _has_accelerator():
        jax.config.update("jax_platforms", "cpu")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        jax.config.update("jax_num_cpu_devices", cores)
        # Size of XLA's thread pool, by default one thread a core. A device that waits for another holds a thread, and
        # with none left for the other's products both wait for ever (seen with one device a core).
        os.environ.setdefault("NPROC", str(2 * cores))


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
