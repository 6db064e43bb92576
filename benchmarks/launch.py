"""Runs benchmarks as processes of their own, with the allocator settings that must be there before a process starts."""

import os
import subprocess
import sys

from benchmarks.records import REPOSITORY

# glibc returns XLA's big temporary buffers to the kernel after every step, and the next step faults every page in
# again. These settings keep what was freed. The effect grows with the buffers: large where a whole batch is one chunk,
# within the noise where a chunk is a signal or two (`results/<preset>/speed.csv`).
ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592"}


def environment(allocator: bool = True) -> dict[str, str]:
    """The environment of a benchmark's process; the user's own settings win.

    With `allocator` False the allocator is as it comes, whatever this process was started with.
    """
    settings = ALLOCATOR | {"PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"} | dict(os.environ)
    return {name: value for name, value in settings.items() if allocator or name not in ALLOCATOR}


def python(module: str, *arguments: str) -> None:
    """Runs `python -m module arguments` to its end.

    Raises:
      SystemExit: with its exit status, where that is not 0.
    """
    command = [sys.executable, "-m", module, *arguments]
    status = subprocess.run(command, cwd=REPOSITORY, env=environment(), check=False).returncode
    if status:
        sys.exit(status)
