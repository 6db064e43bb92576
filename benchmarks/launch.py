"""Runs benchmarks as processes of their own, with the allocator settings that must be there before a process starts."""

import ctypes
import os
import signal
import subprocess
import sys

from benchmarks.records import REPOSITORY

# glibc returns XLA's big temporary buffers to the kernel after every step, and the next step faults every page in
# again. These settings keep what was freed. The effect grows with the buffers: large where a whole batch is one chunk,
# within the noise where a chunk is a signal or two (`results/<preset>/speed.csv`).
ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592"}

# A few steps of small networks take less time than their compilation, which these settings make six times as fast: no
# optimisation, and all of a program in one piece, which on two cores takes a quarter less than in pieces side by side
# (results/tuning/archive/compile_pieces.csv). The steps are slower, and of no use to measure.
COMPILE_FAST = {
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
    " --xla_cpu_parallel_codegen_split_count=1"
}


PARENT = "MSCN_PARENT"
"""Environment variable with the process without which one that `python` has started ends, see `end_with_parent`."""

_PATIENCE = 10
"""Seconds in which a process that is to end may store what it has."""

_SET_DEATH_SIGNAL = 1
"""Linux's PR_SET_PDEATHSIG."""

_running: set[subprocess.Popen] = set()


def environment(allocator: bool = True) -> dict[str, str]:
    """The environment of a benchmark's process; the user's own settings win.

    With `allocator` False the allocator is as it comes, whatever this process was started with.
    """
    settings = ALLOCATOR | {"PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"} | dict(os.environ)
    return {name: value for name, value in settings.items() if allocator or name not in ALLOCATOR}


def python(module: str, *arguments: str, compile_fast: bool = False) -> None:
    """Runs `python -m module arguments` to its end.

    Args:
      module: to run.
      *arguments: of its command line.
      compile_fast: compile in less time to slower programs, unless the user has XLA_FLAGS of their own.

    Raises:
      SystemExit: with its exit status, where that is not 0.
    """
    command = [sys.executable, "-m", module, *arguments]
    settings = (COMPILE_FAST if compile_fast else {}) | environment() | {PARENT: str(os.getpid())}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=settings)
    _running.add(process)
    try:
        status = process.wait()
    except BaseException:
        _end(process)
        raise
    finally:
        _running.discard(process)
    if status:
        sys.exit(status)


def stop() -> None:
    """Ends what `python` runs in other threads: what a terminal has interrupted too may store what it has."""
    for process in list(_running):
        _end(process)


def _end(process: subprocess.Popen) -> None:
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.terminate()


def end_with_parent() -> None:
    """Has a process that `python` has started end where its parent does, however that ends: two would collide.

    Only Linux can do so.
    """
    if (parent := os.environ.pop(PARENT, None)) and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != int(parent):  # It has ended already.
            sys.exit(128 + signal.SIGTERM)
